"""The rows of a text that are evidence: where no neighbour explains the weight on the tokens of a pattern."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.analysis.evidence_rows import NEAR, count_different, find_evidence_rows
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.vocabulary import Pattern

START = 0


def rows(ids: list[int], pattern: Pattern, special: tuple[int, ...] = ()) -> list[int]:
    """The rows of a causal text that are evidence; `special` are ids."""
    tokens = KeyTokens(np.array(ids), np.isin(ids, special))
    return np.flatnonzero(find_evidence_rows(tokens, 1 + np.arange(len(ids)))[pattern]).tolist()


def copies(distance: int) -> list[int]:
    """A token at position 1, and its copy so many tokens later."""
    return [START, 1, *range(10, 9 + distance), 1]


@pytest.mark.parametrize(("distance", "is_evidence"), [(4, False), (5, True)])
def test_a_copy_within_four_tokens_is_no_evidence(distance: int, is_evidence: bool) -> None:
    assert rows(copies(distance), Pattern.DUPLICATE) == ([1 + distance] if is_evidence else [])


@pytest.mark.parametrize(("distance", "is_evidence"), [(5, False), (6, True)])
def test_what_followed_a_copy_within_four_tokens_is_no_evidence(distance: int, is_evidence: bool) -> None:
    assert rows(copies(distance), Pattern.INDUCTION) == ([1 + distance] if is_evidence else [])


def test_near_is_four_tokens() -> None:
    assert NEAR == 4


@pytest.mark.parametrize(
    "ids",
    [
        [START, 1, 2, 1, 2, 1, 2, 1, 2],  # what followed the copy is the previous token
        [START, 1, 1, 1, 1, 1, 1, 1],  # the copy itself is
        [START, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3],  # two back
        [START, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4],  # three back
    ],
)
def test_a_text_with_a_short_period_is_evidence_of_neither_copies_nor_what_followed_them(
    ids: list[int],
) -> None:
    assert rows(ids, Pattern.INDUCTION) == []
    assert rows(ids, Pattern.DUPLICATE) == []


def test_what_followed_must_be_another_token_than_the_copy() -> None:
    ids = [START, 1, 1, *range(10, 20), 1, 10]
    assert rows(ids, Pattern.INDUCTION) == [14]  # 10, but not 1, which once followed itself


def test_what_followed_must_be_no_special_token() -> None:
    ids = [START, 1, 99, *range(10, 16), 1, 10]
    assert rows(ids, Pattern.INDUCTION) == [9, 10]
    assert rows(ids, Pattern.INDUCTION, (99,)) == [10]


def test_a_special_token_is_evidence_for_nothing() -> None:
    ids = [START, 1, 99, *range(10, 16), 99, 20, 21]
    assert all(9 in rows(ids, pattern) for pattern in Pattern)
    assert not any(9 in rows(ids, pattern, (99,)) for pattern in Pattern)


def test_a_copy_of_the_first_token_shows_where_a_head_rests() -> None:
    ids = [1, 2, *range(10, 20), 1, 2]
    assert rows(ids, Pattern.DUPLICATE) == [13]  # 2
    assert 12 not in rows(ids, Pattern.FIRST)


def test_the_previous_token_is_a_text_token_that_no_copy_explains() -> None:
    ids = [START, 1, 2, 2, 3, 2, 99, 4, 5]
    assert rows(ids, Pattern.PREVIOUS, (START, 99)) == [2, 4, 8]
    # 1: the first token; 3: a copy; 5: followed its copy; 7: after a special token


def test_the_first_token_is_evidence_from_the_third_row_on() -> None:
    assert rows([START, 1, 2, 3], Pattern.FIRST) == [2, 3]
    assert rows([START, 1, 2, 3], Pattern.CURRENT) == [1, 2, 3]


def test_breadth_takes_more_than_four_keys() -> None:
    assert rows([START, 1, 2, 3, 4, 5], Pattern.BROAD) == [4, 5]


def test_without_ids_every_row_is_evidence() -> None:
    found = find_evidence_rows(KeyTokens(), np.array([3, 9]))
    assert {pattern: each.tolist() for pattern, each in found.items()} == {
        Pattern.FIRST: [True, True],
        Pattern.BROAD: [False, True],
    }
    assert count_different(KeyTokens(), np.array([True, True])) == 2


def test_rows_of_one_token_are_one_token() -> None:
    tokens = KeyTokens(np.array([1, 2, 1, 2, 1, 3]))
    assert count_different(tokens, np.array([True, False, True, False, True, False])) == 1
    assert count_different(tokens, np.ones(6, bool)) == 3


@given(st.lists(st.integers(0, 3), min_size=1, max_size=14), st.integers(0, 3))
def test_copies_are_those_of_a_loop_over_all_pairs(ids: list[int], special: int) -> None:
    induction, duplicate = [], []
    for row, token in enumerate(ids):
        earlier = [at for at in range(row) if ids[at] == token]
        followers = [at + 1 for at in earlier]
        is_far = all(row - at > NEAR for at in earlier)
        if token != special and earlier and is_far and 0 not in earlier:
            duplicate.append(row)
        is_plain = all(ids[at] not in {token, special} for at in followers)
        if token != special and earlier and is_plain and all(row - at > NEAR for at in followers):
            induction.append(row)
    assert rows(ids, Pattern.INDUCTION, (special,)) == induction
    assert rows(ids, Pattern.DUPLICATE, (special,)) == duplicate
