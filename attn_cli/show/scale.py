"""The range that colours span, for a matrix or a group: symmetric around 0 if values have both signs.

Weights span 0 to 1, or 0.001 to 1 on a log scale, so that two of them can be compared. The terminal and
pictures share these rules, so that a cell is equally light in both.
"""

from collections.abc import Iterable
from dataclasses import replace
from math import isfinite, log
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.grid import Grid, Matrix
from attn_cli.record import record
from attn_cli.vocabulary import Step

Limits: TypeAlias = tuple[float, float]
"""The lowest and the highest value of the colour scale."""


LINEAR_LIMITS, LOG_LIMITS = (0.0, 1.0), (0.001, 1.0)
"""The limits of weights. Patterns in texts of 2,000 tokens (SmolLM2) are above 0.001."""


@record(frozen=True, slots=True)
class StepScale:
    """The scale of the weights of heads, and the limits of the other steps if not their own range."""

    limits: Limits = LINEAR_LIMITS
    is_log: bool = False
    of_others: Limits | None = None


def limits_of(values: Matrix, visible: npt.NDArray[np.bool_]) -> Limits:
    """The range of the visible values: symmetric around 0 if they have both signs."""
    seen = values[visible]
    if seen.size == 0:
        return (0.0, 1.0)
    return symmetric((float(seen.min()), float(seen.max())))


def limits_by_size(values: Matrix, visible: npt.NDArray[np.bool_]) -> Limits:
    """The range of a difference: symmetric around 0, whatever the signs of the visible values."""
    reach = max(abs(limit) for limit in limits_of(values, visible))
    return (-reach, reach)


def common_limits(grids: Iterable[Grid]) -> Limits:
    """The common limits of all grids; never two equal numbers."""
    grids = list(grids)
    if grids and len({grid.limits for grid in grids}) == 1 and is_span(grids[0].limits):
        return grids[0].limits
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


def is_span(limits: Limits) -> bool:
    """Whether the limits are numbers, the lower one first."""
    low, high = limits
    return isfinite(low) and isfinite(high) and low < high


def is_signed(limits: Limits) -> bool:
    """Whether 0 lies between the limits, which calls for a diverging colour map."""
    low, high = limits
    return low < 0 < high


def is_below_zero(limits: Limits) -> bool:
    """Whether the limits end at or below 0, so that the lowest value is the farthest from it."""
    low, high = limits
    return low < 0 and high <= 0


def on_unmasked(grid: Grid) -> Grid:
    """The same grid; if a later step masks some of its cells, the limits are those of the other cells."""
    if grid.is_masked_later and grid.unmasked.any():
        return replace(grid, limits=limits_of(grid.values, grid.unmasked))
    return grid


def stands_out_by_size(step: Step) -> bool:
    """Whether the values of a step are ranked by absolute value, as the features of vectors are."""
    return not step.is_pairwise


def levels(values: Matrix, limits: Limits, *, is_log: bool = False) -> Matrix:
    """The lightness of each value, 0 to 1, between the limits; values beyond them are clipped.

    If 0 is between the limits, it is half way. NaN gets the level of 0.
    """
    low, high = limits
    clipped = np.clip(np.nan_to_num(values), low, high)
    return fractions(clipped, limits if is_log else symmetric(limits), is_log=is_log)


def fractions(values: Matrix, limits: Limits, *, is_log: bool = False) -> Matrix:
    """How far each value is between the limits, 0 to 1: in equal steps, or in equal factors if `is_log`."""
    low, high = limits
    if is_log:
        return np.asarray((np.log(values) - log(low)) / (log(high) - log(low)))
    return np.asarray((values - low) / ((high - low) or 1.0))
