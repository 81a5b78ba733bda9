"""Verification against the reference model, with known answers."""

import math

import numpy as np
import pytest

from attn_cli.analysis.verification import (
    Difference,
    Tolerance,
    Verdict,
    largest_by_layer,
    largest_difference,
    relative_difference,
    rounding_of,
    tolerance,
)
from attn_cli.vocabulary import DType, Kind

LIMIT = Tolerance(1e-5, "why")


def test_the_largest_difference_counts() -> None:
    assert largest_difference(np.asarray([[0.1, 0.5]]), np.asarray([[0.2, 0.2]])) == pytest.approx(0.3)
    assert relative_difference(np.asarray([3.0, -9.0]), np.asarray([3.0, -10.0])) == pytest.approx(0.1)


def test_arrays_of_different_shapes_differ_infinitely() -> None:
    assert largest_difference(np.zeros((2, 3)), np.zeros((2, 2))) == math.inf


def test_several_texts_count_as_their_largest() -> None:
    largest = largest_by_layer(
        [
            Difference(Kind.CROSS, 0, 1.0, None),
            Difference(Kind.ENCODER, 1, 1.0, 2.0),
            Difference(Kind.ENCODER, 1, 3.0, None),
            Difference(Kind.ENCODER, 0, 0.0, 0.0),
        ]
    )
    assert largest == (
        Difference(Kind.ENCODER, 0, 0.0, 0.0),
        Difference(Kind.ENCODER, 1, 3.0, 2.0),
        Difference(Kind.CROSS, 0, 1.0, None),
    )


@pytest.mark.parametrize(
    ("weights", "output", "passed"),
    [
        (1e-5, None, True),
        (1.1e-5, None, False),
        (0.0, 1.1e-5, False),
        (math.nan, 0.0, False),
        (0.0, math.nan, False),
        (math.inf, 0.0, False),
    ],
)
def test_nan_never_passes(weights: float, output: float | None, passed: bool) -> None:
    verdict = Verdict(LIMIT, (Difference(Kind.SELF, 0, 0.0, 0.0), Difference(Kind.SELF, 1, weights, output)))
    assert verdict.passed is passed


def test_the_tolerance_grows_with_the_rounding_error() -> None:
    assert tolerance(DType.FLOAT32, 0.0).value == 1e-5
    assert tolerance(DType.FLOAT32, 3e-5).value == pytest.approx(3e-4)
    assert tolerance(DType.FLOAT16, 0.01).value == pytest.approx(0.04)
    assert tolerance(DType.FLOAT32, math.nan).value == 1e-5  # what is no number excuses nothing


def test_an_imprecise_reference_raises_the_tolerance_little() -> None:
    assert tolerance(DType.FLOAT32, 1.0).value == 1e-2
    assert tolerance(DType.BFLOAT16, 1.0).value == 0.5
    assert tolerance(DType.FLOAT32, 1.0).reason.startswith("the reference is not accurate enough for less: ")


def test_rounding_is_the_largest_of_all_layers() -> None:
    float32 = {0: np.asarray([1.0]), 1: np.asarray([2.0])}
    float64 = {0: np.asarray([1.0]), 1: np.asarray([2.5])}
    assert rounding_of([(float32, float64)]) == pytest.approx(0.2)
    assert rounding_of([]) == 0.0
