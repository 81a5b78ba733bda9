"""Weights as a picture: a matrix that nobody could read or hold, as the means of its cells.

H query heads, T queries, S keys; R rows and C columns of cells.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands, allowed

Numbers: TypeAlias = npt.NDArray[np.floating]
Truths: TypeAlias = npt.NDArray[np.bool_]

_ROWS = 256  # of a mask at once: 32 MB for 131,072 keys


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """The weights of some heads, a cell the mean of so many rows and columns; at the edge of fewer."""

    weights: Numbers  # (H, R, C)
    visible: Truths  # (R, C) whether any query of the cell may look at any of its keys
    cells: tuple[int, int]
    are_finite: Truths  # (H,) whether all logits that count are finite numbers

    @classmethod
    def of(cls, weights: Numbers, mask: Truths, most: int) -> "Pooled":
        """Of whole matrices (H, T, S), where somebody holds them."""
        from attn_cli.core.streaming.blocks import cells  # only a long text asks

        queries, keys = mask.shape
        size = cells(queries, keys, most)
        rows, columns = np.arange(0, queries, size.rows), np.arange(0, keys, size.columns)
        sums = np.add.reduceat(np.add.reduceat(weights, rows, axis=-2), columns, axis=-1)
        counts = np.multiply.outer(_lengths(rows, queries), _lengths(columns, keys))
        seen = np.logical_or.reduceat(np.logical_or.reduceat(mask, rows, axis=0), columns, axis=1)
        are_finite = np.asarray(np.isfinite(weights).all(axis=(-2, -1)))
        return cls(sums / counts.astype(weights.dtype), seen, (size.rows, size.columns), are_finite)


def pooled(operands: Operands, most: int) -> Pooled:
    """The weights in at most `most` rows and columns of cells, without T × S at once."""
    from attn_cli.core.streaming.stream import summarise  # only a long text asks: 0.02 s

    found = summarise(operands, (), picture=most)
    ends = to_numpy(found.logsumexp)
    return Pooled(
        weights=to_numpy(found.picture),
        visible=_visible(operands, *found.cells),
        cells=found.cells,
        are_finite=np.asarray(np.isfinite(ends[:, to_numpy(found.seen) > 0]).all(axis=-1)),
    )


def _visible(operands: Operands, rows: int, columns: int) -> Truths:
    """(R, C) whether the mask lets any query of a cell look at any of its keys."""
    queries, keys = (int(each.shape[-2]) for each in (operands.queries, operands.keys))
    firsts = np.arange(0, keys, columns)
    cells = (range(first, min(first + rows, queries)) for first in range(0, queries, rows))
    return np.stack([np.logical_or.reduceat(_seen(operands, cell), firsts) for cell in cells])


def _seen(operands: Operands, rows: range) -> Truths:
    """(S,) whether any of these queries may look at the key; some of them at a time."""
    parts = (operands.at(rows[first : first + _ROWS]) for first in range(0, len(rows), _ROWS))
    seen: Truths = np.logical_or.reduce([to_numpy(allowed(part)).any(axis=0) for part in parts])
    return seen


def _lengths(firsts: npt.NDArray[np.integer], count: int) -> npt.NDArray[np.integer]:
    """How many there are from each first to the next."""
    return np.diff(firsts, append=count)
