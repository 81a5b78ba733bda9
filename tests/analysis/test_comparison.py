"""Heads against heads, as grids and as JSON."""

import numpy as np
import pytest

from attn_cli.analysis.comparison import comparison, difference_view, distance_view
from attn_cli.grid import Head, Matrix, make_grid
from attn_cli.vocabulary import Distance, Kind, Step

ONE = np.array([[1.0, 0.0], [0.5, 0.5]])
OTHER = np.array([[1.0, 0.0], [0.25, 0.75]])
CAUSAL = np.array([[True, False], [True, True]])


def head(layer: int, index: int, weights: Matrix) -> Head:
    return Head(Kind.SELF, layer, index, index, 1.0, (0, 1), (0, 1), {Step.WEIGHTS: weights})


def test_the_difference_is_the_first_less_the_second() -> None:
    compared = comparison((head(0, 1, ONE), head(3, 4, OTHER)), Distance.TOTAL_VARIATION)
    np.testing.assert_array_equal(compared.difference, [[0, 0], [0.25, -0.25]])
    np.testing.assert_array_equal(compared.matrix, [[0, 0.125], [0.125, 0]])


def test_three_heads_have_no_difference() -> None:
    compared = comparison((head(0, 1, ONE), head(3, 4, OTHER), head(5, 0, ONE)), Distance.COSINE)
    assert compared.difference is None
    assert "difference" not in compared.fields()
    with pytest.raises(AssertionError, match="only two heads have a difference"):
        difference_view(compared, *[make_grid("", ONE, "ab", "ab")] * 2)


def test_the_distances_are_coloured_from_0_to_1() -> None:
    view = distance_view(comparison((head(0, 1, ONE), head(3, 4, OTHER)), Distance.COSINE))
    assert (view.title, view.rows, view.columns) == ("cosine", ("0.1", "3.4"), ("0.1", "3.4"))
    assert view.limits == (0, 1)
    assert not view.are_tokens


def test_the_difference_has_zero_in_the_middle_of_its_colours() -> None:
    compared = comparison((head(0, 1, ONE), head(3, 4, OTHER)), Distance.COSINE)
    one = make_grid("weights 0.1", ONE, "ab", "ab", CAUSAL)
    other = make_grid("weights 3.4", OTHER, "ab", "ab", CAUSAL.T & CAUSAL)
    view = difference_view(compared, one, other)
    assert view.title == "weights 0.1 − 3.4"
    assert view.limits == (-0.25, 0.25)
    np.testing.assert_array_equal(view.visible, CAUSAL)
