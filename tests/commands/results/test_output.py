"""Tables in a pipe, where nothing is truncated, and the lines above them."""

import re
from pathlib import Path

import pytest

from tests.support.families import TRANSLATORS
from tests.support.worlds import attn, attn_in_terminal

LONG_NAME = "incomprehensibilities"
WIDE = " ".join([LONG_NAME, *(f"word{number}" for number in range(29))])
WORDS = " ".join(f"w{number}" for number in range(300))
PART = ("inspect", WORDS, "-m", "random", "--heads", "0.1", "-s", "weights")


@pytest.mark.parametrize("width", [{}, {"COLUMNS": "30"}, {"COLUMNS": "200"}])
@pytest.mark.parametrize(
    ("line", "tables"),
    [
        (("inspect", "--heads", "0.1", "-s", "scores", "-s", "weights"), 2),
        (("inspect", "--heads", "0.1", "-s", "weights", "--top", "30"), 1),
        (("compare", "--heads", "0.1,0.2"), 3),
        (("heads",), 0),
        (("tokens",), 0),
    ],
)
def test_a_pipe_gets_every_number_and_every_name_in_full(
    line: tuple[str, ...], tables: int, width: dict[str, str]
) -> None:
    command, *rest = line
    out = attn(command, WIDE, "-m", "random", *rest, **width).out
    assert LONG_NAME in out
    for sign in ("…", "no room", "largest of", "left out"):
        assert sign not in out
    rows = [line for line in out.splitlines() if line.startswith(f" 0 {LONG_NAME} ")]
    assert [len(re.findall(r"\.\d\d", row)) for row in rows] == [30] * tables


def test_a_pipe_gets_every_feature() -> None:
    line = ("inspect", "the cat", "--heads", "0.1", "-s", "queries")
    assert len(re.findall(r"\.\d\d", attn(*line).out.splitlines()[-1])) == 32
    assert "left out" in attn_in_terminal(*line).out


def test_a_pipe_gets_the_numbers_of_a_map_whatever_its_width() -> None:
    line = ("heads", "the cat sat", "--metric", "entropy", "--top", "1")
    row = attn(*line, COLUMNS="20").out.split("\n\n")[1].splitlines()[-4]
    assert len(re.findall(r"\d\.\d\d", row)) == 8
    assert "to see the numbers:" in attn_in_terminal(*line, COLUMNS="20").out


def test_a_head_table_in_a_pipe_has_every_metric() -> None:
    heading = attn("heads", "the cat sat on the mat").out.split("\n\n")[2].splitlines()[0]
    assert heading.split()[-1] == "received"


@pytest.mark.parametrize("colour", [{"FORCE_COLOR": "1"}, {"TERM": "xterm-256color"}])
def test_a_pipe_with_colours_is_a_pipe(colour: dict[str, str]) -> None:
    out = attn("inspect", WIDE, "-m", "random", "--heads", "0.1", "-s", "weights", **colour).out
    assert "largest of" not in out


def test_a_part_of_a_long_text_has_one_line_about_its_tokens() -> None:
    out = attn(*PART, "--rows", "100-101", "--columns", "0-4").out
    assert out.splitlines()[:4] == [
        "random · 1 layer × 4 heads of 16 features · 300 tokens · numpy, float32, cpu",
        "rows 100-101 and columns 0-4 of 300 tokens are shown; all tokens: attn tokens",
        "",
        "weights 0.1 · 2 × 5 · range 0 to 1",
    ]


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [
        ("7", "all", "row 7 and all columns"),
        ("all", "3-5,9", "all rows and columns 3-5, 9"),
        ("0,2,4,6", "-1", "rows 0, 2, 4, 6 and column 299"),
        ("0,2,4,6,8", "0-298", "5 rows and columns 0-298"),
    ],
)
def test_the_line_says_which_part_is_shown(rows: str, columns: str, said: str) -> None:
    line = attn(*PART, "--rows", rows, f"--columns={columns}").out.splitlines()[1]
    assert line == f"{said} of 300 tokens are shown; all tokens: attn tokens"


def test_two_heads_compared_on_a_part_have_the_same_line() -> None:
    out = attn("compare", WORDS, "-m", "random", "--heads", "0.1,0.2", "--rows", "5").out
    assert out.splitlines()[1] == "row 5 and all columns of 300 tokens are shown; all tokens: attn tokens"


@pytest.mark.parametrize(("count", "is_listed"), [(64, True), (65, False)])
def test_up_to_64_tokens_are_listed_above_a_part_too(count: int, *, is_listed: bool) -> None:
    words = " ".join(WORDS.split()[:count])
    out = attn("inspect", words, "-m", "random", "--heads", "0.1", "-s", "weights", "--rows", "3").out
    assert out.splitlines()[1].startswith("0 w0  1 w1  2 w2") == is_listed


def test_a_long_text_that_is_shown_in_full_is_listed() -> None:
    assert attn(*PART).out.splitlines()[1].startswith("0 w0  1 w1  2 w2")


def test_both_texts_of_cross_attention_are_counted(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    line = ("inspect", "the cat", "--target", "the mat " * 60, "--kind", "cross", "-m", tmp_path)
    out = attn(*line, "--heads", "0.1", "-s", "weights", "--rows", "4-5").out
    count = len(attn("tokens", "the cat", "-m", tmp_path).out.splitlines()) - 1
    said = f"rows 4-5 of 121 tokens and all columns of {count} tokens are shown; all tokens: attn tokens"
    assert said in " ".join(out.splitlines())


@pytest.mark.slow  # 1,100 tokens
def test_block_averages_are_preceded_by_the_tokens_where_blocks_begin() -> None:
    words = " ".join(f"w{number}" for number in range(1100))
    lines = attn("inspect", words, "-m", "random", "--heads", "0.1").out.splitlines()
    assert " · 1,100 tokens · " in lines[0]
    assert lines[1:4] == [
        "cells begin at  0 w0  96 w96  192 w192  288 w288  384 w384  480 w480  576 w576",
        "672 w672  768 w768  864 w864  960 w960  1056 w1056",
        "",
    ]


def test_top_counts_only_unmasked_keys() -> None:
    line = ("inspect", WORDS, "-m", "random", "--causal", "--heads", "0.1", "--rows", "3", "-s", "weights")
    *_, row = attn_in_terminal(*line, "--top", "10000000", COLUMNS="100").out.splitlines()
    assert row.startswith("3 w3 → ")
    *_, note = attn_in_terminal(*line, "--top", "10000000", COLUMNS="30").out.splitlines()
    assert note == "3 more in a wider window"


def test_a_list_without_masked_scores_has_a_note() -> None:
    line = ("inspect", "a b c", "-m", "random", "--causal", "--heads", "0.1", "-s", "scores", "--rows", "1")
    assert attn(*line, "--top", "9").out.splitlines()[-1] == "masked keys are not listed"


@pytest.mark.slow  # 1,100 tokens
@pytest.mark.parametrize(("letters", "lines"), [(11, 3), (12, 4)])
def test_the_tokens_where_cells_begin_have_three_lines(letters: int, lines: int) -> None:
    words = " ".join(f"{number:0{letters}}" for number in range(1100))
    out = attn("inspect", words, "-m", "random", "--heads", "0.1").out.split("\n\n")[0]
    assert len(out.splitlines()) - 1 == lines
    assert ("all tokens: attn tokens" in out) == (lines > 3)
