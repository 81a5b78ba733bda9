"""`attn tokens` and `attn models`: what a model reads, and what can be loaded here."""

from pathlib import Path

import pytest

from attn_cli.models.native.families import native_families
from tests.support.worlds import attn, refused


def test_tokens_are_a_list() -> None:
    assert attn("tokens", "the cat sat, the end", "-m", "random").out == (
        "position  id  piece  text  start  end  special  segment\n"
        "       0   0  the    the       0    3                 0\n"
        "       1   1  cat    cat       4    7                 0\n"
        "       2   2  sat    sat       8   11                 0\n"
        "       3   3  ,      ,        11   12                 0\n"
        "       4   0  the    the      13   16                 0\n"
        "       5   4  end    end      17   20                 0\n"
    )


def test_offsets_count_characters_of_the_text_as_given(twin: Path) -> None:
    text = "the cat\r\n\tsat; café 🙂 mat"
    for token in attn("tokens", text, "-m", twin, "--json").document["tokens"]:
        if not token["special"] and token["text"].isalpha() and token["text"].isascii():
            assert text[token["start"] : token["end"]].strip() in {token["text"].strip(), "é"}


def test_a_pair_is_a_second_segment(twins: Path) -> None:
    found = attn("tokens", "the cat", "--pair", "sat", "-m", twins / "bert", "--json").document
    assert found["pair"] == "sat"
    tokens = found["tokens"]
    assert [token["piece"] for token in tokens] == ["[CLS]", "the", "cat", "[SEP]", "sat", "[SEP]"]
    assert [token["segment"] for token in tokens] == [0, 0, 0, 0, 1, 1]
    assert [(token["start"], token["end"]) for token in tokens] == [
        (0, 0),
        (0, 3),
        (4, 7),
        (7, 7),
        (0, 3),
        (3, 3),
    ]


@pytest.mark.parametrize("text", ["a\0b", "a\x1b[31mb", "[/bold]", "<script>", "a\u202eb"])
def test_no_token_commands_the_terminal(text: str) -> None:
    out = attn("tokens", text).out
    assert all(character.isprintable() for line in out.splitlines() for character in line)


def test_models_lists_families_devices_and_an_empty_cache(tmp_path: Path) -> None:
    answer = attn("models", HF_HOME=str(tmp_path))
    lines = [line.split()[:2] for line in answer.out.splitlines()]
    assert lines[:3] == [["kind", "name"], ["built", "in"], ["built", "in"]]
    assert [line[1] for line in lines if line[:1] == ["family"]] == list(native_families())
    assert ["device", "cpu"] in lines
    assert answer.err == f"no models in the cache {tmp_path / 'hub'}\n"


def test_every_type_is_listed_with_how_it_is_served() -> None:
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
    assert "mamba " in answer.out
    assert answer.err.startswith("measured with transformers 5.")


def test_models_lists_the_cache_in_which_names_are_found(tmp_path: Path, twins: Path) -> None:
    for folder, kind in (("models--somebody--small", "gpt2"), ("models--other", "")):
        snapshots = tmp_path / "hub" / folder / "snapshots"
        snapshots.mkdir(parents=True)
        (snapshots / "1").symlink_to(twins / (kind or "bert"))
    home = {"HF_HOME": str(tmp_path)}
    cached = attn("models", "--json", **home).document["cached"]
    assert [(model["name"], model["type"]) for model in cached] == [
        ("other", "bert"),
        ("somebody/small", "gpt2"),
    ]
    assert "cached    somebody/small  gpt2" in attn("models", **home).out
    assert (
        attn("tokens", "cat", "-m", "somebody/small", "--json", **home).document["model"]["name"]
        == "somebody/small"
    )


def test_a_revision_is_read_out_of_the_cache(tmp_path: Path, twins: Path) -> None:
    snapshots = tmp_path / "hub" / "models--somebody--small" / "snapshots"
    snapshots.mkdir(parents=True)
    for commit, kind in (("1", "gpt2"), ("2", "bert")):
        (snapshots / commit).symlink_to(twins / kind)
    for commit, kind in (("1", "gpt2"), ("2", "bert")):
        answer = attn(
            *("tokens", "cat", "-m", "somebody/small", "--revision", commit, "--json"), HF_HOME=str(tmp_path)
        )
        assert answer.document["model"]["type"] == kind


@pytest.mark.parametrize("options", [(), ("-m", "storybook"), ("-m", "random")])
def test_what_is_built_in_has_no_revisions(options: tuple[str, ...]) -> None:
    name = options[-1] if options else "storybook"
    problem = f"--revision applies only to models from the hub: '{name}' is built in"
    answer = attn("tokens", "cat", "--revision", "main", *options)
    assert refused(answer) == (2, problem, "leave out --revision, or name a model: -m NAME")


@pytest.mark.usefixtures("modules")
def test_code_of_a_checkpoint_is_refused_until_it_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "own", "auto_map": {"AutoModel": "own.Model"}}')
    asks = f"{tmp_path}/config.json needs the Python code that comes with the checkpoint"
    hint = "--trust-remote-code, if you have read that code or trust its author"
    answer = attn("tokens", "x", "-m", tmp_path)
    assert refused(answer) == (1, f"{asks}, and that code would run with your permissions", hint)
    assert asks not in attn("tokens", "x", "-m", tmp_path, "--trust-remote-code").err
