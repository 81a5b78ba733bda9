"""Pools weights into a picture if the matrix is too large to hold: each cell is a mean, or the largest.

H query heads, T queries, S keys; R rows and C columns of cells.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attn_cli.core.arrays import Booleans, Floats, Integers, to_numpy
from attn_cli.core.attention import Operands, allowed
from attn_cli.core.masks import Band
from attn_cli.record import record
from attn_cli.vocabulary import Metric, Pool

if TYPE_CHECKING:
    from attn_cli.core.hiding import Hiding, Shares
    from attn_cli.core.streaming.summary import Summary

_ROWS = 256  # of a mask at once: 32 MB for 131,072 keys


@record(frozen=True, slots=True, eq=False)
class Pooled:
    """The weights of some heads, pooled over cells; those at the edge may have fewer rows and columns."""

    weights: Floats  # (H, R, C)
    visible: Booleans  # (R, C) whether any query of the cell may look at any of its keys
    cells: tuple[int, int]  # rows and columns of a cell
    are_finite: Booleans  # (H,) whether all unmasked logits are finite
    sink: Floats | None = None  # (H, R) the weight of a learned sink, pooled over the rows of a cell
    hidden: Floats | None = None  # (H, R) the same of hidden keys, which have no columns
    left: Floats | None = None  # (H, R) the same of the other keys
    logsumexp: Floats | None = None  # (H, T) of the logits, if they are known
    received: Floats | None = None  # (H, S) what each key gets, summed over all rows

    @classmethod
    def of(
        cls, weights: Floats, mask: Booleans, most: int, way: Pool = Pool.MEAN, sink: Floats | None = None
    ) -> "Pooled":
        """Pool full matrices (H, T, S) with their mask (T, S), and the weight of a sink (H, T)."""
        from attn_cli.core.streaming.blocks import choose_cell_size  # only long texts need it

        queries, keys = mask.shape
        size = choose_cell_size(queries, keys, most)
        rows, columns = np.arange(0, queries, size.rows), np.arange(0, keys, size.columns)
        cells = over(over(weights, rows, -2, way), columns, -1, way)
        visible = np.logical_or.reduceat(np.logical_or.reduceat(mask, rows, axis=0), columns, axis=1)
        are_finite = np.asarray(np.isfinite(weights).all(axis=(-2, -1)))
        of_sink = None if sink is None else _of_rows(sink, size.rows, way)
        return cls(
            cells,
            visible,
            (size.rows, size.columns),
            are_finite,
            of_sink,
            received=weights.sum(axis=-2),
        )

    def beside(self, shares: "Shares", way: Pool = Pool.MEAN) -> "Pooled":
        """The same with what hidden keys take, means over the rows of a cell, and a sink if there is one."""
        tall = self.cells[0]
        return replace(
            self,
            hidden=_of_rows(shares.hidden, tall, Pool.MEAN),
            left=_of_rows(shares.left, tall, Pool.MEAN),
            sink=self.sink if shares.sink is None else _of_rows(shares.sink, tall, way),
        )


def pool(operands: Operands, most: int, way: Pool = Pool.MEAN) -> Pooled:
    """The weights in at most `most` rows and `most` columns of cells, without holding T × S numbers."""
    from attn_cli.core.streaming.stream import summarise  # only long texts need it: 0.02 s

    summary = summarise(operands, (Metric.SINK, Metric.RECEIVED), picture=most, pool=way)
    return pooled_by(summary, operands, way)


def pooled_by(summary: "Summary", operands: Operands, way: Pool) -> Pooled:
    """The pooled weights that a summary of these operands has, with what sinks take and keys receive."""
    sink = summary.values.get(Metric.SINK)
    ends, looks = to_numpy(summary.logsumexp), to_numpy(summary.visible_keys) > 0
    return Pooled(
        weights=to_numpy(summary.picture),
        visible=_visible(operands, *summary.cells),
        cells=summary.cells,
        are_finite=np.asarray(np.isfinite(ends[:, looks]).all(axis=-1)),
        sink=None if sink is None else _of_rows(to_numpy(sink), summary.cells[0], way),
        logsumexp=ends,
        received=to_numpy(summary.values[Metric.RECEIVED]),
    )


def pool_others(operands: Operands, most: int, hiding: "Hiding", way: Pool = Pool.MEAN) -> Pooled:
    """The same of the keys that are not hidden."""
    from attn_cli.core.hiding import without_columns  # few commands hide keys

    others = without_columns(operands, hiding)
    pooled = pool(others.operands, most, way)
    assert pooled.logsumexp is not None, "it is known where logits are"
    whole = replace(pooled, are_finite=pooled.are_finite & others.are_finite, sink=None)
    return whole.beside(others.shares(pooled.logsumexp), way)


def _of_rows(sink: Floats, rows: int, way: Pool) -> Floats:
    """(H, R) every `rows` rows of (H, T) as one number; the last may be of fewer."""
    return over(sink, np.arange(0, sink.shape[-1], rows), -1, way)


def over(values: Floats, firsts: Integers, axis: int, way: Pool) -> Floats:
    """The mean or the largest of the values from each of `firsts` to the next, along an axis."""
    if way is Pool.MAX:
        return np.asarray(np.maximum.reduceat(values, firsts, axis=axis))
    counts = _lengths(firsts, values.shape[axis]).astype(values.dtype)
    sums = np.add.reduceat(values, firsts, axis=axis)
    return np.asarray(sums / (counts if axis == -1 else counts[:, None]))


def _visible(operands: Operands, rows: int, columns: int) -> Booleans:
    """(R, C) whether any query of a cell may look at any of its keys."""
    queries, keys = int(operands.queries.shape[-2]), int(operands.keys.shape[-2])
    firsts = np.arange(0, keys, columns)
    cells = [range(first, min(first + rows, queries)) for first in range(0, queries, rows)]
    if isinstance(operands.mask, Band):  # no pair needs to be looked at
        reached = (operands.mask.reach(cell, keys) for cell in cells)
        starts, stops = np.asarray([(reach.start, reach.stop) for reach in reached]).T[..., None]
        lasts = np.minimum(firsts + columns, keys)
        return np.asarray((starts < stops) & (starts < lasts) & (stops > firsts))
    if rows <= _ROWS:
        together = _ROWS // rows * rows
        starts = range(0, queries, together)
        blocks = (range(first, min(first + together, queries)) for first in starts)
        return np.concatenate([_any_seen(operands, block, rows, firsts) for block in blocks])
    return np.stack([np.logical_or.reduceat(_visible_keys(operands, cell), firsts) for cell in cells])


def _any_seen(operands: Operands, block: range, rows: int, firsts: Integers) -> Booleans:
    """(n, C) the same of the cells in a block of queries, whose mask is computed at once."""
    seen = to_numpy(allowed(operands.at(block)))
    if len(firsts) != seen.shape[-1]:
        seen = np.logical_or.reduceat(seen, firsts, axis=1)
    found: Booleans = seen if rows == 1 else np.logical_or.reduceat(seen, np.arange(0, len(block), rows))
    return found


def _visible_keys(operands: Operands, rows: range) -> Booleans:
    """(S,) whether any of these queries may look at the key; computed a few rows at a time."""
    blocks = (operands.at(rows[first : first + _ROWS]) for first in range(0, len(rows), _ROWS))
    visible: Booleans = np.logical_or.reduce([to_numpy(allowed(block)).any(axis=0) for block in blocks])
    return visible


def _lengths(firsts: Integers, count: int) -> Integers:
    """The number of elements from each of `firsts` to the next."""
    return np.diff(firsts, append=count)
