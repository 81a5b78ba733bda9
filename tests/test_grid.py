"""What a view may know: a labelled matrix, its range, and the steps of one head."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.grid import Head, limits_of, make_grid
from attn_cli.vocabulary import Kind

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
def test_a_masked_cell_has_no_say_in_the_limits(hidden: float) -> None:
    assert limits_of(np.array([[1.0, hidden, 2.0]]), np.array([[True, False, True]])) == (1.0, 2.0)


@pytest.mark.parametrize("shape", [(1, 2), (0, 0)])
def test_where_nothing_is_visible_the_limits_are_zero_and_one(shape: tuple[int, int]) -> None:
    assert limits_of(np.full(shape, np.nan), np.zeros(shape, dtype=bool)) == (0.0, 1.0)


def test_the_limits_are_python_numbers() -> None:
    low, high = limits_of(np.array([[1, 2]], dtype=np.float32), EVERYWHERE)
    assert {type(low), type(high)} == {float}


def test_a_grid_shows_every_cell_unless_told_otherwise() -> None:
    found = make_grid("weights", np.array([[0.2, 0.8]]), ["cat"], ["the", "sat"])
    assert (found.title, found.rows, found.columns) == ("weights", ("cat",), ("the", "sat"))
    assert found.visible.tolist() == [[True, True]]
    assert found.limits == (0.2, 0.8)
    assert found.are_tokens


def test_a_grid_is_told_what_is_visible_its_limits_and_its_kind_of_columns() -> None:
    visible: npt.NDArray[np.bool_] = np.array([[True, False]])
    values = np.array([[0.2, 0.8]])
    assert make_grid("", values, ["a"], ["b", "c"], visible).limits == (0.2, 0.2)
    found = make_grid("", values, ["a"], ["b", "c"], visible, (0.0, 1.0), are_tokens=False)
    assert found.visible is visible
    assert (found.limits, found.are_tokens) == ((0.0, 1.0), False)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 0.0), (1.0, 2.0), (-2.0, -1.0)])
def test_a_grid_is_signed_where_zero_is_inside_its_limits(low: float, high: float) -> None:
    assert make_grid("", np.zeros((1, 1)), ["a"], ["b"], limits=(-1.0, 1.0)).is_signed
    assert not make_grid("", np.zeros((1, 1)), ["a"], ["b"], limits=(low, high)).is_signed


def test_a_grid_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_grid("", np.zeros((1, 1)), ["a"], ["b"]).title = "other"  # type: ignore[misc]


def test_a_head_is_named_as_a_person_selects_it() -> None:
    head = Head(Kind.SELF, layer=2, head=11, kv_head=5, scale=0.125, queries=(0,), keys=(0,), steps={})
    assert head.name == "2.11"
