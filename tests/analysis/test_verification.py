"""Verification against the reference model, with known answers."""

import math

import numpy as np
import pytest

from attn_cli.analysis.verification import (
    Difference,
    HalfRounding,
    LayerDifferences,
    Verdict,
    difference_of,
    is_too_coarse,
    largest_by_layer,
    tolerances,
)
from attn_cli.vocabulary import Check, DType, Kind

EVERYWHERE = np.ones((1, 2, 2), dtype=bool)


def layer_of(kind: Kind = Kind.SELF, layer: int = 0, **steps: float) -> LayerDifferences:
    found = {check: Difference(steps[check.value]) for check in Check if check.value in steps}
    return LayerDifferences(kind, layer, found, {})


def test_a_step_differs_relative_to_its_largest_value_and_weights_absolutely() -> None:
    ours, theirs = np.asarray([[[3.0, -9.0], [0.0, 0.0]]]), np.asarray([[[3.0, -10.0], [0.0, 0.0]]])
    assert difference_of(Check.SCORES, ours, theirs, EVERYWHERE, 0.01).value == pytest.approx(0.1)
    assert difference_of(Check.WEIGHTS, ours, theirs, EVERYWHERE, 0.01).value == pytest.approx(1.0)


def test_the_first_place_that_differs_too_much_is_named_and_not_the_largest() -> None:
    ours, theirs = np.asarray([[[0.1, 0.2], [0.3, 0.9]]]), np.asarray([[[0.1, 0.25], [0.3, 0.1]]])
    found = difference_of(Check.WEIGHTS, ours, theirs, EVERYWHERE, 0.01)
    assert found.value == pytest.approx(0.8)
    assert found.first == (0, 0, 1)


def test_nowhere_differs_if_all_is_within_the_tolerance() -> None:
    same = np.asarray([[[0.5, 0.5], [0.1, 0.9]]])
    assert difference_of(Check.WEIGHTS, same, same + 1e-6, EVERYWHERE, 1e-5).first is None


def test_a_mask_differs_in_a_number_of_cells() -> None:
    causal = np.tril(EVERYWHERE)
    found = difference_of(Check.MASK, EVERYWHERE, causal, EVERYWHERE, 0.0)
    assert found == Difference(1.0, (0, 0, 1))


def test_logits_differ_only_where_both_may_look() -> None:
    ours = np.asarray([[[1.0, -np.inf], [1.0, 2.0]]])
    theirs = np.asarray([[[1.0, -3.4e38], [1.0, 2.0]]])
    assert difference_of(Check.LOGITS, ours, theirs, np.tril(EVERYWHERE), 1e-5) == Difference(0.0)


def test_arrays_of_different_shapes_differ_infinitely() -> None:
    found = difference_of(Check.KEYS, np.zeros((2, 3)), np.zeros((2, 2)), EVERYWHERE, 1.0)
    assert found.value == math.inf


def test_nan_is_a_difference_and_has_a_place() -> None:
    theirs = np.asarray([[[0.5, 0.5], [0.1, 0.9]]])
    ours = theirs.copy()
    ours[0, 1, 0] = np.nan
    found = difference_of(Check.WEIGHTS, ours, theirs, EVERYWHERE, 1.0)
    assert math.isnan(found.value)
    assert found.first == (0, 1, 0)


def test_several_texts_count_as_their_largest() -> None:
    largest = largest_by_layer(
        [
            layer_of(Kind.CROSS, 0, weights=1.0),
            layer_of(Kind.ENCODER, 1, weights=1.0, output=2.0),
            layer_of(Kind.ENCODER, 1, weights=3.0),
            layer_of(Kind.ENCODER, 1, weights=math.nan),
            layer_of(Kind.ENCODER, 0, weights=0.0, output=0.0),
        ]
    )
    assert [(each.kind, each.layer) for each in largest] == [
        (Kind.ENCODER, 0),
        (Kind.ENCODER, 1),
        (Kind.CROSS, 0),
    ]
    assert math.isnan(largest[1].steps[Check.WEIGHTS].value)
    assert largest[1].steps[Check.OUTPUT].value == 2.0


def test_a_step_is_unknown_only_if_no_text_could_compare_it() -> None:
    known = layer_of(scores=0.5)
    unknown = LayerDifferences(Kind.SELF, 0, {}, {Check.SCORES: "a", Check.KEYS: "b"})
    (found,) = largest_by_layer([unknown, known])
    assert found.unknown == {Check.KEYS: "b"}


@pytest.mark.parametrize(
    ("steps", "failing"),
    [
        ({"weights": 1e-5}, None),
        ({"weights": 1.1e-5}, Check.WEIGHTS),
        ({"weights": 0.0, "output": 1.1e-5}, Check.OUTPUT),
        ({"weights": math.nan, "output": 1.0}, Check.WEIGHTS),
        ({"output": math.inf}, Check.OUTPUT),
        ({"mask": 1.0, "weights": 1.0}, Check.MASK),
        ({"queries": 1e-4, "weights": 1.0}, Check.QUERIES),
    ],
)
def test_the_first_step_that_fails_is_named_and_nan_never_passes(
    steps: dict[str, float], failing: Check | None
) -> None:
    allowed = tolerances(DType.FLOAT32, {})
    verdict = Verdict(allowed, (layer_of(queries=0.0, weights=0.0), layer_of(Kind.SELF, 1, **steps)))
    found = verdict.failure
    assert verdict.passed is (failing is None)
    assert (None if found is None else (found.layer, found.check)) == (failing and (1, failing))


def test_every_step_has_a_tolerance_that_grows_with_its_rounding_error() -> None:
    allowed = tolerances(DType.FLOAT32, {Check.SCORES: 3e-5, Check.WEIGHTS: 0.0})
    assert allowed[Check.WEIGHTS].value == 1e-5
    assert allowed[Check.SCORES].value == pytest.approx(3e-4)
    assert allowed[Check.MASK].value == 0.0
    assert tolerances(DType.FLOAT64, {Check.SCORES: 3e-5})[Check.SCORES].value == 1e-10


def test_no_tolerance_is_above_a_thousandth_and_a_coarser_reference_is_refused() -> None:
    assert max(each.value for each in tolerances(DType.FLOAT32, dict.fromkeys(Check, 1.0)).values()) == 1e-3
    assert not is_too_coarse(Check.SCORES, DType.FLOAT32, 1e-4)
    assert is_too_coarse(Check.SCORES, DType.FLOAT32, 1.1e-4)
    assert not is_too_coarse(Check.SCORES, DType.FLOAT64, 1e-2)
    assert is_too_coarse(Check.SCORES, DType.FLOAT32, math.nan)


@pytest.mark.parametrize(
    ("ours", "reference", "explained"),
    [
        (0.01, 0.0, True),
        (0.011, 0.0, False),
        (0.08, 0.02, True),
        (0.081, 0.02, False),
        (0.51, 0.4, False),
        (math.nan, 0.1, False),
    ],
)
def test_half_precision_may_move_weights_about_as_much_as_the_reference_does(
    ours: float, reference: float, explained: bool
) -> None:
    half = HalfRounding(ours, reference)
    assert half.is_explained is explained
    assert Verdict(tolerances(DType.FLOAT32, {}), (layer_of(weights=0.0),), "", half).passed is explained
