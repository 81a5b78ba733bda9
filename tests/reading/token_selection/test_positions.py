"""Tokens by position: the same notation and the same errors as for layers, in the order of the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.errors import UsageError
from attn_cli.reading.token_selection.select import select_tokens
from tests.support.sides import side_of

COUNTS = st.integers(1, 40)


def positions(selection: str, count: int) -> tuple[int, ...]:
    return select_tokens(selection, side_of("a " * count), "row")


@given(COUNTS, st.data())
def test_positions_come_in_the_order_of_the_text(count: int, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(-count, count - 1), min_size=1, max_size=8))
    found = positions(",".join(map(str, numbers)), count)
    assert found == tuple(sorted({number % count for number in numbers}))


@given(COUNTS, st.data())
def test_an_open_range_extends_to_the_last_token(count: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(-count, count - 1))
    assert positions(f"0, {first}-", count) == tuple(sorted({0, *range(first % count, count)}))


def test_all_is_every_token() -> None:
    assert positions("all", 3) == (0, 1, 2)


@pytest.mark.parametrize(
    ("text", "count", "problem", "hint"),
    [
        (
            "900",
            300,
            "row 900 does not exist: the text has 300 tokens, numbered 0 to 299",
            "--rows 299",
        ),
        (
            "280-900",
            300,
            "row 900 does not exist: the text has 300 tokens, numbered 0 to 299",
            "--rows 280-299",
        ),
        (
            "900-905",
            300,
            "row 900 does not exist: the text has 300 tokens, numbered 0 to 299",
            "--rows 299",
        ),
        ("-2", 1, "row -2 does not exist: the text has 1 token, numbered 0", "--rows 0"),
        ("7-4", 9, "'7-4' selects no row: it ends before it begins", "--rows 4-7"),
        ("", 9, "'' selects no row", "--rows 3, -1, 0,2,5, 4-7, 4- or all"),
        ("1,,2", 9, "'1,,2' selects no row", "--rows 1,2"),
        (",", 9, "',' selects no row", "--rows 3, -1, 0,2,5, 4-7, 4- or all"),
        ("0:2", 9, "'0:2' selects no row", "--rows 0-2"),
        ("0..2", 9, "'0..2' selects no row", "--rows 0-2"),
        ("[0; 2]", 9, "'[0; 2]' selects no row", "--rows 0,2"),
        ("ALL", 9, "'ALL' selects no row", "--rows all"),
        ("\u22121", 9, "'\u22121' selects no row", "--rows -1"),
    ],
)
def test_an_invalid_position_is_refused(text: str, count: int, problem: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        positions(text, count)
    assert (refused.value.problem, refused.value.hint) == (problem, hint)


@pytest.mark.parametrize("selection", ["10:30", "ALL", "0..2"])
def test_what_looks_like_a_position_elsewhere_is_a_word_if_the_text_has_it(selection: str) -> None:
    assert select_tokens(selection, side_of(f"at {selection} again"), "row")[0] == 1
