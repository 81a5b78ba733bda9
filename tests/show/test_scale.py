"""The range of colours, the same in a terminal and in a picture."""

from dataclasses import replace

import numpy as np
import pytest

from attn_cli.show import scale
from attn_cli.show.grids import grid_of
from attn_cli.show.scale import limits_of
from attn_cli.vocabulary import Step

EVERYWHERE = np.ones((1, 2), dtype=bool)


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ([[0.25, 0.75]], (0.25, 0.75)),
        ([[-3.0, 2.0]], (-3.0, 3.0)),
        ([[-2.0, 3.0]], (-3.0, 3.0)),
        ([[-3.0, -2.0]], (-3.0, -2.0)),
        ([[0.0, 2.0]], (0.0, 2.0)),
        ([[-2.0, 0.0]], (-2.0, 0.0)),
        ([[5.0, 5.0]], (5.0, 5.0)),
    ],
)
def test_the_limits_are_the_extremes_and_symmetric_around_zero_where_both_signs_are(
    values: list[list[float]], limits: tuple[float, float]
) -> None:
    assert limits_of(np.array(values), EVERYWHERE) == limits


@pytest.mark.parametrize("hidden", [-np.inf, np.nan, 1e9])
def test_a_masked_cell_does_not_affect_the_limits(hidden: float) -> None:
    assert limits_of(np.array([[1.0, hidden, 2.0]]), np.array([[True, False, True]])) == (1.0, 2.0)


@pytest.mark.parametrize("shape", [(1, 2), (0, 0)])
def test_where_nothing_is_visible_the_limits_are_zero_and_one(shape: tuple[int, int]) -> None:
    assert limits_of(np.full(shape, np.nan), np.zeros(shape, dtype=bool)) == (0.0, 1.0)


def test_the_limits_are_python_numbers() -> None:
    low, high = limits_of(np.array([[1, 2]], dtype=np.float32), EVERYWHERE)
    assert {type(low), type(high)} == {float}


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 0.0), (1.0, 2.0), (-2.0, -1.0)])
def test_limits_are_signed_where_zero_is_inside_them(low: float, high: float) -> None:
    assert scale.is_signed((-1.0, 1.0))
    assert not scale.is_signed((low, high))


@pytest.mark.parametrize(
    ("limits", "even"), [((-3, 1), (-3, 3)), ((-1, 3), (-3, 3)), ((0, 3), (0, 3)), ((-3, -1), (-3, -1))]
)
def test_limits_reach_as_far_below_zero_as_above_where_zero_is_inside(
    limits: tuple[float, float], even: tuple[float, float]
) -> None:
    assert scale.symmetric(limits) == even


@pytest.mark.parametrize(
    ("limits", "is_below"),
    [((-3, -1), True), ((-3, 0), True), ((-3, 1), False), ((0, 0), False), ((0, 3), False), ((1, 3), False)],
)
def test_limits_are_below_zero_where_nothing_is_above_it(limits: tuple[float, float], is_below: bool) -> None:
    assert scale.is_below_zero(limits) == is_below


def test_the_limits_of_scores_are_those_of_the_cells_that_the_mask_leaves() -> None:
    grid = grid_of("scores", np.array([[1.0, -9.0], [2.0, 3.0]]), ["a", "b"], ["a", "b"])
    assert scale.on_unmasked(grid) is grid
    assert scale.on_unmasked(replace(grid, allowed=np.tri(2, dtype=bool))).limits == (1.0, 3.0)
    nowhere = replace(grid, allowed=np.zeros((2, 2), dtype=bool))
    assert scale.on_unmasked(nowhere).limits == (-9.0, 9.0)


@pytest.mark.parametrize("values", [[[0.25, 0.75]], [[-0.75, -0.25]], [[-0.5, 0.75]]])
def test_a_difference_has_zero_in_the_middle_whatever_its_signs(values: list[list[float]]) -> None:
    assert scale.limits_by_size(np.array(values), EVERYWHERE) == (-0.75, 0.75)


def test_only_features_stand_out_by_size() -> None:
    assert not scale.stands_out_by_size(Step.SCORES)
    assert not scale.stands_out_by_size(Step.WEIGHTS)
    assert scale.stands_out_by_size(Step.CONTEXT)


@pytest.mark.parametrize(
    ("several", "limits"),
    [
        ([(0, 1), (2, 4)], (0, 4)),
        ([(-1, 0), (0, 9)], (-9, 9)),
        ([(0, np.inf), (0, 2)], (0, 2)),
        ([(np.nan, np.nan)], (0, 1)),
        ([(3, 3)], (0, 3)),
        ([(-3, -3)], (-3, 0)),
        ([(0, 0)], (0, 1)),
    ],
)
def test_several_grids_have_limits_that_hold_all_with_room_between(
    several: list[tuple[float, float]], limits: tuple[float, float]
) -> None:
    grids = [grid_of("", np.zeros((1, 1)), ["a"], ["b"], limits=own) for own in several]
    assert scale.common_limits(grids) == limits


def test_grids_with_the_same_limits_keep_them_though_zero_is_not_in_the_middle() -> None:
    grids = [grid_of("", np.zeros((1, 1)), ["a"], ["b"], limits=(-2, 8))] * 2
    assert scale.common_limits(grids) == (-2, 8)


def test_equal_factors_are_equal_steps_of_a_log_scale() -> None:
    values = np.array([0.0, 0.001, 0.01, 0.1, 1.0, 2.0])
    found = scale.levels(values, (0.001, 1.0), is_log=True)
    np.testing.assert_allclose(found, [0, 0, 1 / 3, 2 / 3, 1, 1], atol=1e-12)  # float64


def test_zero_is_half_way_and_values_beyond_uneven_limits_are_clipped() -> None:
    assert scale.levels(np.array([-9.0, 0.0, 4.0, 9.0]), (-2, 8)).tolist() == [0.375, 0.5, 0.75, 1.0]


def test_a_level_is_a_share_of_the_way_between_the_limits() -> None:
    assert scale.levels(np.array([2.0, 2.5, 4.0]), (2.0, 4.0)).tolist() == [0.0, 0.25, 1.0]


def test_values_beyond_a_limit_are_clipped() -> None:
    assert scale.levels(np.array([-9.0, 9.0, np.inf, -np.inf]), (0.0, 0.5)).tolist() == [0.0, 1.0, 1.0, 0.0]


def test_zero_is_half_way_where_both_signs_are_and_so_is_what_is_no_number() -> None:
    assert scale.levels(np.array([-3.0, 0.0, np.nan, 1.5]), (-3.0, 3.0)).tolist() == [0.0, 0.5, 0.5, 0.75]


def test_limits_without_room_between_them_have_one_level() -> None:
    assert scale.levels(np.array([5.0, 5.0]), (5.0, 5.0)).tolist() == [0.0, 0.0]
