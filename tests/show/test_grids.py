"""Numbers as labelled matrices: what is visible, named and coloured."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from attn_cli.grid import Head, Sides
from attn_cli.show.grids import (
    difference_grid,
    distance_grid,
    grid_of,
    metric_grid,
    step_grid,
    step_panels,
    summed_cells,
)
from attn_cli.show.scale import StepScale
from attn_cli.vocabulary import Distance, Kind, Metric, Pool, Step

TEXTS = Sides(["the", "cat"], ["the", "cat"])
CAUSAL = np.array([[True, False], [True, True]])
ONE = np.array([[1.0, 0.0], [0.5, 0.5]])
OTHER = np.array([[1.0, 0.0], [0.25, 0.75]])


def a_head(layer: int = 2, head: int = 5, mask: npt.NDArray[np.bool_] | None = CAUSAL, **steps: Any) -> Head:
    arrays = {Step(word): np.array(numbers, np.float32) for word, numbers in steps.items()}
    return Head(Kind.SELF, layer, head, 0, 0.125, (0, 1), (0, 1), arrays, mask)


def test_a_grid_shows_every_cell_unless_told_otherwise() -> None:
    found = grid_of("weights", np.array([[0.2, 0.8]]), ["cat"], ["the", "sat"])
    assert (found.title, found.rows, found.columns) == ("weights", ("cat",), ("the", "sat"))
    assert found.visible.tolist() == [[True, True]]
    assert found.limits == (0.2, 0.8)
    assert found.are_tokens


def test_a_grid_is_told_what_is_visible_its_limits_and_its_kind_of_columns() -> None:
    visible: npt.NDArray[np.bool_] = np.array([[True, False]])
    values = np.array([[0.2, 0.8]])
    assert grid_of("", values, ["a"], ["b", "c"], visible).limits == (0.2, 0.2)
    found = grid_of("", values, ["a"], ["b", "c"], visible, (0.0, 1.0), are_tokens=False)
    assert found.visible is visible
    assert (found.limits, found.are_tokens) == ((0.0, 1.0), False)


def test_a_step_is_named_and_scores_say_what_they_are() -> None:
    head = a_head(scores=ONE, weights=ONE)
    assert step_grid(TEXTS, head, Step.SCORES).title == "scores 2.5 · q·k × 0.125"
    assert step_grid(TEXTS, head, Step.WEIGHTS).title == "weights 2.5"


def test_weights_are_masked_and_scores_and_bias_are_so_later() -> None:
    head = a_head(scores=ONE, bias=ONE, weights=ONE)
    weights, scores, bias = (step_grid(TEXTS, head, step) for step in (Step.WEIGHTS, Step.SCORES, Step.BIAS))
    assert (weights.visible.tolist(), weights.is_masked_later) == (CAUSAL.tolist(), False)
    for grid in (scores, bias):
        assert grid.visible.all()
        assert grid.is_masked_later
        assert grid.unmasked.tolist() == CAUSAL.tolist()


def test_a_mask_is_shown_whole() -> None:
    head = replace(a_head(), steps={Step.MASK: CAUSAL})
    mask = step_grid(TEXTS, head, Step.MASK)
    assert mask.unmasked.all()
    assert mask.limits == (0.0, 1.0)


def test_weights_span_zero_to_one_whatever_they_are() -> None:
    grid = step_grid(TEXTS, a_head(mask=None, weights=[[0.5, 0.5], [0.25, 0.75]]), Step.WEIGHTS)
    assert (grid.limits, grid.is_log) == ((0, 1), False)


def test_the_scale_of_weights_is_theirs_alone() -> None:
    head, scale = a_head(weights=ONE, scores=-ONE), StepScale((0.01, 0.5), is_log=True)
    weights, scores = (step_grid(TEXTS, head, step, scale) for step in (Step.WEIGHTS, Step.SCORES))
    assert (weights.limits, weights.is_log) == ((0.01, 0.5), True)
    assert (scores.limits, scores.is_log) == ((-1, -0.5), False)


def test_other_steps_may_be_given_limits() -> None:
    head = a_head(scores=ONE, values=ONE)
    for step in (Step.SCORES, Step.VALUES):
        assert step_grid(TEXTS, head, step, StepScale(of_others=(-2, 8))).limits == (-2, 8)


def test_the_limits_of_scores_are_those_of_the_cells_that_the_mask_leaves() -> None:
    scores = [[1.0, -9.0], [2.0, 3.0]]
    assert step_grid(TEXTS, a_head(scores=scores), Step.SCORES).limits == (1.0, 3.0)
    assert step_grid(TEXTS, a_head(scores=scores, mask=None), Step.SCORES).limits == (-9.0, 9.0)


def test_a_step_without_pairs_has_numbered_features_that_stand_out_by_size() -> None:
    grid = step_grid(TEXTS, a_head(values=[[1, 2, 3], [4, 5, 6]]), Step.VALUES)
    assert (grid.rows, grid.columns) == (("the", "cat"), ("0", "1", "2"))
    assert (grid.are_tokens, grid.by_size, grid.row_places) == (False, True, (0, 1))


def test_heads_of_all_layers_are_a_row_for_each() -> None:
    heads = [a_head(layer, head, weights=ONE) for layer in (0, 1) for head in (0, 1)]
    assert [len(row) for row in step_panels(TEXTS, heads, Step.WEIGHTS)] == [2, 2]
    assert [len(row) for row in step_panels(TEXTS, heads[1:], Step.WEIGHTS)] == [3]


def test_a_pooled_cell_has_the_weight_of_its_keys_together() -> None:
    steps = {Step.WEIGHTS: np.array([[0.25, 0.5]])}
    head = Head(Kind.SELF, 0, 0, 0, 1.0, (0,), (0, 2), steps, cells=(3, 2))
    pooled = step_grid(Sides(["a"] * 3, ["a"] * 3), head, Step.WEIGHTS)
    summed = summed_cells(Sides(["a"] * 3, ["a"] * 3), pooled)
    assert (pooled.rows, pooled.columns) == (("0",), ("0", "2"))
    assert (summed.values.tolist(), summed.limits, summed.is_summed) == ([[0.5, 0.5]], (0.0, 1.0), True)


def test_the_largest_weights_of_cells_are_not_added_up() -> None:
    head = Head(Kind.SELF, 0, 0, 0, 1.0, (0,), (0, 2), {Step.WEIGHTS: ONE[:1]}, cells=(3, 2), pool=Pool.MAX)
    pooled = step_grid(Sides(["a"] * 3, ["a"] * 3), head, Step.WEIGHTS)
    assert pooled.pooled == "pooled: each cell is the largest of 3 × 2 weights"
    assert summed_cells(Sides(["a"] * 3, ["a"] * 3), pooled) is pooled


def test_a_matrix_that_is_not_pooled_is_left_as_it_is() -> None:
    grid = step_grid(TEXTS, a_head(weights=ONE), Step.WEIGHTS)
    assert summed_cells(TEXTS, grid) is grid


def test_the_distances_are_coloured_from_0_to_1() -> None:
    grid = distance_grid(Distance.COSINE, ("0.1", "3.4"), np.array([[0, 0.125], [0.125, 0]]))
    assert (grid.title, grid.rows, grid.columns) == ("cosine", ("0.1", "3.4"), ("0.1", "3.4"))
    assert grid.limits == (0, 1)
    assert not grid.are_tokens


def test_the_difference_has_zero_in_the_middle_of_its_colours() -> None:
    one = grid_of("weights 0.1", ONE, "ab", "ab", CAUSAL)
    other = grid_of("weights 3.4", OTHER, "ab", "ab", CAUSAL.T & CAUSAL)
    grid = difference_grid(("0.1", "3.4"), ONE - OTHER, one, other)
    assert grid.title == "weights 0.1 − 3.4"
    assert grid.limits == (-0.25, 0.25)
    assert grid.by_size
    assert not difference_grid(("0.1", "3.4"), ONE - OTHER, replace(one, is_log=True), other).is_log
    np.testing.assert_array_equal(grid.visible, CAUSAL)


def test_a_metric_has_a_row_for_each_layer_and_blanks_where_a_head_has_no_value() -> None:
    places = [(4, 0), (4, 1), (1, 0), (1, 1)]
    grid = metric_grid(Metric.ENTROPY, places, {(4, 0): 1.0, (1, 0): None, (1, 1): 0.5})
    assert (grid.title, grid.rows, grid.columns) == ("entropy, layer × head", ("1", "4"), ("0", "1"))
    assert grid.values.tolist() == [[0.0, 0.5], [1.0, 0.0]]
    assert grid.visible.tolist() == [[False, True], [True, False]]
    assert grid.limits == (0.0, 1.0)


def test_a_metric_that_is_zero_everywhere_has_room_between_its_limits() -> None:
    assert metric_grid(Metric.SPECIAL, [(0, 0)], {(0, 0): 0.0}).limits == (0.0, 1.0)
