"""Comparison of heads, as numbers and as JSON."""

from dataclasses import replace

import numpy as np

from attn_cli.analysis.comparison import compare_weights
from attn_cli.grid import Head, Matrix
from attn_cli.vocabulary import Distance, Kind, Step

ONE = np.array([[1.0, 0.0], [0.5, 0.5]])
OTHER = np.array([[1.0, 0.0], [0.25, 0.75]])


def head(layer: int, index: int, weights: Matrix) -> Head:
    return Head(Kind.SELF, layer, index, index, 1.0, (0, 1), (0, 1), {Step.WEIGHTS: weights})


def test_the_difference_is_the_first_minus_the_second() -> None:
    compared = compare_weights((head(0, 1, ONE), head(3, 4, OTHER)), Distance.TOTAL_VARIATION)
    np.testing.assert_array_equal(compared.difference, [[0, 0], [0.25, -0.25]])
    np.testing.assert_array_equal(compared.matrix, [[0, 0.125], [0.125, 0]])


def test_a_comparison_names_the_kind_of_attention() -> None:
    heads = [replace(head(1, index, ONE), kind=Kind.CROSS) for index in range(2)]
    assert compare_weights(heads, Distance.COSINE).fields()["kind"] == "cross"


def test_three_heads_have_no_difference() -> None:
    compared = compare_weights((head(0, 1, ONE), head(3, 4, OTHER), head(5, 0, ONE)), Distance.COSINE)
    assert compared.difference is None
    assert "difference" not in compared.fields()
