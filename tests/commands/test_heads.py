"""`attn heads`: all heads at a glance."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from attn_cli.cli import run
from attn_cli.commands.results import progress
from attn_cli.core.multihead import Attention, MultiHeadAttention
from attn_cli.show import data
from attn_cli.vocabulary import Metric, Pattern
from tests.commands.results.test_progress import Terminal
from tests.support.worlds import attn, attn_in_terminal, refused, world

REPEATS = "Tom Thumb went to sea, and Tom Thumb went home again."
CARD = "names come from the model's card; from this text: --no-probe\n"
WORDS = ["kind", "layer", "head", "pattern", "score", "rows", "patterns"]
OF_OPTIONS = {Metric.SINK, Metric.HIDDEN, Metric.ON, Metric.DIRECT}
OF_OPTIONS |= {Metric.WRITTEN, Metric.WRITTEN_FIRST, Metric.WRITTEN_ON}
WITHOUT_SINK = [metric for metric in Metric if metric not in OF_OPTIONS]
ONCE = "the cat sat on a mat"


def heads(*arguments: str | Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = attn("heads", *arguments, "--json").document["heads"]
    return found


def names(found: list[dict[str, Any]]) -> list[str]:
    return [f"{each['layer']}.{each['head']}" for each in found]


def by_name(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return dict(zip(names(found), found, strict=True))


def listed(out: str) -> list[str]:
    """The heads of the table, in its order."""
    lines = out.partition("\nhead ")[2].splitlines()
    return [line.split()[0] for line in lines if line[:1].isdigit()]


def test_heads_of_the_bundled_model_are_found_by_pattern() -> None:
    found = by_name(heads(REPEATS))
    assert found["0.2"]["pattern"] == "previous-token"
    assert found["0.2"]["score"] == pytest.approx(0.9934, abs=5e-5)  # the card's, on held-out text
    assert found["2.7"]["pattern"] == found["2.6"]["pattern"] == "induction"
    assert names(heads(REPEATS, "--where", "pattern=induction", "--sort", "score")) == ["2.7", "2.6"]


def test_the_ranking_is_that_of_full_matrices() -> None:
    full = attn("inspect", REPEATS, "-l", "all", "-s", "weights", "--json").document
    ids = [token["id"] for token in full["tokens"]]
    pairs = [(i, j + 1) for i in range(len(ids)) for j in range(i - 1) if ids[i] == ids[j]]
    rows = len({i for i, _ in pairs})
    naive = {
        f"{each['layer']}.{each['head']}": sum(each["steps"]["weights"][i][j] for i, j in pairs) / rows
        for each in full["attention"]
    }
    found = heads(REPEATS, "--sort", "induction")
    assert names(found) == sorted(naive, key=lambda name: -naive[name])
    # float32, two orders of the same sums
    np.testing.assert_allclose([each["induction"] for each in found], sorted(naive.values())[::-1], atol=1e-6)


def test_a_text_that_repeats_itself_shows_induction_and_another_entropy() -> None:
    assert "\ninduction, layer × head · 4 × 8 · range 0 to 0.85\n" in attn("heads", REPEATS).out
    assert "\nentropy, layer × head · 4 × 8 · range 0 to " in attn("heads", ONCE).out
    assert "\ndistance, layer × head · " in attn("heads", ONCE, "--metric", "distance").out


def test_the_table_begins_with_the_clearest_heads_and_says_how_many_there_are() -> None:
    answer = attn("heads", REPEATS)
    assert listed(answer.out)[:3] == ["2.6", "3.0", "2.7"]
    assert answer.err == f"listed 10 of 32 heads; --top 0 lists all\n{CARD}"
    assert len(listed(answer.out)) == 10


@pytest.mark.parametrize(("top", "count"), [("1", 1), ("0", 32), ("50", 32)])
def test_top_sets_the_length_of_the_table(top: str, count: int) -> None:
    assert len(listed(attn("heads", REPEATS, "--top", top).out)) == count


def test_entropy_is_listed_from_the_smallest_unless_sorted_by_it() -> None:
    by_itself = listed(attn("heads", ONCE, "--top", "0").out)
    assert by_itself == listed(attn("heads", ONCE, "--top", "0", "--sort", "-entropy").out)
    assert by_itself == listed(attn("heads", ONCE, "--top", "0", "--sort", "entropy").out)[::-1]


def test_files_and_json_are_in_the_order_of_the_model_unless_sorted() -> None:
    assert names(heads(REPEATS)) == [f"{layer}.{head}" for layer in range(4) for head in range(8)]
    assert names(heads(REPEATS, "--sort", "induction"))[0] == "2.6"


def test_conditions_leave_heads_out_of_map_table_and_files() -> None:
    where = ("--where", "entropy<1", "--where", "layer>=2")
    found = heads(REPEATS, *where)
    assert found
    assert all(each["entropy"] < 1 and each["layer"] >= 2 for each in found)
    out = attn("heads", REPEATS, *where).out
    assert sorted(listed(out)) == sorted(names(found))
    assert out.count("·   ") >= 16  # two layers of the map have no value


def test_a_condition_that_no_head_meets_gets_a_remark() -> None:
    answer = attn("heads", REPEATS, "--where", "layer>9")
    assert listed(answer.out) == []
    assert answer.err == f"no head meets all --where conditions\n{CARD}"
    assert heads(REPEATS, "--where", "layer>9") == []


def test_a_metric_without_a_value_gets_a_remark() -> None:
    err = attn("heads", "the cat sat", "-m", "random", "--metric", "special").err
    assert err.startswith(
        "special has no value for any of these heads on this text\nnames come from this text"
    )
    (first, *_) = heads("the cat sat", "-m", "random")
    assert (first["special"], first["induction"], first["duplicate-token"]) == (None, None, None)


def test_only_the_selected_heads_are_measured() -> None:
    whole = by_name(heads(REPEATS))
    found = heads(REPEATS, "--heads", "2.7,0.2")
    assert names(found) == ["2.7", "0.2"]
    assert [whole[name] for name in names(found)] == found
    assert names(heads(REPEATS, "-l", "1", "-H", "3-4")) == ["1.3", "1.4"]
    assert "layer × head · 2 × 2 · " in attn("heads", REPEATS, "--heads", "2.7,0.2").out


def test_the_document_agrees_with_its_schema(twin: Path) -> None:
    found = attn("heads", REPEATS, "-m", twin, "--json").document
    validator = jsonschema.Draft202012Validator(json.loads(data.schema()))
    validator.validate(found)
    assert found["metrics"] == WITHOUT_SINK
    assert list(found["heads"][0]) == [*WORDS, *WITHOUT_SINK]
    assert not validator.is_valid(found | {"attention": []})
    assert not validator.is_valid(found | {"heads": [found["heads"][0] | {"pattern": "wide"}]})


def test_the_schema_and_the_vocabulary_have_the_same_metrics() -> None:
    known = json.loads(data.schema())["$defs"]
    assert known["metric"]["enum"] == list(Metric)
    assert known["glance"]["properties"]["pattern"]["enum"] == [*Pattern, None]
    of_a_text = [metric for metric in Metric if not metric.is_effect]
    assert list(known["glance"]["properties"]) == [*WORDS, *of_a_text]


def test_a_map_a_table_and_all_numbers_are_written(tmp_path: Path) -> None:
    paths = [tmp_path / f"a.{suffix}" for suffix in ("png", "svg", "pdf", "json", "csv", "npz")]
    answer = attn("heads", REPEATS, *(word for path in paths for word in ("-o", path)))
    assert (answer.status, answer.out) == (0, "")
    assert sorted(answer.err.splitlines()) == sorted(f"wrote {path}" for path in paths)
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    found = json.loads(paths[3].read_text())["heads"]
    with paths[4].open(newline="") as file:
        assert [float(row["entropy"]) for row in csv.DictReader(file)] == [each["entropy"] for each in found]
    with np.load(paths[5]) as arrays:
        np.testing.assert_array_equal(arrays["entropy"].ravel(), [each["entropy"] for each in found])
        assert json.loads(str(arrays["meta"]))["metrics"] == WITHOUT_SINK


def test_a_picture_calls_what_is_left_out_no_value(tmp_path: Path) -> None:
    attn("heads", REPEATS, "--where", "layer>0", "-o", tmp_path / "a.svg")
    written = (tmp_path / "a.svg").read_text("utf-8")
    assert "4 layers × 8 heads · induction of each head · storybook" in written
    assert "no value" in written


def test_columns_without_room_are_named_and_come_with_a_wider_window() -> None:
    narrow, wide = (attn_in_terminal("heads", REPEATS, COLUMNS=width) for width in ("80", "200"))
    assert "no room for distance, current-token, previous-token, first-token, " in " ".join(
        narrow.out.split()
    )
    assert "no room" not in wide.out
    assert max(map(len, narrow.out.splitlines())) <= 80


def test_requested_columns_are_shown_first() -> None:
    out = attn("heads", REPEATS, "--sort", "received", "--where", "special>0").out
    heading = out.partition("\nhead ")[2].splitlines()[0].split()
    assert heading[:5] == ["pattern", "score", "rows", "also", "received"]


def test_a_long_text_is_truncated_above_the_map() -> None:
    out = attn("heads", "word " * 200, "-m", "random").out
    assert out.splitlines()[3] == "181 more; all tokens: attn tokens"


def test_external_text_is_not_markup() -> None:
    out = attn("heads", "a\x1b[31m b [/bold] <script>").out
    assert all(character.isprintable() for line in out.splitlines() for character in line)


@pytest.mark.parametrize(
    ("arguments", "problem", "hint"),
    [
        (
            ("--where", "entropy<"),
            "'entropy<' is not a condition",
            '--where "entropy<1", "induction>=0.4" or "pattern=induction"',
        ),
        (
            ("--sort", "layers"),
            "heads cannot be sorted by 'layers'",
            f"--sort {', '.join(Metric)}, score, or -NAME",
        ),
        (
            ("-o", "a.safetensors"),
            "this command writes no '.safetensors' file: a.safetensors",
            "a name that ends in .png, .svg, .pdf, .json, .npz or .csv",
        ),
        (("-l", "4"), "layer 4 does not exist: storybook has 4, numbered 0 to 3", "--layer 3"),
    ],
)
def test_failures_are_reported_in_a_sentence(arguments: tuple[str, ...], problem: str, hint: str) -> None:
    assert refused(attn("heads", ONCE, *arguments)) == (2, problem, hint)


def test_a_bad_condition_is_refused_before_the_model_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("attn_cli.models.open.open_source", fail)
    assert attn("heads", ONCE, "--where", "entropy").status == 2


def test_ctrl_c_leaves_no_file_and_no_result(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Attention, "measure", interrupted)
    answer = attn("heads", ONCE, "-o", tmp_path / "a.png", "-o", tmp_path / "a.csv")
    assert (answer.status, answer.out, answer.err) == (130, "", "attn: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_long_work_has_a_bar_on_a_terminal_and_none_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0)
    here = world(TERM="xterm-256color")
    here.stderr = Terminal()
    assert run(["heads", REPEATS], here) == 0
    assert isinstance(here.stdout, io.StringIO)
    assert "68 of 68 query rows" in here.stderr.getvalue()
    assert "query rows" not in attn("heads", REPEATS).err
    assert here.stdout.getvalue() == attn("heads", REPEATS).out


def test_short_work_has_no_bar() -> None:
    here = world(TERM="xterm-256color")
    here.stderr = Terminal()
    assert run(["heads", ONCE, "--top", "0"], here) == 0
    assert " ".join(here.stderr.getvalue().split()) == CARD.strip()


def test_nan_weights_are_reported_with_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    real = MultiHeadAttention.attention

    def damaged(self: MultiHeadAttention, *inputs: Any) -> Attention:
        found = real(self, *inputs)
        queries = found.operands.queries.copy()
        queries[2, 1] = np.nan
        return replace(found, operands=replace(found.operands, queries=queries))

    monkeypatch.setattr(MultiHeadAttention, "attention", damaged)
    assert refused(attn("heads", ONCE, "-m", "random")) == (
        1,
        "the weights of head 0.2 are not all finite numbers",
        "check the weights; float16 overflows easily: --dtype bfloat16 or float32",
    )
    assert attn("heads", ONCE, "-m", "random", "-H", "0,1,3").status == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_every_number_format_shows_the_same_heads(dtype: str) -> None:
    found = heads(REPEATS, "--dtype", dtype, "--where", "induction>=0.4")
    assert names(found) == ["2.6", "2.7", "3.0"]
