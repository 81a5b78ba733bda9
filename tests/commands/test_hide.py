"""`--hide` and `--renormalize`: keys out of sight, never out of the softmax, in every command."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import safetensors.numpy

from attn_cli.analysis.distance import measure_distances
from attn_cli.commands.results import hidden
from attn_cli.reading import steps, window
from attn_cli.show.picture.marks import Drawing, Image, Word
from attn_cli.vocabulary import Distance
from tests.support.documents import Model, document
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.worlds import attn, attn_in_terminal, refused

TEXT = "the cat sat on the mat and slept"  # eight words
BOTH = "--heads", "0.0,0.1"
SINK = np.array([1.0, -2.0])

Numbers = npt.NDArray[np.floating]


def weights_of(*words: str | Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document("inspect", *words, "-s", "weights")["attention"]
    return found


def matrix(entry: dict[str, Any], step: str = "weights") -> Numbers:
    return np.array(entry["steps"][step], dtype=float)


def words_of(drawing: Drawing) -> list[str]:
    return [mark.text for mark in drawing.marks if isinstance(mark, Word)]


@pytest.mark.parametrize("family", ["gpt2", "bert", "llama", "mistral", "gemma2", "bloom", "mpnet"])
@pytest.mark.parametrize("hide", ["first", "sat,mat"])
def test_shown_rows_and_what_hidden_keys_took_are_the_whole_row(
    family: str, hide: str, twins: Path, tmp_path: Path
) -> None:
    if family in FAMILIES:
        FAMILIES[family].save(tmp_path)
    line = (TEXT, "-m", tmp_path if family in FAMILIES else twins / family, "-l", "0-1")
    for whole, part, divided in zip(
        weights_of(*line),
        weights_of(*line, "--hide", hide),
        weights_of(*line, "--hide", hide, "--renormalize"),
        strict=True,
    ):
        keys = part["hidden"]["keys"]
        others = [key for key in whole["keys"] if key not in keys]
        assert part["keys"] == divided["keys"] == others
        assert (part["hidden"].get("renormalized"), divided["hidden"]["renormalized"]) == (None, True)
        rows, shown, hidden_weight = matrix(whole), matrix(part), np.array(part["hidden"]["weight"])
        np.testing.assert_array_equal(shown, rows[:, others])
        np.testing.assert_allclose(hidden_weight, rows[:, keys].sum(axis=-1), atol=1e-6)  # float32
        np.testing.assert_allclose(hidden_weight + shown.sum(axis=-1), 1, atol=1e-6)
        left = shown.sum(axis=-1)
        expected = np.divide(shown, left[:, None], out=np.zeros_like(shown), where=left[:, None] > 0)
        np.testing.assert_allclose(matrix(divided), expected, rtol=1e-6)
        np.testing.assert_allclose(matrix(divided).sum(axis=-1), left > 0, atol=1e-6)
        assert divided["hidden"]["weight"] == part["hidden"]["weight"]


def test_a_sink_stays_as_it_is_and_what_is_left_to_keys_is_divided(model: Model) -> None:
    model(SINK)
    for whole, part in zip(
        weights_of(TEXT, *BOTH), weights_of(TEXT, *BOTH, "--hide", "3", "--renormalize"), strict=True
    ):
        assert part["sink"] == whole["sink"]
        rows = matrix(whole)
        kept = np.delete(rows, 3, axis=1)
        np.testing.assert_allclose(matrix(part), kept / kept.sum(axis=-1, keepdims=True), rtol=1e-6)
        total = np.array(part["hidden"]["weight"]) + part["sink"]["weight"] + kept.sum(axis=-1)
        np.testing.assert_allclose(total, 1, atol=1e-6)


def test_in_cross_attention_keys_are_those_of_the_encoder(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    line = ("the cat sat", "--target", "the mat was tired", "-m", tmp_path, "--kind", "cross", *BOTH)
    (whole, *_), (part, *_) = weights_of(*line), weights_of(*line, "--hide", "cat")
    keys = part["hidden"]["keys"]
    assert keys
    np.testing.assert_allclose(part["hidden"]["weight"], matrix(whole)[:, keys].sum(axis=-1), atol=1e-6)


def test_columns_of_hidden_keys_go_from_every_step_with_keys() -> None:
    line = ("inspect", TEXT, "--heads", "1.0", "-s", "keys,values,scores,mask,logits,weights,context")
    (whole,), (part,) = (document(*line, *more)["attention"] for more in ((), ("--hide", "first,4")))
    for step in ("scores", "mask", "logits", "weights"):
        np.testing.assert_array_equal(matrix(part, step), np.delete(matrix(whole, step), [0, 4], axis=1))
    for step in ("keys", "values"):
        np.testing.assert_array_equal(matrix(part, step), np.delete(matrix(whole, step), [0, 4], axis=0))
    assert part["steps"]["context"] == whole["steps"]["context"]
    (scores,) = document("inspect", TEXT, "--heads", "1.0", "-s", "scores", "--hide", "first")["attention"]
    assert len(scores["hidden"]["weight"]) == len(scores["queries"])


def test_hidden_keys_add_up_whatever_columns_are_shown() -> None:
    line = (TEXT, "--heads", "1.0", "--hide", "first", "--hide", "special,2", "--renormalize")
    (all_others,) = weights_of(*line)
    (some,) = weights_of(*line, "--columns", "0-3", "--rows", "4,6")
    assert (some["keys"], some["queries"]) == ([1, 3], [4, 6])
    assert some["hidden"]["keys"] == all_others["hidden"]["keys"] == [0, 2]
    rows = [all_others["hidden"]["weight"][row] for row in (4, 6)]
    np.testing.assert_allclose(some["hidden"]["weight"], rows, rtol=1e-6)
    kept = [all_others["keys"].index(key) for key in (1, 3)]
    np.testing.assert_allclose(matrix(some), matrix(all_others)[np.ix_([4, 6], kept)], rtol=1e-6)


def test_tables_have_a_column_for_hidden_keys_after_that_of_the_sink(model: Model) -> None:
    model(SINK)
    out = attn("inspect", "the cat sat", "--heads", "0.1", "-s", "weights", "--hide", "first").out
    assert out.partition("cpu\n")[2] == HIDDEN_TABLE
    line = ("inspect", "the cat sat", "--heads", "0.1", "-s", "weights", "--hide", "first", "--renormalize")
    answer = attn(*line)
    assert answer.out.partition("\n\n")[2] == DIVIDED_TABLE
    assert answer.err == "row 0 has no weight left to renormalize, and is masked\n"


HIDDEN_TABLE = """\
0 the  1 cat  2 sat
hidden: 0 the

weights 0.1 · 3 × 2 and the sink · hidden 0.50 · range 0 to 1
          1    2 |      |
        cat  sat | sink | hidden
0 the     ·    · | 0.06 |  █0.94
1 cat ▓0.63    · | 0.03 |  ░0.34
2 sat  0.07▓0.68 | 0.02 |  ░0.23
"""
DIVIDED_TABLE = """\
weights 0.1 · 3 × 2 and the sink · hidden 0.50, rest renormalized · range 0 to 1
          1    2 |      |
        cat  sat | sink | hidden
0 the     ·    · | 0.06 |  █0.94
1 cat █1.00    · | 0.03 |  ░0.34
2 sat  0.09█0.91 | 0.02 |  ░0.23
"""


def test_hidden_keys_have_no_part_in_the_shades_of_the_others() -> None:
    table = attn("inspect", TEXT, "--heads", "2.5", "-s", "weights", "--hide", "first").out
    assert "weights 2.5 · 9 × 8 · hidden 1.00 · range 0 to 1" in table
    assert all(line.endswith("|  █1.00") for line in table.splitlines()[-9:])


def test_a_list_of_the_largest_has_them_before_its_keys() -> None:
    out = attn("inspect", TEXT, "--heads", "2.5", "-s", "weights", "--hide", "first", "--top", "2").out
    assert "\n3 sat   → hidden █1.00 | 1 the" in out
    long = " ".join(["the cat sat on a mat"] * 6)
    line = ("inspect", long, "--heads", "2.5", "-s", "weights", "--hide", "first")
    for width in ("40", "80"):
        rows = [row for row in attn_in_terminal(*line, COLUMNS=width).out.splitlines() if "→" in row]
        assert len(rows) == 37
        assert all(" hidden █" in row and len(row) <= int(width) for row in rows)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_files_of_arrays_have_them_and_say_which_in_their_metadata(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"heads{suffix}"
    line = (TEXT, "--heads", "1.0", "--hide", "first", "--renormalize")
    assert attn("inspect", *line, "-s", "weights", "-o", path).status == 0
    (entry,) = weights_of(*line)
    if suffix == ".npz":
        found = dict(np.load(path))
        meta = json.loads(str(found["meta"]))
    else:
        found = safetensors.numpy.load_file(path)
        with safetensors.safe_open(path, "numpy") as file:
            meta = json.loads(file.metadata()["meta"])
    assert meta["attention"][0]["hidden"] == entry["hidden"]
    np.testing.assert_allclose(found["self.1.0.hidden_weight"], entry["hidden"]["weight"], rtol=1e-6)
    np.testing.assert_allclose(found["self.1.0.weights"], matrix(entry), rtol=1e-6)


def test_csv_has_them_as_a_step(tmp_path: Path) -> None:
    path = tmp_path / "heads.csv"
    line = (TEXT, "--heads", "1.0", "--hide", "first")
    assert attn("inspect", *line, "-s", "weights", "-o", path).status == 0
    lines = [row for row in csv.DictReader(io.StringIO(path.read_text())) if row["step"] == "hidden_weight"]
    (entry,) = weights_of(*line)
    assert [float(row["value"]) for row in lines] == entry["hidden"]["weight"]
    assert [row["row"] for row in lines[:2]] == ["0", "1"]


def test_a_picture_names_hidden_keys_once_and_what_they_took_at_each_head(
    drawings: list[Drawing], tmp_path: Path
) -> None:
    line = ("heatmap", TEXT, "--heads", "2.5,2.7", "--hide", "first", "-o", tmp_path / "a.png")
    reason = "keys out of sight take most of the weight in 2 of 2 heads"
    assert attn(*line).err.splitlines() == [
        f"wrote {tmp_path / 'a.png'}",
        f"weights are on a log scale, because {reason}; otherwise: --scale linear",
    ]
    assert attn(*line, "--renormalize", "--force").status == 0
    plain, divided = drawings
    shares = [
        np.mean(entry["hidden"]["weight"]) for entry in weights_of(TEXT, "--heads", "2.5,2.7", "--hide", "0")
    ]
    titles = [f"2.{head} · hidden {share:.2f}" for head, share in zip((5, 7), shares, strict=True)]
    assert {'layer 2, heads 5 and 7 · hidden: "<s>" (0) · storybook', *titles} <= set(words_of(plain))
    assert {f"{title}, rest renormalized" for title in titles} <= set(words_of(divided))
    shapes = [mark.colours.shape[:2] for mark in plain.marks if isinstance(mark, Image)]
    assert shapes == [(9, 8), (9, 8), (256, 1)]
    everything = ("heatmap", TEXT, "--heads", "2.5", "--hide", "0-4", "-o", tmp_path / "b.png")
    assert attn(*everything).status == 0
    assert "layer 2, head 5 · 5 keys hidden · storybook" in words_of(drawings[-1])


def test_a_row_left_empty_is_masked_in_pictures_too(drawings: list[Drawing], tmp_path: Path) -> None:
    answer = attn(
        "heatmap", TEXT, "--heads", "2.5", "--hide", "0-1", "--renormalize", "-o", tmp_path / "a.png"
    )
    assert "2 rows, the first of them 0, have no weight left to renormalize, and are masked" in answer.err
    image = next(mark for mark in drawings[0].marks if isinstance(mark, Image))
    grey = (image.colours[:2] == image.colours[0, 0]).all()
    assert grey
    assert not (image.colours[2] == image.colours[0, 0]).all()


def test_weight_that_hidden_keys_took_to_the_last_bit_cannot_be_divided(model: Model) -> None:
    """A sink so far above the scores that float32 leaves them nothing: there is no 0 / 0."""
    model(np.array([300.0, 0.0]))
    answer = attn("inspect", TEXT, *BOTH, "-s", "weights", "--hide", "first", "--renormalize")
    assert (
        "9 rows of 2 heads (such as 0 of 0.0) have no weight left to renormalize, and are masked"
        in answer.err
    )
    first = answer.out.partition("weights 0.0")[2].partition("weights 0.1")[0]
    rows = [line for line in first.splitlines() if line[:1].isdigit()]
    assert len(rows) == 8
    assert all(row.split(" |")[0].split()[2:] == ["·"] * 7 for row in rows)
    for entry in weights_of(TEXT, *BOTH, "--hide", "first", "--renormalize")[:1]:
        assert not matrix(entry).any()


@pytest.mark.parametrize("sink", [None, SINK])
@pytest.mark.parametrize("more", [[], ["--renormalize"]])
def test_a_long_text_is_pooled_without_them(
    sink: Numbers | None, more: list[str], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    model(sink)
    line = (TEXT, "--heads", "0.1", "--hide", "first,cat", *more)
    (whole,) = weights_of(*line)
    monkeypatch.setattr(window, "LARGEST", 20)
    monkeypatch.setattr("attn_cli.commands.inspect.shared_out", lambda _: 4)
    (pooled,) = weights_of(*line)
    assert (pooled["cells"], pooled["queries"], pooled["keys"]) == ([2, 2], [0, 2, 4, 6], [2, 4, 6])
    means = matrix(whole).reshape(4, 2, 3, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(matrix(pooled), means, rtol=1e-5, atol=1e-8)
    for name in ("hidden", "sink") if sink is not None else ("hidden",):
        rows = np.array(whole[name]["weight"]).reshape(4, 2).mean(axis=-1)
        np.testing.assert_allclose(pooled[name]["weight"], rows, rtol=1e-5)


def test_a_pooled_table_sums_the_keys_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    line = (TEXT, "-m", "random", "--causal", "--heads", "0.1", "--hide", "3")
    (whole,) = weights_of(*line)
    monkeypatch.setattr(window, "LARGEST", 20)
    monkeypatch.setattr("attn_cli.commands.inspect.fitting", lambda *_: 2)
    out = attn("inspect", *line, "-s", "weights").out
    last = np.array(matrix(whole)[4:]).mean(axis=0)
    numbers = [float(number) for number in re.findall(r"\d\.\d\d", out.splitlines()[-1])]
    expected = [last[:4].sum(), last[4:].sum(), np.mean(whole["hidden"]["weight"][4:])]
    np.testing.assert_allclose(numbers, expected, atol=0.006)


def test_a_pooled_table_leaves_room_for_their_column() -> None:
    text = " ".join(f"w{number}" for number in range(15 * 96))
    out = attn_in_terminal(
        "inspect", text, "-m", "random", "--heads", "0.0", "-s", "weights", "--hide", "first"
    ).out
    header = next(line for line in out.splitlines() if line.endswith("| hidden"))
    assert len(header) <= 80


@pytest.mark.parametrize("kind", list(Distance))
@pytest.mark.parametrize("rows", [[], ["--rows", "1,3-5"]])
def test_distances_count_all_hidden_keys_as_one_more(kind: Distance, rows: list[str], model: Model) -> None:
    model(SINK, None)
    places = ("--heads", "0.0,0.1,1.1", "--hide", "first,sat")
    shown, divided = [], []
    for entry in weights_of(TEXT, *places, *rows):
        part, taken = matrix(entry), np.array(entry["hidden"]["weight"])
        sink = entry.get("sink", {"weight": np.zeros(len(part))})["weight"]
        shown.append(np.column_stack([part, sink, taken]))
        left = part.sum(axis=-1, keepdims=True)
        divided.append(np.divide(part, left, out=np.zeros_like(part), where=left > 0))
    for more, expected in (([], shown), (["--renormalize"], divided)):
        found = document("compare", TEXT, *places, "-d", kind, *rows, *more)
        np.testing.assert_allclose(found["matrix"], measure_distances(expected, kind), atol=1e-6)
        assert np.array(found["hidden"]["weight"]).shape == (3, len(shown[0]))
        assert found["hidden"]["keys"] == [0, 2]


@pytest.mark.parametrize("more", [[], ["--words"]])
def test_a_row_without_weight_in_both_heads_has_no_part_in_their_distance(more: list[str]) -> None:
    line = ("compare", TEXT, "--heads", "2.5,2.7", "--hide", "first", "--renormalize", *more)
    whole, others = document(*line), document(*line, "--rows", "1-")
    np.testing.assert_allclose(whole["matrix"], others["matrix"], atol=1e-12)
    assert whole["matrix"][0][1] > 0
    said = "row 0 has no weight left to renormalize in both heads, and is masked"
    assert said in attn(*line, "--json").err
    assert said in attn(*line).err


@pytest.mark.parametrize("more", [[], ["--json"], ["--words"]])
def test_heads_without_any_row_to_compare_are_an_error(more: list[str]) -> None:
    line = ("compare", TEXT, "--heads", "2.5,2.7", "--hide", "first", "--renormalize", "--rows", "0")
    answer = attn(*line, *more)
    assert answer.status == 1
    assert answer.err.endswith(
        "attn: 2.5 and 2.7 cannot be compared: no row has weight left in either\n"
        "try: fewer keys with --hide, or other --rows\n"
    )


def test_the_difference_of_two_heads_has_that_of_what_hidden_keys_took() -> None:
    line = (TEXT, "--heads", "2.5,2.7", "--hide", "first")
    one, other = weights_of(*line)
    found = document("compare", *line)
    np.testing.assert_allclose(found["difference"], matrix(one) - matrix(other), atol=1e-7)
    apart = np.subtract(one["hidden"]["weight"], other["hidden"]["weight"])
    np.testing.assert_allclose(found["hidden_difference"], apart, atol=1e-7)
    assert found["keys"] == one["keys"]
    answer = attn("compare", *line)
    shares = [np.mean(entry["hidden"]["weight"]) for entry in (one, other)]
    assert f"weights 2.5 − 2.7 · 9 × 8 · hidden {shares[0]:.2f} − {shares[1]:.2f} · range" in answer.out
    assert "the mean over the rows, hidden keys as one more key, from 0 to 1" in answer.err
    divided = attn("compare", *line, "--renormalize")
    assert "the mean over the rows of the keys that are left, from 0 to 1" in divided.err
    last = divided.out.splitlines()[-9:]
    assert last[0].split("|")[0].split() == ["0", "<s>", *["·"] * 8]


@pytest.mark.parametrize("more", [[], ["--renormalize"]])
def test_metrics_are_those_of_the_rows_as_they_are_shown(more: list[str], model: Model) -> None:
    model(SINK)
    line = (TEXT, "--hide", "first", *more)
    found = document("heads", *line)
    assert found["hidden"] == {"keys": [0]} | ({"renormalized": True} if more else {})
    names = document("heads", TEXT)["heads"]
    for head, name, entry in zip(
        found["heads"], names, weights_of(TEXT, *BOTH, "--hide", "first", *more), strict=True
    ):
        rows, taken = matrix(entry), np.array(entry["hidden"]["weight"])
        sink = np.array(entry["sink"]["weight"])
        beside = [] if more else [taken, sink]
        full = np.column_stack([rows, *beside])[1:]  # row 0 may look at no other key
        entropy = -(full * np.log(np.where(full > 0, full, 1))).sum(axis=-1)
        apart = np.abs(np.arange(8)[:, None] - np.arange(1, 8))
        assert head["hidden"] == pytest.approx(taken.mean(), rel=1e-5)
        assert head["sink"] == pytest.approx(sink.mean(), rel=1e-5)
        assert head["entropy"] == pytest.approx(entropy.mean(), rel=1e-4)
        assert head["largest"] == pytest.approx(rows[1:].max(axis=-1).mean(), rel=1e-4)
        assert head["distance"] == pytest.approx((rows * apart).sum() / rows.sum(), rel=1e-4)
        assert head["first-token"] is None
        for field in ("pattern", "score", "rows", "patterns"):
            assert head[field] == name[field]


def test_heads_can_be_found_by_what_hidden_keys_take() -> None:
    found = document("heads", TEXT, "--hide", "first", "--where", "hidden>0.9", "--sort", "hidden")["heads"]
    shares = [head["hidden"] for head in found]
    assert len(shares) > 2
    assert shares == sorted(shares, reverse=True)
    assert min(shares) > 0.9
    answer = attn("heads", TEXT, "--hide", "first", "--metric", "hidden", "--top", "3")
    assert "hidden, layer × head · 4 × 8" in answer.out
    assert "\nhidden: 0 <s>\n" in answer.out
    assert (
        "metrics are those of the rows with hidden keys as one more key; patterns are those of whole rows"
        in (answer.err)
    )
    assert refused(attn("heads", TEXT, "--metric", "hidden")) == (
        2,
        "hidden is the weight on hidden keys: no key is hidden",
        "--hide first, or other keys",
    )


def test_by_entropy_a_head_that_rests_on_hidden_keys_comes_last() -> None:
    listed = attn("heads", TEXT, "--hide", "first", "--metric", "entropy", "--top", "0").out
    rows = [line.split()[0] for line in listed.splitlines() if line[:2] in {"0.", "1.", "2.", "3."}]
    by_name = {
        f"{head['layer']}.{head['head']}": head
        for head in document("heads", TEXT, "--hide", "first")["heads"]
    }
    rests = [by_name[name]["hidden"] > 0.5 for name in rows]
    assert rests == sorted(rests)
    assert any(rests)


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        (
            ["--hide", "all"],
            "--hide all leaves nothing to see: it hides all 9 keys",
            "--hide first, or --hide special",
        ),
        (
            ["--hide", "first", "--hide", "1-"],
            "--hide first --hide 1- leaves nothing to see: it hides all 9 keys",
            "--hide first, or --hide special",
        ),
        (
            ["--renormalize"],
            "--renormalize divides rows by what --hide leaves of them: no key is hidden",
            "--hide first --renormalize",
        ),
    ],
)
def test_what_leaves_nothing_to_see_is_refused(
    words: list[str], problem: str, hint: str, tmp_path: Path
) -> None:
    files: dict[str, list[str | Path]] = {
        "heatmap": ["-o", tmp_path / "a.png"],
        "compare": ["--heads", "0.1,3.4"],
    }
    for command in ("inspect", "heatmap", "compare", "heads"):
        assert refused(attn(command, TEXT, *files.get(command, []), *words)) == (2, problem, hint)
    assert not (tmp_path / "a.png").exists()


def test_steps_and_columns_that_have_nothing_to_hide_are_refused() -> None:
    for words, problem, hint in (
        (
            ["-s", "queries,context", "--hide", "first"],
            "--hide hides keys, and there are none in queries and context",
            "-s weights, or leave out --hide",
        ),
        (
            ["-s", "scores", "--hide", "first", "--renormalize"],
            "--renormalize divides weights, and only scores would be shown",
            "-s weights, or leave out --renormalize",
        ),
        (
            ["--columns", "0", "--hide", "first"],
            "--hide leaves nothing to see: it hides every key that --columns selects",
            "other --columns, or leave out --hide",
        ),
        (["--hide", "dog"], "'dog' is not a word of the text: the cat sat on the mat and slept", None),
    ):
        status, found, todo = refused(attn("inspect", TEXT, *words))
        assert (status, found) == (2, problem)
        assert hint is None or todo == hint
    assert refused(attn("heads", "--probe", "--hide", "first")) == (
        2,
        "--probe measures patterns on random tokens, of all keys: --hide was given too",
        "leave out --probe or --hide",
    )


def test_the_key_that_takes_most_of_a_head_is_named(tmp_path: Path) -> None:
    (entry,) = weights_of(TEXT, "--heads", "2.5")
    share = matrix(entry)[1:, 0].mean()
    remark = f'"<s>" (0) takes {share:.2f} of head 2.5\'s weight; --hide first shows the rest\n'
    line = (TEXT, "--heads", "2.5")
    for words in (["inspect", *line], ["inspect", *line, "-s", "weights", "--json"]):
        assert remark in attn(*words).err
    picture = attn("heatmap", *line, "-o", tmp_path / "a.svg").err
    is_log = (
        "weights are on a log scale, because one key takes most of the weight; otherwise: --scale linear\n"
    )
    assert picture == f"wrote {tmp_path / 'a.svg'}\n{is_log}{remark}"
    assert "takes" not in attn("inspect", *line, "--hide", "first").err
    assert "takes" not in attn("inspect", *line, "-s", "scores").err
    assert "takes" not in attn("inspect", "the cat sat on a mat", "--heads", "2.5").err
    assert "takes" not in attn("inspect", TEXT, "--heads", "0.0").err


def test_of_several_heads_the_key_on_which_most_rest_is_named(tmp_path: Path) -> None:
    sharp = {}
    for entry in weights_of(TEXT, "-l", "all"):
        sharp[entry["layer"], entry["head"]] = matrix(entry)[1:, 0].mean() > 0.5
    assert sum(sharp.values()) == 20
    answer = attn("heatmap", TEXT, "-o", tmp_path / "a.svg")
    assert (
        '"<s>" (0) takes more than half of the weight of 20 of 32 heads; --hide first shows the rest'
        in answer.err
    )
    assert "takes" not in attn("heatmap", TEXT, "-l", "0", "-o", tmp_path / "b.svg").err


def test_a_key_in_the_middle_is_named_by_its_position(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden, "MOST_OF_IT", 0.0)
    means = {f"{e['layer']}.{e['head']}": matrix(e)[1:].mean(axis=0) for e in weights_of(TEXT, "-l", "all")}
    head, of_keys = next((head, keys) for head, keys in means.items() if keys.argmax() > 0)
    key = int(of_keys.argmax())
    named = f"({key}) takes {of_keys[key]:.2f} of head {head}'s weight; --hide {key} shows the rest"
    assert named in attn("inspect", TEXT, "--heads", head).err


def test_eight_rows_and_more_than_half_of_their_weight_are_enough_to_name_a_key() -> None:
    assert (steps.FEWEST_ROWS, hidden.MOST_OF_IT) == (8, 0.5)
    for rows, is_said in (("1-8", True), ("1-7", False), ("0-7", False)):
        err = attn("inspect", TEXT, "--heads", "2.5", "--rows", rows).err
        assert ("takes" in err) == is_said


def test_a_long_text_has_its_favourite_key_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "LARGEST", 20)
    err = attn("inspect", TEXT, "--heads", "2.5", "-s", "weights").err
    assert "weights are averaged over blocks" in err
    assert '"<s>" (0) takes 1.00 of head 2.5\'s weight; --hide first shows the rest\n' in err


@pytest.mark.parametrize(
    "option", [("--hide", "first"), ("--columns", "1-"), ("--hide", "first", "--renormalize")]
)
@pytest.mark.parametrize("largest", [8, 2000])
def test_no_key_that_is_out_of_sight_is_named(
    monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...], largest: int
) -> None:
    monkeypatch.setattr(window, "LARGEST", largest)
    assert "; --hide" not in attn("inspect", TEXT, "--heads", "2.5", "-s", "weights", *option).err
