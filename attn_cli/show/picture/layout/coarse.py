"""Merges cells that are finer than the dots of a picture: the largest of each block is drawn.

Without that, the picture would show an arbitrary cell of each block, and lose every thin line.
"""

from dataclasses import replace
from math import ceil

import numpy as np
import numpy.typing as npt

from attn_cli.grid import Grid, Landmarks, Matrix
from attn_cli.vocabulary import Pool


def coarser(grid: Grid, rows: float, columns: float) -> Grid:
    """The grid with at most so many rows and columns, each of the same number of the grid's own."""
    tall, wide = (ceil(count / most) for count, most in zip(grid.values.shape, (rows, columns), strict=True))
    if (tall, wide) == (1, 1):
        return grid
    firsts = np.arange(0, len(grid.rows), tall), np.arange(0, len(grid.columns), wide)
    seen = grid.unmasked & np.isfinite(grid.values)
    if not grid.unmasked.any():
        seen = grid.visible & np.isfinite(grid.values)
    merged = replace(
        grid,
        values=_largest(grid, seen, firsts),
        visible=_any(grid.visible, firsts),
        allowed=None if grid.allowed is None else _any(grid.unmasked, firsts),
        sink=None if grid.sink is None else np.maximum.reduceat(grid.sink, firsts[0]),
        hidden=None if grid.hidden is None else replace(grid.hidden, weight=grid.hidden.weight[firsts[0]]),
    )
    return _named(merged, grid, firsts, (tall, wide))


def _largest(grid: Grid, seen: npt.NDArray[np.bool_], firsts: "_Firsts") -> Matrix:
    """The largest of the cells that are seen in each block; by absolute value where these are ranked."""
    high = _reduced(np.maximum, np.where(seen, grid.values, -np.inf), firsts)
    low = _reduced(np.minimum, np.where(seen, grid.values, np.inf), firsts)
    values = np.where(-low > high, low, high) if grid.by_size else high
    return np.where(np.isfinite(high), values, np.nan)


def _any(cells: npt.NDArray[np.bool_], firsts: "_Firsts") -> npt.NDArray[np.bool_]:
    return np.asarray(_reduced(np.logical_or, cells, firsts), dtype=bool)


def _reduced(function: np.ufunc, values: npt.NDArray[np.generic], firsts: "_Firsts") -> Matrix:
    rows, columns = firsts
    return np.asarray(function.reduceat(function.reduceat(values, rows, axis=0), columns, axis=1))


_Firsts = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _named(merged: Grid, grid: Grid, firsts: _Firsts, size: tuple[int, int]) -> Grid:
    """The labels of the blocks, and what a block is."""
    rows, columns = (first.tolist() for first in firsts)
    labelled = replace(
        merged,
        rows=tuple(grid.rows[row] for row in rows),
        columns=tuple(grid.columns[column] for column in columns),
        row_places=None if grid.row_places is None else tuple(grid.row_places[row] for row in rows),
        column_places=None
        if grid.column_places is None
        else tuple(grid.column_places[column] for column in columns),
        row_landmarks=_best(grid.row_landmarks, rows),
        column_landmarks=_best(grid.column_landmarks, columns),
    )
    if grid.is_pooled and grid.pool is Pool.MAX and not grid.by_size:  # the largest of the largest
        return replace(labelled, cells=(grid.cells[0] * size[0], grid.cells[1] * size[1]))
    return replace(labelled, merged=size)


def _best(landmarks: Landmarks | None, firsts: list[int]) -> Landmarks | None:
    return None if landmarks is None else landmarks.best(firsts, len(landmarks.words))
