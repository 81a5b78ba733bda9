"""The range that colours span, for a matrix or a group: symmetric around 0 if values have both signs.

The terminal and pictures share these rules, so that a cell is equally light in both.
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
"""The lowest and the highest value of the colour scale."""


def limits_of(values: Matrix, visible: npt.NDArray[np.bool_]) -> Limits:
    """The range of the visible values: symmetric around 0 if they have both signs."""
    seen = values[visible]
    if seen.size == 0:
        return (0.0, 1.0)
    return symmetric((float(seen.min()), float(seen.max())))


def limits_of_step(step: Step, values: Matrix, visible: npt.NDArray[np.bool_]) -> Limits:
    """The range of one step of a head; for weights, which are never negative, it starts at 0."""
    low, high = limits_of(values, visible)
    return (0.0 if step is Step.WEIGHTS else low, high)


def limits_by_size(values: Matrix, visible: npt.NDArray[np.bool_]) -> Limits:
    """The range of a difference: symmetric around 0, whatever the signs of the visible values."""
    reach = max(abs(limit) for limit in limits_of(values, visible))
    return (-reach, reach)


def common_limits(grids: Iterable[Grid]) -> Limits:
    """The common limits of all grids; never two equal numbers."""
    edges = [edge for grid in grids for edge in grid.limits if isfinite(edge)] or [0.0, 1.0]
    low, high = min(edges), max(edges)
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0 if high else 1.0)
    return symmetric((low, high))


def symmetric(limits: Limits) -> Limits:
    """The limits, made symmetric around 0 if 0 lies between them."""
    low, high = limits
    reach = max(-low, high)
    return (-reach, reach) if is_signed(limits) else limits


def is_signed(limits: Limits) -> bool:
    """Whether 0 lies between the limits, which calls for a diverging colour map."""
    low, high = limits
    return low < 0 < high


def is_below_zero(limits: Limits) -> bool:
    """Whether the limits end at or below 0, so that the lowest value is the farthest from it."""
    low, high = limits
    return low < 0 and high <= 0


def on_unmasked(grid: Grid) -> Grid:
    """The same grid; if some cells are masked later, the limits are those of the unmasked cells."""
    if grid.is_masked_later and grid.unmasked.any():
        return replace(grid, limits=limits_of(grid.values, grid.unmasked))
    return grid


def stands_out_by_size(step: Step) -> bool:
    """Whether the values of a step are ranked by absolute value, as the features of vectors are."""
    return not step.is_pairwise


def levels(values: Matrix, limits: Limits) -> Matrix:
    """Each value as a fraction, 0 to 1, of the range between the limits; values beyond them are clipped.

    NaN gets the level of 0.
    """
    low, high = symmetric(limits)
    width = (high - low) or 1.0
    return np.asarray((np.clip(np.nan_to_num(values), low, high) - low) / width)
