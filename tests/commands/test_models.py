"""`attn models`: built-in and cached models, the support of model types, and devices."""

from pathlib import Path

import pytest

from attn_cli.models.devices import list_devices
from attn_cli.models.native.families import native_families
from attn_cli.models.native.towers import TOWERS
from tests.support.worlds import attn, attn_in_terminal, refused

COMMIT = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
POINTERS = "all model types: attn models --families; devices: attn models --devices\n"


@pytest.fixture
def home(tmp_path: Path, twins: Path) -> str:
    """A Hugging Face cache of two models, one of them with only its tokenizer."""
    snapshots = tmp_path / "hub" / "models--somebody--small" / "snapshots"
    snapshots.mkdir(parents=True)
    (snapshots / COMMIT).symlink_to(twins / "gpt2")
    other = tmp_path / "hub" / "models--other" / "snapshots" / "1"
    other.mkdir(parents=True)
    (other / "config.json").write_text('{"model_type": "gpt_oss"}')
    return str(tmp_path)


def sections(out: str) -> dict[str, list[str]]:
    """The lines of each table by the first words of its heading."""
    tables = [block.splitlines() for block in out.split("\n\n")]
    return {heading.partition("  ")[0]: rows for heading, *rows in tables}


def test_models_lists_built_in_models_and_what_heads_are_known_for(tmp_path: Path) -> None:
    found = sections(attn("models", HF_HOME=str(tmp_path)).out)
    assert list(found) == ["built in", "known for", "model types"]
    assert found["built in"] == [
        "storybook  gpt2, 4 layers × 8 heads of 32 features; the default model",
        "random     one attention layer with random weights: --seed, --width, --head-count",
    ]
    assert found["known for"][1] == "previous-token  0.2 0.99"


def test_an_empty_cache_gets_a_remark(tmp_path: Path) -> None:
    remark = f"the Hugging Face cache has no models: {tmp_path / 'hub'}\n"
    assert attn("models", HF_HOME=str(tmp_path)).err == remark + POINTERS


def test_the_cache_is_listed_with_size_and_revision(home: str, twins: Path) -> None:
    megabytes = sum(file.stat().st_size for file in (twins / "gpt2").iterdir()) / 1e6
    answer = attn("models", HF_HOME=home)
    heading, *rows = (line.split("  ") for line in answer.out.split("\n\n")[1].splitlines())
    assert [word.strip() for word in heading if word] == ["cached", "type", "read by", "size", "revision"]
    assert [[word.strip() for word in row if word] for row in rows] == [
        ["other", "gpt_oss", "transformers", "0.0 MB, no weights", "1"],
        ["somebody/small", "gpt2", "attn", f"{megabytes:.1f} MB", COMMIT],
    ]
    assert answer.err == POINTERS


def test_json_has_the_cached_models_with_details(home: str, twins: Path) -> None:
    other, small = attn("models", "--json", HF_HOME=home).document["cached"]
    assert (other["name"], other["served"], other["has_weights"]) == ("other", "bridge", False)
    assert small == {
        "name": "somebody/small",
        "type": "gpt2",
        "served": "native",
        "size": sum(file.stat().st_size for file in (twins / "gpt2").iterdir()),
        "has_weights": True,
        "revision": COMMIT,
        "path": str(Path(home) / "hub" / "models--somebody--small" / "snapshots" / COMMIT),
    }


def test_a_cached_model_can_be_named(home: str) -> None:
    document = attn("tokens", "cat", "-m", "somebody/small", "--json", HF_HOME=home).document
    assert document["model"]["name"] == "somebody/small"


def test_model_types_are_a_few_lines_with_every_native_one(tmp_path: Path) -> None:
    lines = sections(attn("models", HF_HOME=str(tmp_path)).out)["model types"]
    groups = dict(line.split("  ", maxsplit=1) for line in lines)
    assert list(groups) == [
        *("decoders", "encoder-decoders", "encoders", "Llama family"),
        *("text of multimodal models", "through transformers"),
    ]
    *native, towers, others = (text.strip() for text in groups.values())
    assert towers.split(", ") == sorted(TOWERS)
    named = [name.replace("-", "_") for text in native for name in text.split(", ")]
    assert sorted(named) == list(native_families())
    counts = attn("models", "--json", HF_HOME=str(tmp_path)).document["types"]
    more, partly = counts["bridge"] + counts["fallback"], counts["fallback"]
    assert others == f"{more} more types, {partly} of them with logits and weights only"


def test_devices_are_looked_for_only_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = list_devices()
    assert attn("models", "--devices", "--json").document == {"schema": 1, "devices": devices}
    heading, first, *_ = attn("models", "--devices").out.splitlines()
    assert heading.split() == ["device", "hardware"]
    assert first.split(maxsplit=1) == ["cpu", devices["cpu"]]

    def refuse() -> None:
        raise AssertionError("nobody asked for devices")

    monkeypatch.setattr("attn_cli.models.devices.list_devices", refuse)
    for form in ([], ["--json"]):
        answer = attn("models", *form, HF_HOME=str(tmp_path))
        assert (answer.status, "cpu" in answer.out) == (0, False)


def test_every_type_is_listed_with_its_support() -> None:
    found = attn("models", "--families", "--json").document["families"]
    by_type = {each["type"]: each for each in found}
    assert {by_type[name]["served"] for name in ("bert", "gpt2", "llama")} == {"native"}
    assert (by_type["gpt_oss"]["served"], by_type["mpt"]["served"]) == ("bridge", "fallback")
    assert by_type["mamba"] == {
        "type": "mamba",
        "served": "refused",
        "why": "has no attention: its layers are MambaBlock",
    }
    answer = attn("models", "--families")
    assert len(answer.out.splitlines()) == len(found) + 1
    assert answer.err.startswith("tested with transformers 5.")


def test_types_can_be_named() -> None:
    assert attn("models", "--families", "mamba", "bert", "mpt").out == (
        "type   support                                        reason\n"
        "mamba  not supported                                  has no attention: its layers are MambaBlock\n"
        "bert   native\n"
        "mpt    through transformers, logits and weights only\n"
    )


@pytest.mark.parametrize(
    ("words", "types"),
    [
        (["GPT-2"], None),
        (["gpt2"], ["gpt2"]),
        (["DeBERTa_V2"], ["deberta-v2"]),
        (["bert,gpt2", "bert"], ["bert", "gpt2"]),
        (["bert,", "gpt2"], ["bert", "gpt2"]),
        (["qwen3_moe", "gemma3n"], ["qwen3_moe", "gemma3n"]),
        (["electra"], ["electra"]),
        (["smol"], ["smollm3", "smolvlm", "smolvlm_vision"]),
    ],
)
def test_a_named_type_is_found_by_its_name_or_else_by_a_part_of_it(
    words: list[str], types: list[str] | None
) -> None:
    if types is None:
        assert attn("models", "--families", *words).status == 2
        return
    found = attn("models", "--families", *words, "--json").document["families"]
    assert [each["type"] for each in found] == types


def test_an_unknown_type_is_an_error_with_suggestions() -> None:
    problem, hint = "unknown model type 'brt': none of the 804 known types contains it", "bert bart mbart"
    assert refused(attn("models", "--families", "brt")) == (2, problem, f"attn models --families {hint}")
    problem = "unknown model type 'zzzzzz': none of the 804 known types contains it"
    assert refused(attn("models", "--families", "zzzzzz")) == (2, problem, "attn models --families")


def test_a_name_without_families_is_an_error() -> None:
    problem = "names apply only to --families: bert gpt2"
    assert refused(attn("models", "bert", "gpt2")) == (2, problem, "attn models --families bert gpt2")


def test_families_and_devices_cannot_be_combined() -> None:
    answer = attn("models", "--families", "--devices")
    assert refused(answer) == (2, "--families and --devices cannot be combined", "attn models --devices")


def test_in_a_narrow_terminal_reasons_wrap() -> None:
    out = attn_in_terminal("models", "--families", "mamba", "bert", COLUMNS="40").out
    assert out.splitlines() == [
        "type   support        reason",
        "mamba  not supported  has no attention:",
        "                      its layers are",
        "                      MambaBlock",
        "bert   native",
    ]


@pytest.mark.parametrize("width", [32, 40, 80, 120])
def test_models_fits_the_terminal(width: int, home: str) -> None:
    out = attn_in_terminal("models", HF_HOME=home, COLUMNS=str(width)).out
    assert max(map(len, out.splitlines())) <= width
    assert sorted(name for name in native_families() if name not in out.replace("-", "_")) == []
