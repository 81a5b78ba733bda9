"""Blocks of query rows and the chunks of keys they need, sized so that the data stay in the cache."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from attn_cli.core.arrays import Array, Floats, Indices, device_of, namespace
from attn_cli.core.masks import Band, Narrowed
from attn_cli.record import record

_UNIT = 8  # columns: chunks aligned to multiples of it are vectorised
_LARGE_CELL, _ROUND = 64, 32  # rows or columns of a cell: such cells occur in pictures for a terminal


@record(frozen=True, slots=True)
class BlockSizes:
    """The preferred sizes of blocks and chunks on a device."""

    chunk: int  # columns
    numbers: int  # in a block, within the limits on its rows
    rows: tuple[int, int]  # of a block: minimum and maximum
    pairs: int | None  # of a block: a row and an earlier copy of its token; None: they are not stored


CPU = BlockSizes(
    chunk=1024,  # with 512 rows, 2 MB of scores, so that the weights are still in the cache when used
    numbers=1 << 23,  # 32 MB per thread
    rows=(128, 512),  # with fewer rows, Python's overhead per operation is too large
    pairs=1 << 20,  # 8 MB for each of the few arrays that hold them
)
ACCELERATOR = BlockSizes(  # no cache to fit into, but a high launch overhead
    chunk=1 << 15, numbers=1 << 26, rows=(64, 8192), pairs=1 << 20
)


@record(frozen=True, slots=True)
class CellSize:
    """The size of the cells when a (T, S) matrix is pooled into a picture: each cell is their mean."""

    rows: int
    columns: int


def choose_cell_size(queries: int, keys: int, most: int) -> CellSize:
    """The smallest cells with which a picture has at most `most` rows and `most` columns.

    Large cells are rounded up to a multiple of 32: a chunk is a multiple of both the cell and `_UNIT`.
    """
    return CellSize(_cell_length(queries, most), _cell_length(keys, most))


def _cell_length(count: int, most: int) -> int:
    size = max(1, math.ceil(count / most))
    return size if size <= _LARGE_CELL else math.ceil(size / _ROUND) * _ROUND


@record(frozen=True, slots=True)
class BlockLayout:
    """How the rows and columns of a layer are divided into blocks and chunks."""

    queries: int  # T
    keys: int  # S
    cells: CellSize
    rows: int  # of a block
    chunk: int  # columns, a multiple of `unit`
    unit: int  # columns: chunks are aligned to its multiples

    @property
    def padded(self) -> int:
        """S', the number of keys padded to whole units."""
        return math.ceil(self.keys / self.unit) * self.unit

    def cells_of(self, rows: range, columns: range) -> tuple[slice, slice]:
        """The cells of the picture that these rows and columns belong to."""
        tall, wide = self.cells.rows, self.cells.columns
        return (
            slice(rows.start // tall, math.ceil(rows.stop / tall)),
            slice(columns.start // wide, math.ceil(columns.stop / wide)),
        )

    def shares(self, rows: range, columns: range) -> tuple[Floats, Floats]:
        """1 / rows and 1 / columns of each of those cells; cells at the edge are smaller."""
        tall, wide = self.cells_of(rows, columns)
        return _shares(tall, self.cells.rows, self.queries), _shares(wide, self.cells.columns, self.keys)

    def blocks(self) -> Iterator[range]:
        """The rows of each block: whole cells, or part of one."""
        whole = max(self.rows, self.cells.rows)
        for first in range(0, self.queries, whole):
            stop = min(first + whole, self.queries)
            for start in range(first, stop, self.rows):
                yield range(start, min(start + self.rows, stop))


def _shares(cells: slice, size: int, count: int) -> Floats:
    sizes = np.clip(count - size * np.arange(cells.start, cells.stop), 1, size)
    shares: Floats = 1 / sizes
    return shares


def plan_layout(
    queries: int,
    keys: int,
    cells: CellSize,
    sizes: BlockSizes,
    rows: int | None = None,
    most_rows: int | None = None,
) -> BlockLayout:
    """The layout for a number of queries and keys.

    A block has `rows` rows; by default the best number, but at most `most_rows`.
    """
    unit = math.lcm(_UNIT, cells.columns)
    chunk = max(1, sizes.chunk // unit) * unit
    best = min(max(sizes.numbers // max(keys, 1), sizes.rows[0]), sizes.rows[1], most_rows or queries)
    return BlockLayout(
        queries, keys, cells, _fitting(rows or max(1, min(best, queries)), cells.rows), chunk, unit
    )


def _fitting(wanted: int, cell: int) -> int:
    """About `wanted` rows: a multiple of a cell, or an equal part of one."""
    if wanted >= cell:
        return wanted // cell * cell
    return math.ceil(cell / math.ceil(cell / wanted))


@record(frozen=True, slots=True, eq=False)
class Chunk:
    """Some columns of a block, and what all heads share there; R rows, C columns."""

    start: int
    stop: int
    offset: int  # in the block's buffer
    hidden: tuple[tuple[slice, Array], ...]  # slices of the columns, and which of their cells are masked

    @property
    def width(self) -> int:
        """C, the number of columns."""
        return self.stop - self.start


@record(frozen=True, slots=True, eq=False)
class Block:
    """Some rows, and the columns they need, from `first` to `stop`."""

    rows: range
    first: int
    stop: int
    step: int  # the width of all chunks but the last
    chunks: tuple[Chunk, ...]
    visible_keys: Indices | None  # (R,) how many keys each row may look at, if the band alone decides

    @property
    def width(self) -> int:
        """W, the number of columns."""
        return self.stop - self.first

    @property
    def columns(self) -> range:
        """The columns."""
        return range(self.first, self.stop)

    def flat(self, row: Array, column: Array) -> Array:
        """(N,) the indices of cells in a buffer that stores the chunks one after the other, each (R, C).

        Rows are counted from the first row of the block.
        """
        xp = namespace(column)
        count, within = len(self.rows), column - self.first
        index = within // self.step
        last = self.chunks[-1]
        width = xp.where(index == len(self.chunks) - 1, last.width, self.step)
        return index * (count * self.step) + row * width + (within - index * self.step)


def make_block(
    layout: BlockLayout, rows: range, mask: Narrowed, like: Array, *, has_bounds: bool = False
) -> Block:
    """The block of these rows: the columns that the mask lets them see, in chunks.

    Its arrays have the library and device of `like`. `has_bounds`: the caller respects the bounds of each row
    itself, so that no cells need to be hidden if the mask is only a band.
    """
    columns = _needed_columns(layout, mask.band.reach(rows, layout.keys))
    visible_keys = None
    if has_bounds and not mask.rules:
        starts, stops = visible_bounds(rows, mask.band, layout.keys)
        visible_keys = stops - starts
    chunks = []
    for start in range(columns.start, columns.stop, layout.chunk):
        chunk = range(start, min(start + layout.chunk, columns.stop))
        hidden = () if visible_keys is not None else tuple(_hidden(layout, rows, chunk, mask, like))
        chunks.append(Chunk(start, chunk.stop, len(rows) * (start - columns.start), hidden))
    return Block(rows, columns.start, columns.stop, layout.chunk, tuple(chunks), visible_keys)


def _needed_columns(layout: BlockLayout, reach: range) -> range:
    """Whole units, at least one even if the rows see no key."""
    first = min(reach.start, layout.keys - 1) // layout.unit * layout.unit
    return range(first, max(first + layout.unit, math.ceil(reach.stop / layout.unit) * layout.unit))


def visible_bounds(rows: range, band: Band, keys: int) -> tuple[Indices, Indices]:
    """(R,) the first of `keys` keys that each row may look at, and (R,) the one after its last."""
    at = np.arange(rows.start, rows.stop)
    starts = np.zeros_like(at) if band.before is None else np.maximum(at - band.before, 0)
    stops = np.full_like(at, keys) if band.after is None else np.minimum(at + band.after + 1, keys)
    return np.minimum(starts, stops), stops


def _hidden(
    layout: BlockLayout, rows: range, columns: range, mask: Narrowed, like: Array
) -> Iterator[tuple[slice, Array]]:
    """The columns in which a cell is masked, and which cells those are."""
    candidates = [columns]
    if not mask.rules:  # only the edges of the band, and the columns after the last key
        open_to_all = mask.band.shared(rows, layout.keys)
        start, stop = (
            min(max(column, columns.start), columns.stop) for column in (open_to_all.start, open_to_all.stop)
        )
        candidates = [range(columns.start, start), range(max(start, stop), columns.stop)]
    for edge in filter(None, candidates):
        within = slice(edge.start - columns.start, edge.stop - columns.start)
        yield within, _masked(layout, rows, edge, mask, like)


def _masked(layout: BlockLayout, rows: range, columns: range, mask: Narrowed, like: Array) -> Array:
    """(R, C) true for masked cells, which include all columns after the last key."""
    xp = namespace(like)
    queries, keys = positions_in(rows, like)[:, None], positions_in(columns, like)[None, :]
    inside = xp.clip(keys, max=layout.keys - 1)
    allowed = mask(queries, inside) & (keys < layout.keys)
    return xp.logical_not(xp.broadcast_to(allowed, (len(rows), len(columns))))


def positions_in(places: range, like: Array, dtype: Any = None) -> Array:
    """The positions as an array with the library and device of `like`."""
    return namespace(like).arange(places.start, places.stop, dtype=dtype, device=device_of(like))
