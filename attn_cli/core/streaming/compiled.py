"""One head in a block of query rows on the CPU, compiled: a row at a time, so that it stays in the cache.

The facts of `rows.Stepwise` in three passes over a row: the largest logits, the powers and their sums, the
columns. numba compiles them when they are first needed (6 s) and keeps what it compiled until this file
changes: what one of its functions calls must not stand in another file.

R rows, W columns and n × C cells of a block.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import Array, to_numpy
from attn_cli.core.streaming.blocks import Block, Sizes, block, bounds
from attn_cli.core.streaming.logits import Layer, Logits
from attn_cli.core.streaming.summary import ROW_FACTS, Found

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # NUMBA_DISABLE_JIT=1
    raise ImportError("numba is told not to compile: Python itself would take hours")

Numbers: TypeAlias = npt.NDArray[np.float32]
Indices: TypeAlias = npt.NDArray[np.int64]
Function = TypeVar("Function", bound=Callable[..., Any])

SIZES = Sizes(
    chunk=2048,  # a product of 256 such rows writes 2 MB
    numbers=1 << 23,  # 32 MB for each thread
    rows=(64, 256),
    pairs=None,
)

_LANES = 128  # a row's columns fall into so many groups: i, i + 128, ... of 8,192 columns has 64
_ZERO, _ONE, _MINUS_INFINITY = np.float32(0), np.float32(1), np.float32(-np.inf)
_LEAST = np.float32(-87)  # e to this is the smallest power that float32 holds in full; below it is 0

# e^x = 2^n e^r, |r| <= ln 2 / 2 (Cody and Waite 1980, chapter 6); the series of e^r as far as 2⁻²³ asks
_LOG2_E = np.float32(1.4426950408889634)
_ROUND = np.float32(12582912.0)  # 1.5 · 2²³: what is added to it is rounded, and stands in the lowest bits
_LN2_HIGH, _LN2_LOW = np.float32(0.693145751953125), np.float32(1.428606820309417e-06)
_C2, _C3, _C4, _C5, _C6 = (np.float32(1 / each) for each in (2, 6, 24, 120, 720))
_MANTISSA, _EXPONENT_OF_ONE = np.int32(23), np.int32(127 << 23)  # bits

_LOGSUMEXP, _ENTROPY, _LARGEST, _DISTANCE, _CURRENT, _PREVIOUS, _FIRST, _SPECIAL, _DUPLICATE, _INDUCTION = (
    range(10)
)
assert (
    " ".join(ROW_FACTS) == "logsumexp entropy largest distance"
    " current_token previous_token first_token special duplicate_token induction"
), "compiled code holds these numbers"


def _compiled(*freedom: str) -> Callable[[Function], Function]:
    """Machine code of a function, without the GIL; `freedom`: LLVM's flags of how sums may be reordered."""

    def compile_it(function: Function) -> Function:
        return cast("Function", numba.njit(nogil=True, fastmath=set(freedom))(function))

    return compile_it


def _kept(function: Function) -> Function:
    """The same of a function that is called from outside; it is kept on the disk with all that it calls."""
    made = numba.njit(nogil=True)(function)
    with suppress(RuntimeError):  # there is nowhere to keep it: it is compiled again next time
        made.enable_caching()
    return cast("Function", made)


@_compiled("contract")
def _exp(x: np.float32) -> np.float32:
    """e^x for x from -87 to 0, within 2.5e-7 of it."""
    # numba hands a caller's flags down to a function without any: "reassoc" would undo the rounding
    rounded = x * _LOG2_E + _ROUND
    n = rounded - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    series = ((((_C6 * r + _C5) * r + _C4) * r + _C3) * r + _C2) * r * r + r + _ONE
    bits = (np.float32(rounded).view(np.int32) << _MANTISSA) + _EXPONENT_OF_ONE
    return series * np.int32(bits).view(np.float32)


@_compiled("reassoc", "contract", "nsz")
def _powers(
    logits: Numbers, keys: Numbers, peak: np.float32, query: np.float32
) -> tuple[np.float32, np.float32, np.float32]:
    """Each logit becomes e^(logit - peak); their sum, and those times logit - peak and times the distance."""
    total, product, far = _ZERO, _ZERO, _ZERO
    for j in range(len(logits)):
        below = logits[j] - peak
        power = _exp(_LEAST if below < _LEAST else below)  # so written, NaN stays NaN
        power = _ZERO if below <= _LEAST else power
        total += power
        product += power * below  # 0 · -inf is NaN: a score that overflowed is told
        far += power * abs(keys[j] - query)
        logits[j] = power
    return total, product, far


@_compiled("nsz")
def _peak(logits: Numbers, lanes: Numbers) -> np.float32:
    """The largest logit, by way of the largest of columns i, i + 128, ... in lane i; no NaN is."""
    lanes[:] = _MINUS_INFINITY
    whole = len(logits) // _LANES
    for part in range(whole):
        members = logits[part * _LANES : (part + 1) * _LANES]
        for lane in range(_LANES):
            lanes[lane] = members[lane] if members[lane] > lanes[lane] else lanes[lane]
    rest = logits[whole * _LANES :]
    for lane in range(len(rest)):
        lanes[lane] = rest[lane] if rest[lane] > lanes[lane] else lanes[lane]
    peak = _MINUS_INFINITY
    for lane in range(_LANES):
        peak = lanes[lane] if lanes[lane] > peak else peak
    return peak


@_compiled("contract", "nsz")
def _add(powers: Numbers, share: np.float32, sums: Numbers) -> None:
    """Add the weights of a row to the sums of its columns."""
    for j in range(len(powers)):
        sums[j] += powers[j] * share


@_compiled("reassoc", "contract", "nsz")
def _pool(sums: Numbers, width: int, tall: np.float32, wide: Numbers, cells: Numbers) -> None:
    """The mean of every `width` columns, from their sums; `tall` is 1 / rows, `wide` are 1 / columns."""
    if width == 2:  # noqa: PLR2004 — pairs alone are added in vectors
        for cell in range(len(cells)):
            cells[cell] = (sums[2 * cell] + sums[2 * cell + 1]) * tall * wide[cell]
        return
    for cell in range(len(cells)):
        part, total = sums[cell * width : (cell + 1) * width], _ZERO
        for index in range(width):
            total += part[index]
        cells[cell] = total * tall * wide[cell]


class _Extent(NamedTuple):
    """Which rows and columns a block has."""

    start: int  # the first row
    first: int  # the first column
    starts: Indices  # (R,) the first key that each row may look at
    stops: Indices  # (R,) the one behind the last; the same where it may look at none
    cell: tuple[int, int]  # rows and columns of a cell of the picture
    shares: tuple[Numbers, Numbers]  # `Layout.shares`


class _Asked(NamedTuple):
    """What is asked of the keys of a layer."""

    keys: Numbers  # (S',) their numbers
    special: Indices  # those that are no text
    order: Indices  # `Copies`
    begins: Indices
    before: Indices


class _Into(NamedTuple):
    """Where the facts go."""

    facts: Numbers  # (F, H, T) in the order of `ROW_FACTS`
    received: Numbers  # (W,) of one head in the block
    pooled: Numbers  # (n, C) of one head in the block; no rows where no picture is asked for


class _Row(NamedTuple):
    """A row whose powers are known."""

    query: int
    start: int  # the key of the first power
    powers: Numbers
    share: np.float32  # times a power: the weight


@_compiled("contract", "nsz")
def _at_places(row: _Row, facts: Numbers) -> None:
    """The weight on the own place, on the one before it and on the first token."""
    for fact, key in ((_CURRENT, row.query), (_PREVIOUS, row.query - 1), (_FIRST, 0)):
        is_here = row.start <= key < row.start + len(row.powers)
        facts[fact, row.query] = row.powers[key - row.start] * row.share if is_here else _ZERO


@_compiled("contract", "nsz")
def _on_tokens(row: _Row, asked: _Asked, facts: Numbers) -> None:
    """The weight on special tokens, on earlier copies of the row's token, and on what followed them."""
    query, start, stop = row.query, row.start, row.start + len(row.powers)
    special, copies, followers = _ZERO, _ZERO, _ZERO
    for key in asked.special:
        if start <= key < stop:
            special += row.powers[key - start]
    begin = asked.begins[query]
    for index in range(begin, begin + asked.before[query]):
        key = asked.order[index]
        if start <= key < stop:
            copies += row.powers[key - start]
        if start <= key + 1 < stop and key + 1 < query:
            followers += row.powers[key + 1 - start]
    facts[_SPECIAL, query] = special * row.share
    facts[_DUPLICATE, query] = copies * row.share
    facts[_INDUCTION, query] = followers * row.share


@_compiled("contract", "nsz")
def _measured(
    logits: Numbers,
    query: int,
    start: int,
    sink: np.float32,
    asked: _Asked,
    lanes: Numbers,
    head: int,
    into: _Into,
) -> np.float32:
    """Every fact of a row, whose logits become its powers; what they must be multiplied by to be weights."""
    facts = into.facts[:, head]
    peak_of_keys = _peak(logits, lanes)
    peak = max(peak_of_keys, sink)
    keys = asked.keys[start : start + len(logits)]
    of_keys, product, far = _powers(logits, keys, peak, np.float32(query))
    total = of_keys
    if sink != _MINUS_INFINITY:
        total += _exp(max(sink - peak, _LEAST))
    share, end = _ONE / total, np.log(total)
    row = _Row(query, start, logits, share)
    facts[_LOGSUMEXP, query] = peak + end
    facts[_ENTROPY, query] = max((end * of_keys - product) * share, _ZERO)
    below = peak_of_keys - peak
    facts[_LARGEST, query] = _exp(below) * share if below > _LEAST else _ZERO
    facts[_DISTANCE, query] = far * share
    _at_places(row, facts)
    _on_tokens(row, asked, facts)
    return share


@_compiled()
def _nothing(query: int, sink: np.float32, head: int, into: _Into) -> None:
    """A row that may look nowhere."""
    into.facts[:, head, query] = _ZERO
    into.facts[_LOGSUMEXP, head, query] = sink


@_compiled("contract", "nsz")
def _columns(sums: Numbers, cell: int, extent: _Extent, into: _Into) -> None:
    """What the rows of a cell, summed, give to the block's columns."""
    into.received[:] += sums
    if len(into.pooled):
        _pool(sums, extent.cell[1], extent.shares[0][cell], extent.shares[1], into.pooled[cell])
    sums[:] = _ZERO


@_compiled("contract", "nsz")
def _rows(logits: Numbers, extent: _Extent, asked: _Asked, sink: np.float32, head: int, into: _Into) -> None:
    """Every fact of each row of `logits` (R, W), which become the rows' powers."""
    rows, width = logits.shape
    lanes, sums = np.empty(_LANES, np.float32), np.zeros(width, np.float32)
    into.received[:] = _ZERO
    for i in range(rows):
        query, start = extent.start + i, extent.starts[i]
        own = slice(start - extent.first, extent.stops[i] - extent.first)
        if start == extent.stops[i]:
            _nothing(query, sink, head, into)
        else:
            row = logits[i, own]
            share = _measured(row, query, start, sink, asked, lanes, head, into)
            _add(row, share, sums[own])
        if (i + 1) % extent.cell[0] == 0 or i == rows - 1:
            _columns(sums, i // extent.cell[0], extent, into)


@_kept
def _head(
    logits: Numbers,
    extent: tuple[Any, ...],
    asked: tuple[Any, ...],
    sink: np.float32,
    head: int,
    into: tuple[Any, ...],
) -> None:
    """`_rows` from plain tuples: numba would not read what it kept where a class in it has been renamed."""
    _rows(logits, _Extent(*extent), _Asked(*asked), sink, head, _Into(*into))


class Compiled:
    """A layer that is measured in compiled rows: operands of PyTorch on the CPU, in float32."""

    def __init__(self, layer: Layer, found: Found) -> None:
        self._layer, self._found, self._own = layer, found, threading.local()
        nothing = np.zeros(layer.cut.queries, np.int64)
        copied = layer.copies
        self._asked = _Asked(
            keys=np.arange(layer.cut.padded, dtype=np.float32),
            special=nothing[:0] if layer.special is None else np.flatnonzero(to_numpy(layer.special)),
            order=nothing if copied is None else copied.order,
            begins=nothing if copied is None else copied.first,
            before=nothing if copied is None else copied.before,
        )

    def measure(self, rows: range, stopped: threading.Event) -> None:
        """All heads in one block."""
        layer, found = self._layer, self._found
        one = block(layer.cut, rows, layer.mask, layer.queries, has_bounds=True)
        logits = Logits.of(layer, one)
        found.put_seen(rows, logits.seen)
        scores, received, pooled = self._buffer(one), layer.queries.new_empty(one.width), self._pooled(one)
        given, extent = to_numpy(scores), self._extent(one, logits)
        into = _Into(*(to_numpy(each) for each in (found.facts, received, pooled)))
        for head in range(layer.operands.heads):
            if stopped.is_set():
                return
            for chunk in one.chunks:
                start = chunk.start - one.first
                logits.put(head, chunk, scores[:, start : start + chunk.width])
            sink = _MINUS_INFINITY if layer.sink is None else np.float32(layer.sink[head])
            _head(given, tuple(extent), tuple(self._asked), sink, head, tuple(into))
            found.add(one, head, received, pooled if layer.has_picture else None)

    def _extent(self, one: Block, logits: Logits) -> _Extent:
        cut = self._layer.cut
        starts, stops = bounds(one.rows, self._layer.mask.band, cut.keys)
        stops = np.where(to_numpy(logits.seen) > 0, stops, starts)
        tall, wide = (each.astype(np.float32) for each in cut.shares(one.rows, one.columns))
        cell = (cut.cells.rows, cut.cells.columns)
        return _Extent(one.rows.start, one.first, starts, stops, cell, (tall, wide))

    def _pooled(self, one: Block) -> Array:
        """(n, C) where the means of the block's cells go."""
        tall, wide = self._layer.cut.cells_of(one.rows, one.columns)
        count = tall.stop - tall.start if self._layer.has_picture else 0
        return self._layer.queries.new_empty((count, wide.stop - wide.start))

    def _buffer(self, one: Block) -> Array:
        """(R, W) where this thread works: allocated once."""
        count, cut = len(one.rows), self._layer.cut
        if not hasattr(self._own, "scores"):
            self._own.scores = self._layer.queries.new_empty(cut.rows * cut.padded)
        return self._own.scores[: count * one.width].view(count, one.width)
