"""`attn inspect`: tables, JSON and files of the requested heads."""

import csv
import io
import json
import re
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from rich.cells import cell_len
from safetensors import safe_open

from attn_cli.models.devices import list_devices
from tests.support.worlds import attn, attn_in_terminal

GOLDEN = Path(__file__).parent / "golden"
TEXT = "the cat sat on the mat"
LONG = (
    "The animal didn't cross the street, because it was too tired 日本 🙂 [/bold] \x1b[31m to cross the mat."
)
PAIRWISE = ("-s", "scores", "-s", "mask", "-s", "logits", "-s", "weights")


def titles(out: str) -> list[str]:
    """The names of the matrices, such as `weights 0.3`."""
    return [
        line.partition(" · ")[0] for line in out.splitlines() if re.search(r" · (unmasked )?range ", line)
    ]


def test_the_output_is_the_golden_one() -> None:
    answer = attn("inspect", "--model", "random", "--seed", "0", "the cat sat")
    assert answer.out == (GOLDEN / "inspect_random.txt").read_text("utf-8")


def test_without_a_selection_one_head_is_shown_and_how_to_select_others(twins: Path) -> None:
    answer = attn("inspect", TEXT, "-m", twins / "bert")
    why, here, others, _favourite = answer.err.splitlines()
    place = why.split()[1]
    assert titles(answer.out) == [f"scores {place}", f"weights {place}"]
    assert why == f"head {place} is shown: of the 12 heads, it attends most sharply to distant tokens"
    assert re.fullmatch(r'on this text, ".*" \(\d+\) puts [01]\.\d\d of its weight on ".*" \(\d+\)', here)
    assert others == "other heads: -l 0-2, -H 0-3, --heads LAYER.HEAD; all heads: attn heads, attn heatmap"


def test_one_token_makes_no_head_stand_out() -> None:
    answer = attn("inspect", "cat", "-m", "random")
    assert "head 0.0 is shown, the first of 4: the text is too short for any head to stand out" in answer.err
    assert titles(answer.out) == ["scores 0.0", "weights 0.0"]


def test_without_a_model_the_bundled_one_is_used() -> None:
    assert attn("inspect", "the cat", "--json").document["model"]["name"] == "storybook"
    assert attn("inspect", "the cat").out == attn("inspect", "the cat", "-m", "storybook").out


@pytest.mark.parametrize(
    ("text", "pattern", "place"),
    [
        ("the cat sat", "previous-token", "1.2"),
        ("and the cat sat, and the cat sat", "induction", "2.1"),
    ],
)
def test_the_head_known_for_a_pattern_in_the_text_is_shown(
    text: str, pattern: str, place: str, twins: Path, tmp_path: Path
) -> None:
    shutil.copytree(twins / "gpt2", tmp_path, dirs_exist_ok=True)
    known = [(1, 2, "previous-token", 0.7), (1, 3, "previous-token", 0.6), (2, 1, "induction", 0.5)]
    names = ("layer", "head", "pattern", "score")
    heads = [dict(zip(names, each, strict=True)) for each in (*known, (0, 0, "first-token", 0.9))]
    (tmp_path / "attn.json").write_text(json.dumps({"heads": heads}))
    answer = attn("inspect", text, "-m", tmp_path)
    why = answer.err.splitlines()[0]
    assert why.startswith(f"head {place} is shown, the clearest {pattern} head of 12: ")
    assert titles(answer.out) == [f"scores {place}", f"weights {place}"]


@pytest.mark.parametrize(
    ("selection", "shown"),
    [
        ("-l 1", ["1.0", "1.1", "1.2", "1.3"]),
        ("-H -1", ["0.3", "1.3", "2.3"]),
        ("-l 0,2 -H 1-2", ["0.1", "0.2", "2.1", "2.2"]),
        ("--heads 2.1,0.3 --heads 2.1", ["2.1", "0.3"]),
    ],
)
def test_the_selected_heads_are_shown(selection: str, shown: list[str], twins: Path) -> None:
    answer = attn("inspect", TEXT, "-m", twins / "bert", *selection.split(), "-s", "weights")
    assert titles(answer.out) == [f"weights {place}" for place in shown]
    assert answer.err == ""


def test_steps_come_in_the_order_of_the_computation() -> None:
    steps = [word for step in ("weights", "queries", "scores", "weights") for word in ("-s", step)]
    answer = attn("inspect", TEXT, "-m", "random", "-H", "0", *steps)
    assert titles(answer.out) == ["queries 0.0", "scores 0.0", "weights 0.0"]


def test_a_missing_step_gets_a_remark() -> None:
    answer = attn("inspect", TEXT, "-H", "0", "-s", "bias", "-s", "mask", "-m", "random")
    assert titles(answer.out) == ["mask 0.0"]
    assert answer.err == "random has no bias: the layer adds no position bias\n"


def test_digits_and_top_change_how_numbers_are_shown() -> None:
    line = ("inspect", "the cat sat", "-m", "random", "-H", "0", "-s", "weights")
    out = attn(*line, "--digits", "4", "--top", "1").out
    assert out.splitlines()[-4:] == [
        "0 the → 0 the ▒0.5118",
        "1 cat → 0 the █0.8170",
        "2 sat → 0 the ▒0.5954",
        "the largest of 3 in each row",
    ]


def test_a_text_beyond_the_models_length_gets_a_remark_and_is_read(tmp_path: Path, twins: Path) -> None:
    shutil.copytree(twins / "llama", tmp_path, dirs_exist_ok=True)
    config = json.loads((twins / "llama" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4}))
    answer = attn("inspect", TEXT, "-m", tmp_path, "-l", "0", "-H", "0", "-s", "weights")
    count = len(attn("tokens", TEXT, "-m", tmp_path).out.splitlines()) - 1
    assert answer.err == f"{count} tokens are more than the 4 that {tmp_path.name} was made for\n"
    assert answer.status == 0


@pytest.mark.parametrize(("flag", "hidden"), [("--causal", 3), ("--no-causal", 0)])
def test_a_mask_can_be_requested_and_gets_a_remark(flag: str, hidden: int, twins: Path) -> None:
    model = twins / ("bert" if flag == "--causal" else "gpt2")
    answer = attn("inspect", "cat", flag, "-m", model, "--heads", "0.0", "-s", "mask", "--json")
    mask = np.array(answer.document["attention"][0]["steps"]["mask"])
    assert (~mask).sum() == hidden
    assert answer.err == f"{model.name} runs with {flag}\n"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("command", ["inspect", "compare", "tokens"])
def test_no_line_is_wider_than_the_console(width: int, command: str, twins: Path) -> None:
    rest = {
        "inspect": ["--heads", "0.1", *PAIRWISE, "-s", "input", "-s", "keys"],
        "compare": ["--heads", "0.1,2.3"],
        "tokens": [],
    }
    answer = attn_in_terminal(command, LONG, "-m", twins / "bert", *rest[command], COLUMNS=str(width))
    assert answer.status == 0
    assert max(map(cell_len, answer.out.splitlines())) <= width


def test_omitted_columns_get_a_note() -> None:
    line = ("inspect", " ".join([TEXT] * 3), "-m", "random", "-H", "0", "-s", "weights")
    out = attn_in_terminal(*line, COLUMNS="60").out
    *_, shown, way = out.splitlines()
    assert shown == "the 3 largest of 18 in each row; all: --out FILE.csv,"
    assert way == "--json, or a width of 79"


@pytest.mark.parametrize(("width", "is_whole"), [("78", False), ("79", True)])
def test_the_suggested_width_is_the_smallest_that_fits(width: str, *, is_whole: bool) -> None:
    line = ("inspect", " ".join([TEXT] * 3), "-m", "random", "-H", "0", "-s", "weights")
    out = attn_in_terminal(*line, COLUMNS=width).out
    assert ("largest of 18" not in out) == is_whole


def test_json_is_the_object_of_the_contract(twins: Path) -> None:
    answer = attn("inspect", "the cat", "-m", twins / "llama", "--heads", "1.3", "--json")
    found = answer.document
    checksum = found["model"].pop("checksum")
    assert checksum == sha256((twins / "llama" / "model.safetensors").read_bytes()).hexdigest()
    assert list(found) == [
        *("schema", "attn", "model", "engine", "library", "device", "dtype"),
        *("text", "pair", "tokens", "attention"),
    ]
    assert found["model"] == {
        "name": "llama",
        "type": "llama",
        "layers": 3,
        "heads": 4,
        "kv_heads": 2,
        "head_size": 8,
        "width": 32,
        "revision": None,
    }
    head = found["attention"][0]
    assert (head["kind"], head["layer"], head["head"], head["kv_head"]) == ("self", 1, 3, 1)
    assert head["queries"] == head["keys"] == [token["position"] for token in found["tokens"]]
    assert list(head["steps"]) == ["scores", "weights"]
    assert answer.err == ""


@pytest.mark.parametrize(
    "line",
    [
        "inspect TEXT -l 0 -s logits -s mask -s output -s input -s keys",
        "inspect TEXT --pair cat --heads 2.1",
        "tokens TEXT",
        "compare TEXT --heads 0.1,2.3",
        "compare TEXT -l 1 -d cosine",
    ],
)
def test_json_keeps_the_schema_that_inspect_prints(line: str, twins: Path) -> None:
    schema = json.loads(attn("inspect", "--json-schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    arguments = [LONG if word == "TEXT" else word for word in line.split()]
    found = attn(*arguments, "-m", twins / "bert", "--json")
    jsonschema.Draft202012Validator(schema).validate(found.document)


def test_the_schema_needs_no_text_and_is_ascii() -> None:
    answer = attn("inspect", "--json-schema")
    assert answer.out.isascii()
    assert answer.err == ""


def test_text_in_json_is_the_text_as_given(twins: Path) -> None:
    answer = attn("inspect", LONG, "-m", twins / "bert", "--heads", "0.0", "--json")
    assert answer.out.isascii()
    assert answer.document["text"] == LONG


@pytest.fixture
def files(tmp_path: Path, twins: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """The same heads as a JSON object and as files of every kind."""
    paths = {kind: tmp_path / f"heads.{kind}" for kind in ("json", "npz", "safetensors", "csv")}
    out = [argument for path in paths.values() for argument in ("-o", str(path))]
    line = ["inspect", TEXT, "-m", str(twins / "gpt2"), "--heads", "0.3,2.1", *PAIRWISE, "-s", "keys"]
    answer = attn(*line, *out, "--json")
    assert answer.err == "".join(f"wrote {path}\n" for path in paths.values())
    return answer.document, paths


Files = tuple[dict[str, Any], dict[str, Path]]


def arrays(document: dict[str, Any]) -> dict[str, Any]:
    """The arrays of the JSON, with -inf for null."""
    return {
        f"self.{entry['layer']}.{entry['head']}.{step}": [
            [-np.inf if value is None else value for value in row] for row in rows
        ]
        for entry in document["attention"]
        for step, rows in entry["steps"].items()
    }


def test_a_json_file_is_what_json_prints(files: Files) -> None:
    document, paths = files
    assert json.loads(paths["json"].read_text("utf-8")) == document


def test_npz_has_the_numbers_of_the_json(files: Files) -> None:
    document, paths = files
    with np.load(paths["npz"]) as found:
        assert json.loads(str(found["meta"]))["tokens"] == document["tokens"]
        assert set(found) == {"meta", *arrays(document)}
        for name, expected in arrays(document).items():
            np.testing.assert_array_equal(found[name], np.array(expected, dtype=found[name].dtype))


def test_safetensors_have_the_numbers_of_the_json(files: Files) -> None:
    document, paths = files
    with safe_open(paths["safetensors"], framework="numpy") as found:
        assert json.loads(found.metadata()["meta"])["model"] == document["model"]
        assert set(found.keys()) == set(arrays(document))
        for name, expected in arrays(document).items():
            tensor = found.get_tensor(name)
            np.testing.assert_array_equal(tensor, np.array(expected, dtype=tensor.dtype))


def test_csv_has_the_numbers_of_the_json(files: Files) -> None:
    document, paths = files
    rows = list(csv.DictReader(io.StringIO(paths["csv"].read_text("utf-8"))))
    for row in rows:
        entry = next(
            e for e in document["attention"] if f"{e['layer']}.{e['head']}" == f"{row['layer']}.{row['head']}"
        )
        expected = entry["steps"][row["step"]][int(row["row"])][int(row["column"])]
        assert row["value"] == (
            "" if expected is None else repr(int(expected) if row["step"] == "mask" else expected)
        )
    assert len(rows) == sum(len(m) * len(m[0]) for e in document["attention"] for m in e["steps"].values())


def test_files_replace_tables(tmp_path: Path) -> None:
    assert attn("inspect", TEXT, "-o", tmp_path / "a.csv").out == ""


def test_force_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("mine")
    assert attn("inspect", TEXT, "-o", path, "--force").status == 0
    assert json.loads(path.read_text())["text"] == TEXT


def test_heads_still_sets_the_head_count_of_random() -> None:
    now = attn("inspect", TEXT, "-m", "random", "-H", "7", "--head-count", "8", "--json")
    once = attn("inspect", TEXT, "-m", "random", "-H", "7", "--heads", "8", "--json")
    assert (now.err, once.out) == ("", now.out)
    assert now.document["model"]["heads"] == 8
    assert once.err == "--heads selects heads; the number of heads of random is --head-count 8\n"


@pytest.mark.parametrize("command", ["inspect", "heads", "compare"])
def test_heads_is_a_selection_of_random_too(command: str) -> None:
    answer = attn(command, TEXT, "-m", "random", "--heads", "0.6,0.7", "--head-count", "8", "--json")
    assert (answer.status, answer.document["model"]["heads"]) == (0, 8)


@pytest.mark.parametrize(("chosen", "names"), [("-l 2- -H 3-", ["2.3"]), ("-l -2- -H 3", ["1.3", "2.3"])])
def test_an_open_range_extends_to_the_last(chosen: str, names: list[str], twins: Path) -> None:
    found = attn("inspect", TEXT, "-m", twins / "bert", *chosen.split(), "--rows", "2-", "--json").document
    assert [f"{entry['layer']}.{entry['head']}" for entry in found["attention"]] == names
    assert found["attention"][0]["queries"] == list(range(2, len(found["tokens"])))


def test_the_same_seed_is_the_same_layer() -> None:
    line = ("inspect", TEXT, "-m", "random", "-H", "0", "--width", "32", "--head-count", "2", "--json")
    assert attn(*line, "--seed", "3").out == attn(*line, "--seed", "3").out
    assert attn(*line, "--seed", "3").out != attn(*line, "--seed", "4").out
    assert attn(*line).document["model"] | {"name": ""} == {
        "name": "",
        "type": "random",
        "layers": 1,
        "heads": 2,
        "kv_heads": 2,
        "head_size": 16,
        "width": 32,
        "revision": None,
        "checksum": None,
    }


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_number_formats_agree_within_their_precision(dtype: str, twins: Path) -> None:
    line = ("inspect", TEXT, "-m", twins / "bert", "--heads", "1.2", "-s", "weights", "--json")
    exact, found = attn(*line).document, attn(*line, "--dtype", dtype).document
    assert (found["dtype"], found["library"]) == (dtype, "numpy" if dtype == "float64" else "torch")
    weights = [np.array(each["attention"][0]["steps"]["weights"]) for each in (exact, found)]
    # 8 bits of a number, 4 layers deep, and peaked rows that magnify it; float64 differs by float32
    tolerance = {"float64": 1e-5, "float16": 0.03, "bfloat16": 0.2}[dtype]
    np.testing.assert_allclose(weights[1], weights[0], atol=tolerance)


@pytest.mark.parametrize("device", list_devices())
def test_half_precision_runs_on_every_available_device(device: str, twins: Path) -> None:
    asked = ("inspect", TEXT, "-m", twins / "llama", "--heads", "0.1", "--json")
    found = attn(*asked, "--dtype", "bfloat16", "--device", device).document
    expected = attn(*asked).document
    assert (found["library"], found["device"], found["dtype"]) == ("torch", device, "bfloat16")
    ours, exact = (np.array(each["attention"][0]["steps"]["weights"]) for each in (found, expected))
    assert np.abs(ours - exact).max() < 0.05  # 8 bits of mantissa, through peaked rows


@pytest.mark.parametrize(("model", "is_masked"), [("gpt2", True), ("bert", False)])
def test_scores_before_masking_get_a_remark(model: str, is_masked: bool, twins: Path) -> None:
    remark = "scores are shown before masking; -s logits shows them after masking\n"
    answer = attn("inspect", TEXT, "-m", twins / model, "--heads", "0.1")
    assert (remark in answer.err) == is_masked


def test_scores_that_will_be_masked_keep_their_numbers_without_shade(twins: Path) -> None:
    asked = ("inspect", "the cat sat", "-m", twins / "gpt2", "--heads", "0.1", "-s", "scores", "-q")
    scores = attn(*asked, "--json").document["attention"][0]["steps"]["scores"]
    upper = attn(*asked).out.splitlines()[-3]
    assert upper.endswith("".join(f" {number:5.2f}" for number in scores[0][1:]))
    coloured = attn(*asked, FORCE_COLOR="1", COLORTERM="truecolor").out.splitlines()[-3]
    assert re.search(r"\x1b\[2m( +-?[0-9.]+){2}\x1b\[0m$", coloured)


def test_the_only_head_of_a_layer_needs_no_reason() -> None:
    assert attn("inspect", "the cat sat", "-m", "random", "--head-count", "1").err == ""


def test_the_title_of_the_scores_has_the_scale() -> None:
    answer = attn("inspect", "the cat", "-m", "random", "--head-count", "1", "--width", "9", "-s", "scores")
    assert "scores 0.0 · q·k × 0.3333 · 2 × 2 · range" in answer.out


def test_the_largest_scores_are_unmasked_ones_with_a_note() -> None:
    out = attn("inspect", "the cat sat", "-s", "scores", "--heads", "0.1", "--top", "1").out
    assert out.splitlines()[-1] == "the largest of 4 in each row, masked keys aside"
    out = attn("inspect", "the cat sat", "-s", "logits", "--heads", "0.1", "--top", "1").out
    assert out.splitlines()[-1] == "the largest of 4 in each row"


def test_at_most_twelve_lines_of_tokens_precede_the_table() -> None:
    text = " ".join(f"word{number}" for number in range(200))
    answer = attn("inspect", text, "-m", "random", "--heads", "0.1", "-s", "weights", "--top", "1")
    lines = answer.out.splitlines()
    listed = sum(len(line.split("  ")) for line in lines[1:13])
    assert lines[13] == f"{200 - listed} more; all tokens: attn tokens"


@pytest.mark.parametrize(("heads", "status"), [("1024", 0), ("1025", 2)])
def test_random_has_at_most_1024_heads(heads: str, status: int) -> None:
    answer = attn(
        "inspect", "a", "-m", "random", "--head-count", heads, "--width", heads, "-H", "0", "--json"
    )
    assert answer.status == status


@pytest.mark.parametrize(
    ("option", "value", "status"),
    [
        ("--digits", "0", 0),
        ("--digits", "9", 0),
        ("--digits", "10", 2),
        ("--top", "1", 0),
        ("--top", "0", 2),
        ("--width", "4", 0),
        ("--width", "0", 2),
        ("--width", "65540", 2),
        ("--seed", "0", 0),
        ("--seed", "-1", 2),
    ],
)
def test_a_number_out_of_range_is_a_usage_error(option: str, value: str, status: int) -> None:
    assert attn("inspect", "the cat", "-m", "random", "-H", "0", option, value).status == status


def test_numbers_have_two_decimals_by_default() -> None:
    line = ("inspect", "the cat sat", "-m", "random", "-H", "0")
    assert attn(*line).out == attn(*line, "--digits", "2").out != attn(*line, "--digits", "3").out
