"""Pools the weights between words into a picture, a block of rows at a time.

H query heads, P and W words of queries and of keys; R rows and C columns of cells.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attn_cli.core.arrays import Floats
from attn_cli.core.merging import WordRows
from attn_cli.core.streaming.blocks import CellSize, choose_cell_size
from attn_cli.core.streaming.pooling import Pooled, over
from attn_cli.record import record
from attn_cli.vocabulary import Pool

if TYPE_CHECKING:
    from attn_cli.core.hiding import Hiding, Shares


@record(frozen=True, slots=True)
class PicturePlan:
    """How the weights between words are pooled."""

    queries: int  # P
    keys: int  # W
    most: int  # rows and columns of cells
    way: Pool
    hiding: "Hiding | None" = None  # words without columns; None: none is hidden

    @property
    def columns(self) -> list[int]:
        """The words that have columns."""
        return list(range(self.keys)) if self.hiding is None else self.hiding.others(self.keys)

    @property
    def size(self) -> CellSize:
        """The size of a cell."""
        return choose_cell_size(self.queries, len(self.columns), self.most)


def pool_words(blocks: Iterable[tuple[int, WordRows]], plan: PicturePlan) -> Pooled:
    """The weights of all rows, which come in blocks after the number of their first row."""
    cells, received = dict[str, _CellRows](), np.zeros(())
    for first, rows in blocks:
        weights, shares = _as_shown(rows.weights, plan)
        received = received + weights[..., plan.columns].sum(axis=-2, dtype=np.float64)
        for name, values in _block(replace(rows, weights=weights), shares, plan).items():
            way = Pool.MAX if name == "visible" else Pool.MEAN if name in {"hidden", "left"} else plan.way
            cells.setdefault(name, _CellRows(plan, way)).add(first, values)
    pooled = {name: rows.pooled() for name, rows in cells.items()}
    columns = {name: pooled[name][..., 0] for name in ("sink", "hidden", "left") if name in pooled}
    return Pooled(
        weights=pooled["weights"],
        visible=pooled["visible"] > 0,
        cells=(plan.size.rows, plan.size.columns),
        are_finite=np.asarray(np.isfinite(received).all(axis=-1)),
        received=received,
        **columns,
    )


class _CellRows:
    """Numbers of the rows of words, pooled over the rows of cells as they come."""

    def __init__(self, plan: PicturePlan, way: Pool) -> None:
        self._tall, self._queries, self._way = plan.size.rows, plan.queries, way
        self._cells: Floats | None = None

    def add(self, first: int, values: Floats) -> None:
        """Add the rows (..., B, N) from `first` on."""
        cells = (first + np.arange(values.shape[-2])) // self._tall
        numbers, starts = np.unique(cells, return_index=True)
        if self._cells is None:
            count = -(-self._queries // self._tall)
            self._cells = np.zeros((*values.shape[:-2], count, values.shape[-1]), values.dtype)
        if self._way is Pool.MAX:
            largest = np.maximum.reduceat(values, starts, axis=-2)
            self._cells[..., numbers, :] = np.maximum(self._cells[..., numbers, :], largest)
        else:
            self._cells[..., numbers, :] += np.add.reduceat(values, starts, axis=-2)

    def pooled(self) -> Floats:
        """(..., R, N) the largest of the rows of each cell, or their mean."""
        assert self._cells is not None, "every text has a word"
        if self._way is Pool.MAX:
            return self._cells
        firsts = np.arange(0, self._queries, self._tall)
        return np.asarray(self._cells / np.diff(firsts, append=self._queries)[:, None])


def _block(rows: WordRows, shares: "Shares | None", plan: PicturePlan) -> dict[str, Floats]:
    """The weights and the mask of some rows, pooled over columns, and what stands beside them."""
    firsts = np.arange(0, len(plan.columns), plan.size.columns)
    block = {
        "weights": over(rows.weights[..., plan.columns], firsts, -1, plan.way),
        "visible": over(rows.mask[:, plan.columns].astype(np.float32), firsts, -1, Pool.MAX),
    }
    beside = {"sink": rows.sink}
    if shares is not None:
        beside |= {"hidden": shares.hidden, "left": shares.left}
    return block | {name: column[..., None] for name, column in beside.items() if column is not None}


def _as_shown(weights: Floats, plan: PicturePlan) -> "tuple[Floats, Shares | None]":
    if plan.hiding is None:
        return weights, None
    from attn_cli.core.hiding import as_shown  # few commands hide keys

    return as_shown(weights, plan.hiding)
