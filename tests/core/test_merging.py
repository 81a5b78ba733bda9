"""Weight to a word is the sum over its tokens, from a word the mean over them: merged rows, by loops."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.core.merging import Groups, merged_rows

Numbers = npt.NDArray[np.floating]


def draw_members(draw: Any, tokens: int) -> list[list[int]]:
    """The tokens of each word: neighbours, or any; every token belongs to one."""
    words = draw(st.lists(st.integers(0, tokens - 1), min_size=tokens, max_size=tokens))
    owners = sorted(words) if draw(st.booleans()) else words
    members = [[token for token, owner in enumerate(owners) if owner == word] for word in range(tokens)]
    return sorted(filter(None, members))


def merged_by_loops(
    weights: Numbers, queries: list[list[int]], keys: list[list[int]], looks: npt.NDArray[np.bool_]
) -> Numbers:
    """(H, P, W) the mean over a query's tokens that may look anywhere, of the sum over a key's."""
    rows = np.zeros((weights.shape[0], len(queries), len(keys)))
    for head, row, column in np.ndindex(*rows.shape):
        of_tokens = [
            sum(float(weights[head, query, key]) for key in keys[column])
            for query in queries[row]
            if looks[query]
        ]
        rows[head, row, column] = sum(of_tokens) / len(of_tokens) if of_tokens else 0
    return rows


@given(data=st.data())
def test_merged_rows_equal_those_of_loops_and_sum_to_1(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    queries = draw_members(data.draw, data.draw(st.integers(1, 12)))
    keys = draw_members(data.draw, data.draw(st.integers(1, 12)))
    size = (2, sum(map(len, queries)), sum(map(len, keys)))
    mask = rng.random(size[1:]) < 0.7
    powers = np.exp(rng.normal(0, 3, size)) * mask
    of_sink = np.exp(rng.normal(0, 3, size[:2])) if data.draw(st.booleans()) else None
    total = powers.sum(-1) + (0 if of_sink is None else of_sink)
    weights = powers / np.where(total > 0, total, 1)[..., None]
    sink = None if of_sink is None else np.asarray(of_sink / total)
    looks = np.asarray(mask.any(-1)) if sink is None else np.ones(size[1], dtype=bool)
    merged = merged_rows(weights, mask, Groups.of(queries), Groups.of(keys), sink)
    np.testing.assert_allclose(merged.weights, merged_by_loops(weights, queries, keys, looks), atol=1e-12)
    seen = [[any(mask[query, key] for query in row for key in column) for column in keys] for row in queries]
    np.testing.assert_array_equal(merged.mask, seen)
    taken = 0 if merged.sink is None else merged.sink
    may_look = [bool(looks[row].any()) for row in queries]
    np.testing.assert_allclose(merged.weights.sum(-1) + taken, [may_look, may_look], atol=1e-12)


def test_a_token_that_may_look_nowhere_counts_in_no_mean() -> None:
    mask = np.array([[False, False], [True, True]])
    weights = np.array([[[0.0, 0.0], [0.25, 0.75]]])
    merged = merged_rows(weights, mask, Groups.of([[0, 1]]), Groups.of([[0], [1]]))
    np.testing.assert_array_equal(merged.weights, [[[0.25, 0.75]]])


def test_a_sink_takes_the_mean_of_what_it_takes_of_the_tokens() -> None:
    mask = np.array([[False, False], [True, True]])
    weights, sink = np.array([[[0.0, 0.0], [0.25, 0.25]]]), np.array([[1.0, 0.5]])
    merged = merged_rows(weights, mask, Groups.of([[0, 1]]), Groups.of([[0], [1]]), sink)
    assert merged.sink is not None
    np.testing.assert_array_equal(merged.sink, [[0.75]])
    np.testing.assert_array_equal(merged.weights, [[[0.125, 0.125]]])


@pytest.mark.parametrize("members", [[[0], [1], [2]], [[0, 2], [1]], [[0], [1, 2]]])
def test_groups_keep_their_tokens_whatever_their_order(members: list[list[int]]) -> None:
    sums = Groups.of(members).summed(np.array([1.0, 10.0, 100.0]), -1)
    assert sums.tolist() == [sum(10.0**token for token in own) for own in members]


@pytest.mark.parametrize("tokens", [64, 65, 200])
def test_a_word_of_many_tokens_has_all_of_them(tokens: int) -> None:
    numbers = np.arange(2.0 * (tokens + 2)).reshape(2, tokens + 2)
    sums = Groups.of([[0], list(range(1, tokens + 1)), [tokens + 1]]).summed(numbers, -1)
    expected = np.stack([numbers[:, 0], numbers[:, 1:-1].sum(-1), numbers[:, -1]], axis=1)
    np.testing.assert_array_equal(sums, expected)
