"""One head over a block of query rows, compiled for the CPU with numba: row by row, to stay in the cache.

The formulas of the metrics in `MEASURED` are repeated here, in three passes over a row: the largest logit,
the exponentials and their sums, the columns. Exponentials are in float32. So are the sums of a few of them,
`_AT_ONCE` in a row and `_ROWS_AT_ONCE` in a column; the sums of these are in float64. numba compiles the
formulas on first use (6 s) and caches the result until this file changes, so the functions it compiles must
not call functions in other files.

R rows, W columns and n × C cells of a block.
"""

import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import Array, Booleans, Indices, namespace, to_numpy
from attn_cli.core.streaming.blocks import Block, BlockSizes, make_block, visible_bounds
from attn_cli.core.streaming.logits import Logits, MeasuredLayer
from attn_cli.core.streaming.metrics import DEFINITIONS
from attn_cli.core.streaming.summary import SummaryBuilder
from attn_cli.vocabulary import Metric, Pool

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # NUMBA_DISABLE_JIT=1
    raise ImportError("numba is set not to compile, and without compilation this takes hours")

Float32s: TypeAlias = npt.NDArray[np.float32]
Float64s: TypeAlias = npt.NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])

SIZES = BlockSizes(
    chunk=2048,  # with 256 rows a product writes 2 MB
    numbers=1 << 23,  # 32 MB per thread
    rows=(64, 256),
    pairs=None,
)

_LANES = 128  # groups of a row's columns: group i has columns i, i + 128, ...
_AT_ONCE = 1024  # columns
_ROWS_AT_ONCE = 32
_ZERO, _ONE, _MINUS_INFINITY = np.float32(0), np.float32(1), np.float32(-np.inf)
_NOTHING, _WHOLE = np.float64(0), np.float64(1)
_LEAST = np.float32(-87)  # about the smallest x for which e^x is a normal float32; below, e^x counts as 0

# e^x = 2^n e^r, |r| <= ln 2 / 2 (Cody and Waite 1980, chapter 6); the series of e^r is accurate to 2⁻²³
_LOG2_E = np.float32(1.4426950408889634)
_ROUND = np.float32(12582912.0)  # 1.5 · 2²³: adding it rounds to an integer, in the lowest bits
_LN2_HIGH, _LN2_LOW = np.float32(0.693145751953125), np.float32(1.428606820309417e-06)
_C2, _C3, _C4, _C5, _C6 = (np.float32(1 / factorial) for factorial in (2, 6, 24, 120, 720))
_MANTISSA, _EXPONENT_OF_ONE = np.int32(23), np.int32(127 << 23)  # bits

MEASURED = (
    Metric.ENTROPY,
    Metric.LARGEST,
    Metric.SINK,
    Metric.ON,
    Metric.DISTANCE,
    Metric.CURRENT,
    Metric.PREVIOUS,
    Metric.FIRST,
    Metric.SPECIAL,
    Metric.DUPLICATE,
    Metric.INDUCTION,
)
"""The row metrics that are compiled, in the order in which they are in `_Results.rows`."""

(
    *(_ENTROPY, _LARGEST, _SINK, _ON, _DISTANCE, _CURRENT, _PREVIOUS, _FIRST, _SPECIAL, _DUPLICATE),
    _INDUCTION,
) = range(len(MEASURED))


def _jit(*freedom: str) -> Callable[[Function], Function]:
    """Compile a function that releases the GIL; `freedom` are LLVM's fast-math flags."""

    def compile_it(function: Function) -> Function:
        return cast("Function", numba.njit(nogil=True, fastmath=set(freedom))(function))

    return compile_it


def _cached_jit(function: Function) -> Function:
    """Compile an entry point, and cache it on disk together with all that it calls, if that is possible."""
    made = numba.njit(nogil=True)(function)
    with suppress(RuntimeError):  # no writable cache directory: it is compiled again next time
        made.enable_caching()

    def called(*operands: Any) -> Any:
        nonlocal made
        try:
            return made(*operands)
        except Exception:  # noqa: BLE001  whatever a damaged cache or a full disk raises, before anything runs
            made = numba.njit(nogil=True)(function)
            return made(*operands)

    return cast("Function", called)


@_jit("contract")
def _exp(x: np.float32) -> np.float32:
    """e^x for x from -87 to 0, with an error below 2.5e-7."""
    # numba passes a caller's flags on to functions without flags: "reassoc" would undo the rounding
    rounded = x * _LOG2_E + _ROUND
    n = rounded - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    series = ((((_C6 * r + _C5) * r + _C4) * r + _C3) * r + _C2) * r * r + r + _ONE
    bits = (np.float32(rounded).view(np.int32) << _MANTISSA) + _EXPONENT_OF_ONE
    return series * np.int32(bits).view(np.float32)


@_jit("reassoc", "contract", "nsz")
def _raise_few(
    logits: Float32s, keys: Float32s, peak: np.float32, query: np.float32
) -> tuple[np.float32, np.float32, np.float32]:
    """The same of a few columns, added up in float32."""
    total, product, far = _ZERO, _ZERO, _ZERO
    for j in range(len(logits)):
        below = logits[j] - peak
        power = _exp(_LEAST if below < _LEAST else below)  # this order keeps NaN
        power = _ZERO if below <= _LEAST else power
        total += power
        product += power * below  # 0 · -inf is NaN, so that an overflowed score is detected
        far += power * abs(keys[j] - query)
        logits[j] = power
    return total, product, far


@_jit()
def _raise_powers(
    logits: Float32s, keys: Float32s, peak: np.float32, query: np.float32
) -> tuple[np.float64, np.float64, np.float64]:
    """Replace logits by e^(logit - peak); return Σ of these, Σ times (logit - peak), Σ times the distance."""
    totals, products, fars = _NOTHING, _NOTHING, _NOTHING
    for start in range(0, len(logits), _AT_ONCE):
        stop = min(start + _AT_ONCE, len(logits))
        total, product, far = _raise_few(logits[start:stop], keys[start:stop], peak, query)
        totals, products, fars = totals + total, products + product, fars + far
    return totals, products, fars


@_jit("nsz")
def _find_peak(logits: Float32s, lanes: Float32s) -> np.float32:
    """The largest logit, found as the maximum over lanes of columns i, i + 128, ...; NaN is ignored."""
    lanes[:] = _MINUS_INFINITY
    whole = len(logits) // _LANES
    for group in range(whole):
        members = logits[group * _LANES : (group + 1) * _LANES]
        for lane in range(_LANES):
            lanes[lane] = members[lane] if members[lane] > lanes[lane] else lanes[lane]
    rest = logits[whole * _LANES :]
    for lane in range(len(rest)):
        lanes[lane] = rest[lane] if rest[lane] > lanes[lane] else lanes[lane]
    peak = _MINUS_INFINITY
    for lane in range(_LANES):
        peak = lanes[lane] if lanes[lane] > peak else peak
    return peak


@_jit("contract", "nsz")
def _add_weights(powers: Float32s, share: np.float32, sums: Float32s) -> None:
    """Add a row's weights to the sums of the columns."""
    for j in range(len(powers)):
        sums[j] += powers[j] * share


@_jit("contract", "nsz")
def _raise_largest(powers: Float32s, share: np.float32, largest: Float32s) -> None:
    """Raise the largest weights of the columns to those of a row where they are larger."""
    for j in range(len(powers)):
        weight = powers[j] * share
        largest[j] = largest[j] if largest[j] >= weight else weight


@_jit("nsz")
def _find_largest(largest: Float32s, width: int, cells: Float32s) -> None:
    """The largest of every `width` columns."""
    for cell in range(len(cells)):
        peak = _ZERO
        for index in range(cell * width, (cell + 1) * width):
            peak = peak if peak >= largest[index] else largest[index]
        cells[cell] = peak


@_jit("reassoc", "contract", "nsz")
def _pool_columns(sums: Float32s, width: int, tall: np.float32, wide: Float32s, cells: Float32s) -> None:
    """The mean of every `width` columns, from their sums; `tall` is 1 / rows, `wide` are 1 / columns."""
    if width == 2:  # noqa: PLR2004 — only this width is vectorised
        for cell in range(len(cells)):
            cells[cell] = (sums[2 * cell] + sums[2 * cell + 1]) * tall * wide[cell]
        return
    for cell in range(len(cells)):
        columns, total = sums[cell * width : (cell + 1) * width], _ZERO
        for index in range(width):
            total += columns[index]
        cells[cell] = total * tall * wide[cell]


class _Extent(NamedTuple):
    """The rows and columns of a block."""

    start: int  # the first row
    places: Indices  # (R,) the positions of the queries
    first: int  # the first column
    starts: Indices  # (R,) the first key that each row may look at
    stops: Indices  # (R,) the one after the last; equal to `starts` if it may look at none
    cell: tuple[int, int]  # rows and columns of a cell of the picture, or rows that are added up at once
    takes_largest: bool  # whether a cell is the largest of its weights instead of their mean
    shares: tuple[Float32s, Float32s]  # `BlockLayout.shares`


class _Keys(NamedTuple):
    """The keys of a layer: their positions, and what is known about their tokens."""

    numbers: Float32s  # (S',) 0, 1, 2, ...
    special: Indices  # positions of special tokens
    on: Indices  # (N, 2) the chosen keys as N ranges: the first key, and the one after the last
    order: Indices  # this and the next two: see `Copies`
    begins: Indices
    before: Indices


class _Results(NamedTuple):
    """The output arrays."""

    logsumexp: Float64s  # (H, T)
    rows: Float32s  # (M, H, T) the metrics of `MEASURED`
    received: Float64s  # (W,) of one head in the block
    pooled: Float32s  # (n, C) of one head in the block; no rows if no picture is requested


class _Row(NamedTuple):
    """A row whose exponentials have been computed."""

    query: int
    start: int  # the key of the first exponential
    powers: Float32s  # e^(logit - peak)
    share: np.float32  # power · share is the weight


@_jit("contract", "nsz")
def _measure_places(row: _Row, out: Float32s) -> None:
    """The weight on the row's own position, on the previous one and on the first token."""
    for metric, key in ((_CURRENT, row.query), (_PREVIOUS, row.query - 1), (_FIRST, 0)):
        is_here = row.start <= key < row.start + len(row.powers)
        out[metric] = row.powers[key - row.start] * row.share if is_here else _ZERO


@_jit("reassoc", "contract", "nsz")
def _sum_few(powers: Float32s) -> np.float32:
    total = _ZERO
    for j in range(len(powers)):
        total += powers[j]
    return total


@_jit()
def _sum(powers: Float32s) -> np.float64:
    total = _NOTHING
    for start in range(0, len(powers), _AT_ONCE):
        total += _sum_few(powers[start : start + _AT_ONCE])
    return total


@_jit("contract", "nsz")
def _measure_chosen(row: _Row, on: Indices, out: Float32s) -> None:
    """The weight on the chosen keys."""
    total, stop = _NOTHING, row.start + len(row.powers)
    for index in range(len(on)):
        first, end = max(on[index, 0], row.start), min(on[index, 1], stop)
        if first < end:
            total += _sum(row.powers[first - row.start : end - row.start])
    out[_ON] = total * row.share


@_jit("contract", "nsz")
def _measure_tokens(row: _Row, keys: _Keys, out: Float32s) -> None:
    """The weight on special tokens, on earlier copies of the row's token, and on the tokens after those."""
    query, start, stop = row.query, row.start, row.start + len(row.powers)
    special, copies, followers = _NOTHING, _NOTHING, _NOTHING
    for key in keys.special:
        if start <= key < stop:
            special += row.powers[key - start]
    begin = keys.begins[query]
    for index in range(begin, begin + keys.before[query]):
        key = keys.order[index]
        if start <= key < stop:
            copies += row.powers[key - start]
        if start <= key + 1 < stop and key + 1 < query:
            followers += row.powers[key + 1 - start]
    out[_SPECIAL] = special * row.share
    out[_DUPLICATE] = copies * row.share
    out[_INDUCTION] = followers * row.share


@_jit()
def _inverse(total: np.float64) -> np.float64:
    """1 / total; 0 for a row whose sink takes all weight."""
    return _WHOLE / total if total > _NOTHING else _NOTHING


@_jit("contract", "nsz")
def _measure_row(
    logits: Float32s,
    query: int,
    start: int,
    sink: np.float32,
    keys: _Keys,
    lanes: Float32s,
    out: Float32s,
) -> tuple[np.float32, np.float64]:
    """Compute every metric of a row, replacing its logits by exponentials.

    Return the factor that makes weights of them, and the logsumexp.
    """
    peak_of_keys = _find_peak(logits, lanes)
    peak = max(peak_of_keys, sink)
    numbers = keys.numbers[start : start + len(logits)]
    of_keys, product, far = _raise_powers(logits, numbers, peak, np.float32(query))
    of_sink, surprise = _NOTHING, _NOTHING
    if sink != _MINUS_INFINITY:
        fall = np.float64(sink) - np.float64(peak)
        of_sink = np.exp(fall)
        surprise = of_sink * fall
    total = of_keys + of_sink
    share, end = _WHOLE / total, np.log(total)
    row = _Row(query, start, logits, np.float32(share))
    out[_ENTROPY] = max((end * total - product - surprise) * share, _NOTHING)
    below = peak_of_keys - peak
    out[_LARGEST] = _exp(below) * share if below > _LEAST else _ZERO
    out[_SINK] = of_sink * share
    out[_DISTANCE] = far * _inverse(of_keys)
    _measure_places(row, out)
    _measure_chosen(row, keys.on, out)
    _measure_tokens(row, keys, out)
    return row.share, peak + end


@_jit()
def _put_empty_row(sink: np.float32, out: Float32s) -> None:
    """Set the metrics of a row that may look nowhere."""
    out[:] = _ZERO
    out[_SINK] = _ZERO if sink == _MINUS_INFINITY else _ONE


@_jit("contract", "nsz")
def _add_to_columns(
    sums: Float32s, largest: Float32s, recent: Float32s, cell: int, extent: _Extent, out: _Results
) -> None:
    """Add the sums over the rows of a cell to those of recent rows, and pool them or the largest weights."""
    recent[:] += sums
    if extent.takes_largest:
        _find_largest(largest, extent.cell[1], out.pooled[cell])
        largest[:] = _ZERO
    elif len(out.pooled):
        _pool_columns(sums, extent.cell[1], extent.shares[0][cell], extent.shares[1], out.pooled[cell])
    sums[:] = _ZERO


@_jit("contract", "nsz")
def _measure_rows(
    logits: Float32s, extent: _Extent, keys: _Keys, sinks: Float32s, head: int, out: _Results
) -> None:
    """Compute every metric of each row of `logits` (R, W), replacing them by exponentials."""
    count, width = logits.shape
    lanes, sums, recent = (
        np.empty(_LANES, np.float32),
        np.zeros(width, np.float32),
        np.zeros(width, np.float32),
    )
    largest = np.zeros(width if extent.takes_largest else 0, np.float32)
    out.received[:] = _ZERO
    for i in range(count):
        query, start, sink = extent.places[i], extent.starts[i], sinks[i]
        results = out.rows[:, head, extent.start + i]
        visible = slice(start - extent.first, extent.stops[i] - extent.first)
        if start == extent.stops[i]:
            _put_empty_row(sink, results)
            out.logsumexp[head, extent.start + i] = sink
        else:
            row = logits[i, visible]
            share, end = _measure_row(row, query, start, sink, keys, lanes, results)
            out.logsumexp[head, extent.start + i] = end
            _add_weights(row, share, sums[visible])
            if extent.takes_largest:
                _raise_largest(row, share, largest[visible])
        if (i + 1) % extent.cell[0] == 0 or i == count - 1:
            _add_to_columns(sums, largest, recent, i // extent.cell[0], extent, out)
        if (i + 1) % _ROWS_AT_ONCE == 0 or i == count - 1:
            out.received[:] += recent
            recent[:] = _ZERO


@_cached_jit
def _measure_head(
    logits: Float32s,
    extent: tuple[Any, ...],
    keys: tuple[Any, ...],
    sinks: Float32s,
    head: int,
    out: tuple[Any, ...],
) -> None:
    """The same with plain tuples: numba's cache could not be loaded after a class in it is renamed."""
    _measure_rows(logits, _Extent(*extent), _Keys(*keys), sinks, head, _Results(*out))


def _ranges(flags: Booleans | None) -> Indices:
    """(N, 2) the ranges in which the flags are true; none if they are unknown."""
    if flags is None:
        return np.zeros((0, 2), np.int64)
    edges = np.diff(flags.astype(np.int8), prepend=0, append=0)
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=-1).astype(np.int64)


def _empty(shape: int | tuple[int, ...], like: Array) -> Array:
    """An array of the same library and dtype, on the CPU."""
    return namespace(like).empty(shape, dtype=like.dtype)


class CompiledMeasurer:
    """Measures a layer with compiled code: operands on the CPU, in float32."""

    def __init__(self, layer: MeasuredLayer) -> None:
        self._layer, self._local = layer, threading.local()
        self.builder = SummaryBuilder(layer, MEASURED)
        tokens = layer.tokens
        nothing = np.zeros(1 + int(tokens.places(range(layer.layout.queries))[-1]), np.int64)
        copies = None if tokens.ids is None else tokens.copies
        self._keys = _Keys(
            numbers=np.arange(layer.layout.padded, dtype=np.float32),
            special=nothing[:0] if tokens.special is None else np.flatnonzero(tokens.special),
            on=_ranges(tokens.on),
            order=nothing if copies is None else copies.order,
            begins=nothing if copies is None else copies.first,
            before=nothing if copies is None else copies.before,
        )

    @classmethod
    def can_measure(cls, metrics: Collection[Metric]) -> bool:
        """Whether all of these metrics are compiled; metrics of keys always are."""
        return all(metric in MEASURED or DEFINITIONS[metric].is_of_keys for metric in metrics)

    def measure(self, rows: range, stopped: threading.Event) -> None:
        """Measure all heads in one block."""
        layer, builder = self._layer, self.builder
        block = make_block(layer.layout, rows, layer.mask, layer.queries, has_bounds=True)
        logits = Logits.of(layer, block)
        builder.put_visible_keys(rows, logits.visible_keys)
        scores, received = self._buffer(block), _empty(block.width, builder.received)
        pooled = self._pooled(block)
        powers, extent = to_numpy(scores), self._extent(block, logits)
        results = builder.logsumexp, builder.rows, received, pooled
        out = _Results(*(to_numpy(numbers) for numbers in results))
        for head in range(layer.operands.heads):
            if stopped.is_set():
                return
            for chunk in block.chunks:
                start = chunk.start - block.first
                logits.put(head, chunk, scores[:, start : start + chunk.width])
            sinks = self._sinks(rows, head)
            _measure_head(powers, tuple(extent), tuple(self._keys), sinks, head, tuple(out))
            builder.add_columns(block, head, received, pooled if layer.has_picture else None)

    def _sinks(self, rows: range, head: int) -> Float32s:
        """(R,) the logit of the head's sink in each row; -inf without a sink."""
        sink = self._layer.sink
        if sink is None:
            return np.full(len(rows), _MINUS_INFINITY)
        return np.ascontiguousarray(to_numpy(sink[head, rows.start : rows.stop]))

    def _extent(self, block: Block, logits: Logits) -> _Extent:
        layout = self._layer.layout
        starts, stops = visible_bounds(block.rows, self._layer.mask.band, layout.keys)
        stops = np.where(to_numpy(logits.visible_keys) > 0, stops, starts)
        tall, wide = (shares.astype(np.float32) for shares in layout.shares(block.rows, block.columns))
        cell = (layout.cells.rows if self._layer.has_picture else _ROWS_AT_ONCE, layout.cells.columns)
        takes_largest = self._layer.pool is Pool.MAX
        places = self._layer.tokens.places(block.rows).astype(np.int64)
        edges = (block.rows.start, places, block.first, starts, stops)
        return _Extent(*edges, cell, takes_largest, (tall, wide))

    def _pooled(self, block: Block) -> Array:
        """(n, C) an output array for the pooled weights of the block's cells."""
        tall, wide = self._layer.layout.cells_of(block.rows, block.columns)
        count = tall.stop - tall.start if self._layer.has_picture else 0
        return _empty((count, wide.stop - wide.start), self._layer.queries)

    def _buffer(self, block: Block) -> Array:
        """(R, W) the working memory of this thread, allocated once."""
        count, layout, local = len(block.rows), self._layer.layout, self._local
        if not hasattr(local, "scores"):
            local.scores = _empty(layout.rows * layout.padded, self._layer.queries)
        used = local.scores[: count * block.width]
        return namespace(used).reshape(used, (count, block.width))
