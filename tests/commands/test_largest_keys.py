"""`attn inspect --top` on long texts: the largest keys of whole rows instead of averages over blocks."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attn_cli.reading import window
from tests.support.families import TRANSLATORS
from tests.support.sinks import Sinks
from tests.support.worlds import Answer, attn, attn_in_terminal

pytestmark = pytest.mark.slow  # matrices of 1,100 tokens

COUNT = 1100
LONG = " ".join(f"w{number % 97}" for number in range(COUNT))
RANDOM = (LONG, "-m", "random", "--causal", "--heads", "0.1")
ENTRY = re.compile(r"(\d+) \S+ +[░▒▓█]?(-?\d+\.\d+)")


def lists_of(answer: Answer, name: str = "weights") -> dict[int, list[tuple[int, float]]]:
    """The keys and numbers of each row of the table with this name."""
    assert answer.status == 0
    table = answer.out[answer.out.index(f"\n{name} 0.1") :].split("\n\n")[0]
    rows = (line.split("→") for line in table.splitlines() if "→" in line)
    return {
        int(label.split()[0]): [(int(key), float(value)) for key, value in ENTRY.findall(keys)]
        for label, keys in rows
    }


def whole_weights(*words: str) -> Any:
    answer = attn("inspect", *RANDOM, *words, "-s", "weights", "--rows", "all", "--json").document
    return np.array(answer["attention"][0]["steps"]["weights"], dtype=np.float64)


def test_a_pipe_lists_every_row_of_a_long_text() -> None:
    answer = attn("inspect", *RANDOM, "--top", "3", "--digits", "6")
    found = lists_of(answer)
    weights = whole_weights()
    assert list(found) == list(range(COUNT))
    assert "all rows of 1,100 tokens are shown; all tokens: attn tokens\n" in answer.out
    for row, entries in found.items():
        assert len(entries) == min(3, row + 1)
        largest = np.sort(weights[row])[::-1][: len(entries)]
        np.testing.assert_allclose([value for _, value in entries], largest, atol=1e-6)
        np.testing.assert_allclose([weights[row, key] for key, _ in entries], largest, atol=1e-6)


def test_a_terminal_lists_twenty_rows_up_to_the_last_and_names_the_others() -> None:
    answer = attn_in_terminal("inspect", *RANDOM, "-s", "weights", "--top", "3")
    assert list(lists_of(answer)) == [55 * number - 1 for number in range(1, 21)]
    assert "20 rows of 1,100 tokens are shown; all tokens: attn tokens" in answer.out
    assert "weights 0.1 · 20 × 1100 · range 0 to 1" in answer.out


def test_what_is_not_listed_is_said() -> None:
    remark = (
        "20 of 1,100 rows are listed, evenly spaced; others: --rows 550-569, --rows WORD; "
        "all: --rows all, or a pipe"
    )
    answer = attn_in_terminal("inspect", *RANDOM, "--top", "3")
    assert remark in answer.err.splitlines()
    assert "averaged" not in answer.err
    assert "the 3 largest of 1,100 in each row\n" in answer.out
    assert "the 3 largest of 1,100 in each row, masked keys aside\n" in answer.out  # scores


def test_chosen_rows_are_listed_without_a_remark() -> None:
    assert "row 1099 of 1,100 tokens is shown" in attn("inspect", *RANDOM, "--top", "2", "--rows", "-1").out
    for chosen, rows in (("-1", [1099]), ("w5", list(range(5, COUNT, 97))), ("all", list(range(COUNT)))):
        answer = attn_in_terminal("inspect", *RANDOM, "--top", "2", "--rows", chosen)
        assert list(lists_of(answer)) == rows
        assert "evenly" not in answer.err


def test_columns_narrow_what_is_listed() -> None:
    answer = attn("inspect", *RANDOM, "--top", "2", "--rows", "-1", "--columns", "7,9,11", "--digits", "6")
    (entries,) = lists_of(answer).values()
    weights = whole_weights()[-1]
    best = sorted([7, 9, 11], key=lambda key: -weights[key])[:2]
    assert [key for key, _ in entries] == best
    assert "the 2 largest of 3 in each row" in answer.out


def test_hidden_keys_are_out_of_the_list_and_stand_before_it() -> None:
    words = ("--hide", "first", "--renormalize", "--top", "2", "--rows", "-1", "--digits", "6")
    answer = attn("inspect", *RANDOM, "-s", "weights", *words)
    weights = whole_weights()[-1]
    rest = weights[1:] / weights[1:].sum()
    (entries,) = lists_of(answer).values()
    np.testing.assert_allclose([value for _, value in entries], np.sort(rest)[::-1][:2], atol=1e-6)
    assert re.search(rf"→ hidden .{weights[0]:.6f} \| ", answer.out)
    assert "hidden: 0 w0\n" in answer.out


def test_scores_span_the_range_of_the_whole_rows() -> None:
    answer = attn("inspect", *RANDOM, "-s", "scores", "--top", "1", "--rows", "-1", "--digits", "4")
    scores = attn("inspect", *RANDOM, "-s", "scores", "--rows", "-1", "--json").document
    row = scores["attention"][0]["steps"]["scores"][0]
    low, high = re.findall(r"range (-?[\d.]+) to (-?[\d.]+)", answer.out)[0]
    np.testing.assert_allclose([float(low), float(high)], [min(row), max(row)], atol=1e-4)


def test_steps_too_large_for_a_table_have_a_list() -> None:
    answer = attn("inspect", *RANDOM, "-s", "scores,logits,mask", "--top", "1")
    assert answer.status == 0
    assert len(lists_of(answer, "logits")) == COUNT


def test_files_and_json_have_the_blocks_still() -> None:
    plain, top = (
        attn("inspect", *RANDOM, "-s", "weights", *more, "--json").out for more in ((), ("--top", "3"))
    )
    assert plain == top


def test_small_weights_are_written_with_two_digits() -> None:
    words = ("-m", "random", "--heads", "0.1", "-s", "weights", "--rows", "-1", "--top", "2")
    wide = attn("inspect", " ".join(f"w{number}" for number in range(COUNT)), *words)
    ((_, first), _) = lists_of(wide)[COUNT - 1]
    assert 0.001 <= first < 0.1
    assert re.search(r" 0\.0*[1-9]\d\b", wide.out.splitlines()[-2])


def test_small_weights_of_words_have_two_digits_too() -> None:
    line = ("-m", "random", "--heads", "0.1", "-s", "weights", "--top", "1", "--rows", "-1", "--words")
    answer = attn("inspect", " ".join(f"w{number}" for number in range(COUNT)), *line)
    assert re.search(r"→ +\d+ \S+ +0\.0[1-9]\d$", answer.out, re.MULTILINE)


def test_blocks_that_are_asked_for_are_made() -> None:
    answer = attn("inspect", *RANDOM, "-s", "weights", "--top", "3", "--pool", "max")
    assert "pooled: each cell is the largest of" in answer.out


@pytest.mark.parametrize("kind", ["cross", "decoder", "encoder"])
def test_kinds_of_an_encoder_decoder_are_listed(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    line = ("inspect", "the cat sat on the mat", "--target", "the mat was tired", "-m", tmp_path)
    chosen = (*line, "--kind", kind, "--heads", "0.1", "-s", "weights", "--digits", "6")
    (entry,) = attn(*chosen, "--json").document["attention"]
    monkeypatch.setattr(window, "LARGEST", 10)  # each of them is a long text
    answer = attn(*chosen, "--top", "2")
    found = [ENTRY.findall(line.split("→")[1]) for line in answer.out.splitlines() if "→" in line]
    for row, weights in zip(found, entry["steps"]["weights"], strict=True):
        largest = sorted(weights, reverse=True)[: len(row)]
        np.testing.assert_allclose([float(value) for _, value in row], largest, atol=1e-6)
        np.testing.assert_allclose([weights[int(key)] for key, _ in row], largest, atol=1e-6)
    assert "pooled" not in answer.out


def test_a_sink_stands_before_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Sinks(np.array([1.0, -2.0]))
    monkeypatch.setattr("attn_cli.models.open.open_source", lambda *_, **__: source)
    (entry,) = attn("inspect", LONG, "--heads", "0.1", "--rows", "-1", "-s", "weights", "--json").document[
        "attention"
    ]
    answer = attn("inspect", LONG, "--heads", "0.1", "--rows", "-1", "-s", "weights", "--top", "1")
    assert re.search(rf"→ sink .{entry['sink']['weight'][0]:.3f} \| \d+ w", answer.out)
