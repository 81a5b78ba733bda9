"""The range that colours span, for one matrix or a group: symmetric around 0 where values have both signs.

Terminal and pictures share these rules, so that a cell is as light or as dark in one as in the other.
"""

from collections.abc import Iterable
from dataclasses import replace
from math import isfinite
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.grid import Grid, Matrix
from attn_cli.vocabulary import Step

Limits: TypeAlias = tuple[float, float]
"""The lowest and the highest value that has a colour of its own."""


def limits_of(values: Matrix, visible: npt.NDArray[np.bool_]) -> Limits:
    """The range of the visible values: symmetric around 0 where they have both signs."""
    seen = values[visible]
    if seen.size == 0:
        return (0.0, 1.0)
    return symmetric((float(seen.min()), float(seen.max())))


def limits_of_step(step: Step, values: Matrix, visible: npt.NDArray[np.bool_]) -> Limits:
    """The range of one step of a head; that of weights, which are never negative, starts at 0."""
    low, high = limits_of(values, visible)
    return (0.0 if step is Step.WEIGHTS else low, high)


def limits_by_size(values: Matrix, visible: npt.NDArray[np.bool_]) -> Limits:
    """The range of a difference: symmetric around 0, whatever signs the visible values have."""
    reach = max(abs(limit) for limit in limits_of(values, visible))
    return (-reach, reach)


def common_limits(grids: Iterable[Grid]) -> Limits:
    """The limits of all grids together; never two equal numbers."""
    edges = [edge for grid in grids for edge in grid.limits if isfinite(edge)] or [0.0, 1.0]
    low, high = min(edges), max(edges)
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0 if high else 1.0)
    return symmetric((low, high))


def symmetric(limits: Limits) -> Limits:
    """The limits made symmetric around 0, where 0 is inside them."""
    low, high = limits
    reach = max(-low, high)
    return (-reach, reach) if is_signed(limits) else limits


def is_signed(limits: Limits) -> bool:
    """Whether 0 is inside the limits, which calls for a diverging colour map."""
    low, high = limits
    return low < 0 < high


def is_below_zero(limits: Limits) -> bool:
    """Whether the limits end at or below 0, so that the lowest value is the furthest from it."""
    low, high = limits
    return low < 0 and high <= 0


def on_unmasked(grid: Grid) -> Grid:
    """The same grid, its limits those of the cells that the mask leaves, where it hides some of them."""
    if grid.is_masked_later and grid.unmasked.any():
        return replace(grid, limits=limits_of(grid.values, grid.unmasked))
    return grid


def stands_out_by_size(step: Step) -> bool:
    """Whether the largest values of a step are the largest by absolute value: features of vectors are."""
    return not step.is_pairwise


def levels(values: Matrix, limits: Limits) -> Matrix:
    """Each value as a share, 0 to 1, of the way between the limits; beyond a limit it is that limit's.

    NaN has the level of 0.
    """
    low, high = symmetric(limits)
    width = (high - low) or 1.0
    return np.asarray((np.clip(np.nan_to_num(values), low, high) - low) / width)
