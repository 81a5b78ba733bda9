"""Blocks of query rows, and the keys that each needs in chunks: so small that the work stays in the cache.

A block's numbers lie in one flat buffer, chunk after chunk, each (R, C) by itself.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from attn_cli.core.arrays import Array, device_of, namespace
from attn_cli.core.masks import Narrowed

GROUPS = 8  # the columns of a chunk stand in so many rows of groups: see `HeadRows._top`
_LARGE_CELL, _ROUND = 64, 32  # rows or columns: of a picture that a terminal has room for
_CHUNK = 1024  # columns: with 512 rows 2 MB of scores, whose weights are used while they are in the cache
_NUMBERS = 1 << 23  # of a block: 32 MB for each thread, as long as 128 rows are no more
_ROWS = (128, 512)  # with fewer, what Python does for each operation takes too large a share
_DEVICE_CHUNK = 1 << 15  # an accelerator has no cache to stay in, and starts its work slowly
_DEVICE_NUMBERS = 1 << 26
_DEVICE_ROWS = (64, 8192)


Adopt: TypeAlias = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Cells:
    """How a (T, S) matrix is pooled into a picture: each cell is the mean of so many rows and columns."""

    rows: int
    columns: int


def cells(queries: int, keys: int, most: int) -> Cells:
    """The smallest cells with which a picture has at most `most` rows and columns.

    Large cells are rounded up, so that chunks need not be as wide as an odd number of columns times `GROUPS`.
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

    def blocks(self) -> Iterator[range]:
        """The rows of each block: whole cells, or a part of one."""
        whole = max(self.rows, self.cells.rows)
        for first in range(0, self.queries, whole):
            stop = min(first + whole, self.queries)
            for start in range(first, stop, self.rows):
                yield range(start, min(start + self.rows, stop))


def layout(
    like: Array, keys: int, cells: Cells, rows: int | None = None, most_rows: int | None = None
) -> Layout:
    """The cuts for queries `like` (H, T, D) and so many keys.

    A block has `rows`, or as many as is best, but not more than `most_rows`.
    """
    queries = like.shape[-2]
    is_cpu = str(device_of(like)).startswith("cpu")
    most, least_most = (_NUMBERS, _ROWS) if is_cpu else (_DEVICE_NUMBERS, _DEVICE_ROWS)
    unit = math.lcm(GROUPS, cells.columns)
    widest = _CHUNK if is_cpu else _DEVICE_CHUNK
    chunk = max(1, widest // unit) * unit
    best = min(max(most // max(keys, 1), least_most[0]), least_most[1], most_rows or queries)
    wanted = rows or max(1, min(best, queries))
    return Layout(queries, keys, cells, _fitting(wanted, cells.rows), chunk, unit)


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
    far: Array | None  # (C,) the distance from the block's first row; (R, C) from each where `side` is 0
    side: int  # -1: all keys stand before all rows; 1: after them; 0: neither

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

    def flat(self, row: Array, column: Array) -> Array:
        """(N,) where in the buffer the cells stand; rows are counted from the block's first."""
        xp = namespace(column)
        count, within = len(self.rows), column - self.first
        index = within // self.step
        last = self.chunks[-1]
        width = xp.where(index == len(self.chunks) - 1, last.width, self.step)
        return index * (count * self.step) + row * width + (within - index * self.step)


def block(
    cut: Layout, rows: range, mask: Narrowed, like: Array, adopt: Adopt, *, needs_distance: bool
) -> Block:
    """The block of these rows: the columns that the mask lets them see, in chunks.

    `like` is of the operands' library; `adopt` brings an array of it to the one that computes.
    """
    reach = mask.band.reach(rows, cut.keys)
    first = min(reach.start, cut.keys - 1) // cut.unit * cut.unit  # rows behind the last key may see none
    stop = max(first + cut.unit, math.ceil(reach.stop / cut.unit) * cut.unit)
    starts = range(first, stop, cut.chunk)
    chunks = tuple(
        _chunk(
            cut, rows, range(start, min(start + cut.chunk, stop)), first, mask, like, adopt, needs_distance
        )
        for start in starts
    )
    return Block(rows, first, stop, cut.chunk, chunks)


def _chunk(
    cut: Layout,
    rows: range,
    columns: range,
    first: int,
    mask: Narrowed,
    like: Array,
    adopt: Adopt,
    needs_distance: bool,
) -> Chunk:
    side = -1 if columns.stop <= rows.start else 1 if columns.start >= rows.stop else 0
    return Chunk(
        start=columns.start,
        stop=columns.stop,
        offset=len(rows) * (columns.start - first),
        hidden=tuple((where, adopt(each)) for where, each in _hidden(cut, rows, columns, mask, like)),
        far=adopt(_far(rows, columns, side, like)) if needs_distance else None,
        side=side,
    )


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


def _far(rows: range, columns: range, side: int, like: Array) -> Array:
    """How many tokens lie between the first row and each column; between each pair on the diagonal."""
    xp = namespace(like)
    keys = places(columns, like, like.dtype)
    return xp.abs(keys - rows.start if side else places(rows, like, like.dtype)[:, None] - keys)


def places(of: range, like: Array, dtype: Any = None) -> Array:
    """The numbers of those places, in the library and on the device of `like`."""
    return namespace(like).arange(of.start, of.stop, dtype=dtype, device=device_of(like))
