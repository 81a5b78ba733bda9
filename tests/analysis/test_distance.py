"""Distances whose answers are known by hand, and what makes them distances."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attn_cli.analysis.distance import MEASURES, jensen_shannon, measure_distances, measure_distances_of_rows
from attn_cli.grid import Matrix
from attn_cli.vocabulary import Distance

KINDS = list(Distance)

SURE, OTHER, EVEN, NOWHERE = (np.array([row]) for row in ([1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.0, 0.0]))


@st.composite
def rows(draw: st.DrawFn, count: int = 3) -> list[Matrix]:
    """`count` distributions over five keys, with zeros in them."""
    drawn = draw(
        arrays(np.float64, (count, 5), elements=st.floats(0, 1).map(lambda x: x if x > 0.01 else 0.0))
    )
    drawn[:, 0] += 0.01
    return list((drawn / drawn.sum(axis=1, keepdims=True))[:, None, :])


def apart(one: Matrix, other: Matrix, kind: Distance) -> float:
    return float(measure_distances([one, other], kind)[0, 1])


def by_definition(p: list[float], q: list[float], kind: Distance) -> float:
    """Two rows, cell by cell, as the books define it."""
    cells = list(zip(p, q, strict=True))
    match kind:
        case Distance.JENSEN_SHANNON:
            halves = [x * math.log2(2 * x / (p + q)) for p, q in cells for x in (p, q) if x > 0]
            return math.sqrt(max(0.0, math.fsum(halves) / 2))
        case Distance.COSINE:
            return 1 - math.fsum(p * q for p, q in cells) / (math.hypot(*p) * math.hypot(*q))
        case Distance.TOTAL_VARIATION:
            return 1 - math.fsum(min(p, q) for p, q in cells)


@pytest.mark.parametrize("kind", KINDS)
@given(drawn=rows(count=6))
def test_a_distance_is_the_mean_over_rows_of_what_defines_it(kind: Distance, drawn: list[Matrix]) -> None:
    one, other = np.concatenate(drawn[:3]), np.concatenate(drawn[3:])
    pairs = zip(one.tolist(), other.tolist(), strict=True)
    expected = math.fsum(by_definition(p, q, kind) for p, q in pairs) / 3
    # a square root makes 1e-7 of the rounding of a divergence of 0, 1e-15
    assert apart(one, other, kind) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_some_rows_at_a_time_are_as_far_apart_as_all_at_once(kind: Distance, data: st.DataObject) -> None:
    one, other = (np.concatenate(data.draw(rows(count=4))) for _ in range(2))
    cut = data.draw(st.integers(1, 3))
    blocks = [(one[:cut], other[:cut]), (one[cut:], other[cut:])]
    whole = measure_distances([one, other], kind)
    in_blocks = measure_distances_of_rows(blocks, kind)
    np.testing.assert_allclose(in_blocks, whole, atol=1e-15)  # another order of sums


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_weights_are_0_apart(kind: Distance) -> None:
    assert apart(EVEN, EVEN.copy(), kind) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_without_a_key_in_common_are_1_apart(kind: Distance) -> None:
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
def test_rows_that_may_look_nowhere_are_alike(kind: Distance) -> None:
    assert apart(NOWHERE, NOWHERE, kind) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_zeros_has_nothing_in_common_with_a_row_of_weights(kind: Distance) -> None:
    assert apart(NOWHERE, SURE, kind) == apart(EVEN, NOWHERE, kind) == 1


def test_a_table_names_every_two() -> None:
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
def test_no_detour_is_shorter(kind: Distance, drawn: list[Matrix]) -> None:
    a, b, c = drawn
    assert apart(a, c, kind) <= apart(a, b, kind) + apart(b, c, kind) + 1e-7
