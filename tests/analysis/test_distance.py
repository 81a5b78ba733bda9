"""Distances with known values, and the properties of a metric."""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attn_cli.analysis.distance import MEASURES, jensen_shannon, measure_distances, measure_distances_of_rows
from attn_cli.grid import Matrix
from attn_cli.vocabulary import Distance

Numbers: TypeAlias = Sequence[float]

KINDS = list(Distance)

SURE, OTHER, EVEN, NOWHERE = (np.array([row]) for row in ([1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.0, 0.0]))


@st.composite
def rows(draw: st.DrawFn, count: int = 3) -> list[Matrix]:
    """`count` distributions over five keys, some of them zero."""
    drawn = draw(
        arrays(np.float64, (count, 5), elements=st.floats(0, 1).map(lambda x: x if x > 0.01 else 0.0))
    )
    drawn[:, 0] += 0.01
    return list((drawn / drawn.sum(axis=1, keepdims=True))[:, None, :])


def apart(one: Matrix, other: Matrix, kind: Distance) -> float:
    return float(measure_distances([one, other], kind)[0, 1])


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_distances_of_blocks_of_rows_equal_those_of_all_rows(kind: Distance, data: st.DataObject) -> None:
    one, other = (np.concatenate(data.draw(rows(count=4))) for _ in range(2))
    cut = data.draw(st.integers(1, 3))
    blocks = [(one[:cut], other[:cut]), (one[cut:], other[cut:])]
    whole = measure_distances([one, other], kind)
    in_blocks = measure_distances_of_rows(blocks, kind)
    np.testing.assert_allclose(in_blocks, whole, atol=1e-15)  # another order of sums


@pytest.mark.parametrize("kind", KINDS)
def test_equal_weights_have_distance_0(kind: Distance) -> None:
    assert apart(EVEN, EVEN.copy(), kind) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_without_a_common_key_have_distance_1(kind: Distance) -> None:
    assert apart(SURE, OTHER, kind) == 1


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # half of 1·log2(1/.75), and half of .5·log2(.5/.75) + .5·log2(.5/.25): 0.311278 bits
        (Distance.JENSEN_SHANNON, math.sqrt((math.log2(4 / 3) + 0.5 * math.log2(2 / 3) + 0.5) / 2)),
        (Distance.COSINE, 1 - 1 / math.sqrt(2)),
        (Distance.TOTAL_VARIATION, 0.5),
    ],
)
def test_one_key_against_two_by_hand(kind: Distance, expected: float) -> None:
    assert apart(SURE, EVEN, kind) == pytest.approx(expected, abs=1e-15)


def test_the_jensen_shannon_divergence_of_the_textbook() -> None:
    assert jensen_shannon(SURE, EVEN)[0] ** 2 == pytest.approx(0.3112781244591328, abs=1e-15)


def test_the_distance_of_two_heads_is_the_mean_of_their_rows() -> None:
    one, other = np.vstack([SURE, SURE, SURE, EVEN]), np.vstack([OTHER, SURE, SURE, EVEN])
    assert apart(one, other, Distance.TOTAL_VARIATION) == 0.25


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_empty_in_both_heads_do_not_count(kind: Distance) -> None:
    one, other = np.vstack([NOWHERE, SURE, EVEN]), np.vstack([NOWHERE, OTHER, EVEN])
    assert apart(one, other, kind) == pytest.approx(apart(one[1:], other[1:], kind), abs=1e-15)
    assert apart(one, other, kind) == pytest.approx(0.5, abs=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_count_for_the_pairs_in_which_they_are_not_empty(kind: Distance) -> None:
    one, other, last = (np.vstack([row, SURE]) for row in (NOWHERE, NOWHERE, SURE))
    table = measure_distances([one, other, last], kind)
    np.testing.assert_allclose(table, [[0, 0, 0.5], [0, 0, 0.5], [0.5, 0.5, 0]], atol=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_two_heads_without_a_row_have_no_distance_but_each_is_like_itself(kind: Distance) -> None:
    table = measure_distances([NOWHERE, NOWHERE], kind)
    np.testing.assert_array_equal(table, [[0, np.nan], [np.nan, 0]])


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_zeros_has_nothing_in_common_with_a_row_of_weights(kind: Distance) -> None:
    assert apart(NOWHERE, SURE, kind) == apart(EVEN, NOWHERE, kind) == 1


def test_the_matrix_has_every_pair() -> None:
    table = measure_distances([SURE, OTHER, EVEN], Distance.TOTAL_VARIATION)
    np.testing.assert_array_equal(table, [[0, 1, 0.5], [1, 0, 0.5], [0.5, 0.5, 0]])


def test_float32_weights_are_measured_in_float64() -> None:
    table = measure_distances([SURE.astype(np.float32), EVEN.astype(np.float32)], Distance.JENSEN_SHANNON)
    assert table.dtype == np.float64


@pytest.mark.parametrize("kind", KINDS)
@given(drawn=rows())
def test_a_distance_is_symmetric_and_from_0_to_1(kind: Distance, drawn: list[Matrix]) -> None:
    one, other = MEASURES[kind](drawn[0], drawn[1]), MEASURES[kind](drawn[1], drawn[0])
    np.testing.assert_allclose(one, other, atol=1e-12)  # sums in another order
    assert 0 <= one[0] <= 1


# A square root makes 1e-7 of the rounding of a divergence of 0, 1e-15: so far may a sum be short.
@pytest.mark.parametrize("kind", [Distance.JENSEN_SHANNON, Distance.TOTAL_VARIATION])
@given(drawn=rows())
def test_the_triangle_inequality_holds(kind: Distance, drawn: list[Matrix]) -> None:
    a, b, c = drawn
    assert apart(a, c, kind) <= apart(a, b, kind) + apart(b, c, kind) + 1e-7


def divergence(p: Numbers, q: Numbers) -> float:
    """Lin 1991, (4.1): half the relative entropies of both to their mean, in bits."""
    total = 0.0
    for a, b in zip(p, q, strict=True):
        total += a * math.log2(2 * a / (a + b)) / 2 if a > 0 else 0.0
        total += b * math.log2(2 * b / (a + b)) / 2 if b > 0 else 0.0
    return max(total, 0.0)


def angle(p: Numbers, q: Numbers) -> float:
    product = sum(a * b for a, b in zip(p, q, strict=True))
    return 1 - product / (math.hypot(*p) * math.hypot(*q))


def moved(p: Numbers, q: Numbers) -> float:
    return sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2


BY_HAND: dict[Distance, Callable[[Numbers, Numbers], float]] = {
    Distance.JENSEN_SHANNON: lambda p, q: math.sqrt(divergence(p, q)),
    Distance.COSINE: angle,
    Distance.TOTAL_VARIATION: moved,
}


def by_hand(one: Matrix, other: Matrix, kind: Distance) -> float:
    """The mean over the rows, number by number: none if both have no weight, 1 if only one has none."""
    found = [
        BY_HAND[kind](p, q) if any(p) and any(q) else 1.0
        for p, q in zip(one.tolist(), other.tolist(), strict=True)
        if any(p) or any(q)
    ]
    return sum(found) / len(found) if found else math.nan


@st.composite
def heads(draw: st.DrawFn, count: int) -> list[Matrix]:
    """Weights of `count` heads under one mask: a sink takes a part of some rows, and all of others."""
    queries, keys = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    mask = draw(arrays(np.bool_, (queries, keys)))
    powers = draw(arrays(np.float64, (count, queries, keys), elements=st.floats(2**-40, 1)))
    sinks = draw(arrays(np.float64, (count, queries), elements=st.sampled_from([0.0, 0.1, 5.0, 1e6])))
    seen = np.where(mask, powers, 0.0)
    totals = seen.sum(axis=-1) + sinks
    kept = draw(arrays(np.bool_, (count, queries))) | (sinks < 1e6)
    return list(np.where(totals > 0, kept / np.where(totals > 0, totals, 1), 0)[..., None] * seen)


# A root makes 1e-8 of the rounding of a divergence of 0, 1e-16; the others round a few sums of at most 1.
APART = {Distance.JENSEN_SHANNON: 1e-7, Distance.COSINE: 1e-14, Distance.TOTAL_VARIATION: 1e-14}


@pytest.mark.parametrize("kind", KINDS)
@given(weights=heads(count=3))
def test_the_distances_of_heads_are_those_of_their_definitions(kind: Distance, weights: list[Matrix]) -> None:
    expected = np.array([[by_hand(one, other, kind) for other in weights] for one in weights])
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(measure_distances(weights, kind), expected, rtol=0, atol=APART[kind])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # .5 log2(.5/.375) + .25 log2(.25/.375), halved: what the sink took has no part in it
        (Distance.JENSEN_SHANNON, math.sqrt((0.5 * math.log2(4 / 3) + 0.25 * math.log2(2 / 3)) / 2)),
        (Distance.COSINE, 0.0),
        (Distance.TOTAL_VARIATION, 0.125),
    ],
)
def test_the_share_of_a_sink_is_no_weight_on_a_key(kind: Distance, expected: float) -> None:
    assert apart(np.array([[0.5, 0.0]]), np.array([[0.25, 0.0]]), kind) == pytest.approx(expected, abs=1e-15)


def test_the_smallest_float_does_not_give_distance_1() -> None:
    assert apart(np.array([[1.0, 5e-324]]), SURE, Distance.JENSEN_SHANNON) == 0
