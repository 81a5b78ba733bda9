"""How much of a matrix is shown: a selection, all of it, or block averages."""

import pytest

from attn_cli.errors import UsageError
from attn_cli.models.tokens.token import Token
from attn_cli.reading.token_selection.select import select_tokens
from attn_cli.reading.token_selection.text_side import TextSide
from attn_cli.reading.window import LARGEST, Window, chosen_window
from attn_cli.vocabulary import Step


def shown(count: int, rows: str | None = None, columns: str | None = None, *steps: Step) -> Window:
    side = TextSide([Token(place, 0, "", "", 0, 0, special=False, segment=0) for place in range(count)], [""])
    chosen_rows = None if rows is None else select_tokens(rows, side, "row")
    chosen_columns = None if columns is None else select_tokens(columns, side, "column")
    return chosen_window((count, count), chosen_rows, chosen_columns, steps or None, 40)


def sentence(count: int, *steps: Step, rows: str | None = None) -> tuple[str, str]:
    with pytest.raises(UsageError) as refused:
        shown(count, rows, None, *steps)
    return refused.value.problem, refused.value.hint


def test_a_matrix_of_1024_tokens_is_shown_in_full_and_a_larger_one_averaged() -> None:
    assert shown(1024).is_whole
    assert (shown(1025).is_pooled, shown(1025).most) == (True, 40)


def test_the_two_sides_count_together() -> None:
    assert chosen_window((10, 100_000), None, None, None, 40).is_whole
    assert chosen_window((100, 100_000), None, None, None, 40).is_pooled


def test_a_selection_is_shown_in_full() -> None:
    found = shown(9000, "100-120", "-1,3")
    assert (found.rows, found.columns) == (tuple(range(100, 121)), (3, 8999))
    assert not found.is_pooled
    assert not found.is_whole


def test_all_is_a_selection_too() -> None:
    assert shown(3000, "all").is_whole
    assert len(shown(9000, None, "0-64").rows) == 9000


def test_only_weights_are_pooled() -> None:
    assert shown(9000, None, None, Step.WEIGHTS).is_pooled
    pooled = "--rows 0-127, or only -s weights, which are pooled"
    assert sentence(8192, Step.SCORES) == (
        "scores of 8,192 × 8,192 tokens are too large: 256 MB per head",
        pooled,
    )
    assert sentence(8192, Step.MASK) == ("mask of 8,192 × 8,192 tokens is too large: 64 MB per head", pooled)
    both = sentence(8192, Step.WEIGHTS, Step.QUERIES)
    assert both == ("weights of 8,192 × 8,192 tokens are too large: 256 MB per head", pooled)


def test_steps_without_pairs_of_tokens_are_never_too_large() -> None:
    assert shown(9000, None, None, Step.QUERIES, Step.OUTPUT).is_whole


def test_a_huge_matrix_is_refused_even_if_requested() -> None:
    found = sentence(32_768, Step.WEIGHTS, rows="all")
    assert found == ("weights of 32,768 × 32,768 tokens are too large: 4,096 MB per head", "--rows 0-31")


def test_a_block_of_whole_rows_holds_no_more_than_a_matrix_that_is_shown() -> None:
    blocks = list(shown(9000, None, "0-64").blocks())
    assert [row for block in blocks for row in block] == list(range(9000))
    assert max(len(block) for block in blocks) * 9000 <= LARGEST
    assert list(shown(1024).blocks()) == [range(1024)]


def test_at_most_a_gigabyte_is_shown_on_request() -> None:
    assert shown(16_384, "all").is_whole
    assert shown(32_768, "0-8191").rows == tuple(range(8192))
    found = sentence(16_385, Step.WEIGHTS, rows="all")
    assert found == ("weights of 16,385 × 16,385 tokens are too large: 1,024 MB per head", "--rows 0-62")


def test_a_row_more_than_a_million_numbers_makes_a_picture() -> None:
    assert chosen_window((1024, 1024), None, None, None, 40).is_whole
    assert chosen_window((1025, 1024), None, None, None, 40).is_pooled
