"""Blocks of query rows, and the keys that each needs in chunks: so small that the work stays in the cache."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import Array, device_of, namespace
from attn_cli.core.masks import Band, Narrowed

Indices: TypeAlias = npt.NDArray[np.int64]
Reals: TypeAlias = npt.NDArray[np.float64]

_UNIT = 8  # columns: chunks that begin and end at their multiples are added and multiplied in vectors
_LARGE_CELL, _ROUND = 64, 32  # rows or columns: of a picture that a terminal has room for


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the pieces are that somebody works on best."""

    chunk: int  # columns
    numbers: int  # of a block, as long as the rows are within their limits
    rows: tuple[int, int]  # of a block: the fewest and the most
    pairs: int | None  # of a block: a row and an earlier copy of its token; None: they are not held


CPU = Sizes(
    chunk=1024,  # with 512 rows 2 MB of scores, whose weights are used while they are in the cache
    numbers=1 << 23,  # 32 MB for each thread
    rows=(128, 512),  # with fewer, what Python does for each operation takes too large a share
    pairs=1 << 20,  # 8 MB for each of the few arrays that hold them
)
ACCELERATOR = Sizes(  # it has no cache to stay in, and starts its work slowly
    chunk=1 << 15, numbers=1 << 26, rows=(64, 8192), pairs=1 << 20
)


@dataclass(frozen=True, slots=True)
class Cells:
    """How a (T, S) matrix is pooled into a picture: each cell is the mean of so many rows and columns."""

    rows: int
    columns: int


def cells(queries: int, keys: int, most: int) -> Cells:
    """The smallest cells with which a picture has at most `most` rows and columns.

    Large cells are rounded up, so that chunks need not be as wide as an odd number of columns times `_UNIT`.
    """
    return Cells(_cell(queries, most), _cell(keys, most))


def _cell(count: int, most: int) -> int:
    size = max(1, math.ceil(count / most))
    return size if size <= _LARGE_CELL else math.ceil(size / _ROUND) * _ROUND


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows and columns of a layer are cut."""

    queries: int  # T
    keys: int  # S
    cells: Cells
    rows: int  # of a block
    chunk: int  # columns, a multiple of `unit`
    unit: int  # columns: chunks begin and end at its multiples

    @property
    def padded(self) -> int:
        """How many keys there are with those that fill up the last unit."""
        return math.ceil(self.keys / self.unit) * self.unit

    def cells_of(self, rows: range, columns: range) -> tuple[slice, slice]:
        """Which cells of the picture these rows and columns lie in."""
        tall, wide = self.cells.rows, self.cells.columns
        return (
            slice(rows.start // tall, math.ceil(rows.stop / tall)),
            slice(columns.start // wide, math.ceil(columns.stop / wide)),
        )

    def shares(self, rows: range, columns: range) -> tuple[Reals, Reals]:
        """1 / how many rows, and 1 / how many columns, those cells have; at the edge they have fewer."""
        tall, wide = self.cells_of(rows, columns)
        return _shares(tall, self.cells.rows, self.queries), _shares(wide, self.cells.columns, self.keys)

    def blocks(self) -> Iterator[range]:
        """The rows of each block: whole cells, or a part of one."""
        whole = max(self.rows, self.cells.rows)
        for first in range(0, self.queries, whole):
            stop = min(first + whole, self.queries)
            for start in range(first, stop, self.rows):
                yield range(start, min(start + self.rows, stop))


def _shares(cells: slice, size: int, count: int) -> Reals:
    sizes = np.clip(count - size * np.arange(cells.start, cells.stop), 1, size)
    shares: Reals = 1 / sizes
    return shares


def layout(
    queries: int, keys: int, cells: Cells, sizes: Sizes, rows: int | None = None, most_rows: int | None = None
) -> Layout:
    """The cuts for so many queries and keys.

    A block has `rows`, or as many as is best, but not more than `most_rows`.
    """
    unit = math.lcm(_UNIT, cells.columns)
    chunk = max(1, sizes.chunk // unit) * unit
    best = min(max(sizes.numbers // max(keys, 1), sizes.rows[0]), sizes.rows[1], most_rows or queries)
    return Layout(queries, keys, cells, _fitting(rows or max(1, min(best, queries)), cells.rows), chunk, unit)


def _fitting(wanted: int, cell: int) -> int:
    """About so many rows: whole cells, or an even part of one."""
    if wanted >= cell:
        return wanted // cell * cell
    return math.ceil(cell / math.ceil(cell / wanted))


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some columns of a block, and what is the same for all heads there; R rows, C columns."""

    start: int
    stop: int
    offset: int  # where it begins in the block's buffer
    hidden: tuple[tuple[slice, Array], ...]  # some columns of the chunk, and which of their cells are masked

    @property
    def width(self) -> int:
        """How many columns there are."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some rows, and the columns that they need; its first column is `first`."""

    rows: range
    first: int
    stop: int
    step: int  # how wide all chunks but the last are
    chunks: tuple[Chunk, ...]
    seen: Indices | None  # (R,) how many keys each row may look at, where its bounds say that

    @property
    def width(self) -> int:
        """W, how many columns there are."""
        return self.stop - self.first

    @property
    def columns(self) -> range:
        """The columns."""
        return range(self.first, self.stop)

    def flat(self, row: Array, column: Array) -> Array:
        """(N,) where the cells stand in a buffer that holds chunk after chunk, each (R, C) by itself.

        Rows are counted from the block's first.
        """
        xp = namespace(column)
        count, within = len(self.rows), column - self.first
        index = within // self.step
        last = self.chunks[-1]
        width = xp.where(index == len(self.chunks) - 1, last.width, self.step)
        return index * (count * self.step) + row * width + (within - index * self.step)


def block(cut: Layout, rows: range, mask: Narrowed, like: Array, *, has_bounds: bool = False) -> Block:
    """The block of these rows: the columns that the mask lets them see, in chunks.

    Its arrays are in the library and on the device of `like`. `has_bounds`: who asks keeps to the `bounds`
    of the rows, so that only what other rules than the band forbid needs to be hidden.
    """
    reach = mask.band.reach(rows, cut.keys)
    first = min(reach.start, cut.keys - 1) // cut.unit * cut.unit  # rows behind the last key may see none
    stop = max(first + cut.unit, math.ceil(reach.stop / cut.unit) * cut.unit)
    seen = None
    if has_bounds and not mask.rules:
        starts, stops = bounds(rows, mask.band, cut.keys)
        seen = stops - starts
    chunks = tuple(
        Chunk(
            start=start,
            stop=min(start + cut.chunk, stop),
            offset=len(rows) * (start - first),
            hidden=()
            if seen is not None
            else tuple(_hidden(cut, rows, range(start, min(start + cut.chunk, stop)), mask, like)),
        )
        for start in range(first, stop, cut.chunk)
    )
    return Block(rows, first, stop, cut.chunk, chunks, seen)


def bounds(rows: range, band: Band, keys: int) -> tuple[Indices, Indices]:
    """(R,) the first key, of so many, that each row may look at, and (R,) the one behind its last."""
    at = np.arange(rows.start, rows.stop)
    starts = np.zeros_like(at) if band.before is None else np.maximum(at - band.before, 0)
    stops = np.full_like(at, keys) if band.after is None else np.minimum(at + band.after + 1, keys)
    return np.minimum(starts, stops), stops


def _hidden(
    cut: Layout, rows: range, columns: range, mask: Narrowed, like: Array
) -> Iterator[tuple[slice, Array]]:
    """The columns in which some cell is masked, and which cells those are."""
    open_to_all = mask.band.shared(rows, cut.keys)
    if mask.rules:
        asked = [columns]
    else:  # only the edges of the band, and the columns behind the last key
        start, stop = (
            min(max(each, columns.start), columns.stop) for each in (open_to_all.start, open_to_all.stop)
        )
        asked = [range(columns.start, start), range(max(start, stop), columns.stop)]
    for part in asked:
        if part:
            yield (
                slice(part.start - columns.start, part.stop - columns.start),
                _masked(cut, rows, part, mask, like),
            )


def _masked(cut: Layout, rows: range, columns: range, mask: Narrowed, like: Array) -> Array:
    """(R, C) which cells may not be looked at; columns behind the last key never may."""
    xp = namespace(like)
    queries, keys = places(rows, like)[:, None], places(columns, like)[None, :]
    inside = xp.clip(keys, max=cut.keys - 1)
    allowed = mask(queries, inside) & (keys < cut.keys)
    return xp.logical_not(xp.broadcast_to(allowed, (len(rows), len(columns))))


def places(of: range, like: Array, dtype: Any = None) -> Array:
    """The numbers of those places, in the library and on the device of `like`."""
    return namespace(like).arange(of.start, of.stop, dtype=dtype, device=device_of(like))
