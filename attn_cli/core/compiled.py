"""One head in a block of query rows on the CPU, compiled: each row is read once, while it is in the cache.

The steps of `rows.Stepwise` in one pass each, over whole rows: the largest, the powers and their sums, the
columns. numba compiles them when they are first needed (3 s) and keeps what it compiled.

R rows, W columns of a block, K largest weights.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import Array, to_numpy
from attn_cli.core.blocks import Block, Sizes, block, bounds
from attn_cli.core.logits import Layer, Logits
from attn_cli.core.summary import ROW_FACTS, Found

Numbers: TypeAlias = npt.NDArray[np.float32]
Indices: TypeAlias = npt.NDArray[np.int64]
Function = TypeVar("Function", bound=Callable[..., Any])

SIZES = Sizes(
    chunk=2048,  # a product of 256 such rows writes 2 MB
    numbers=1 << 23,  # 32 MB for each thread
    rows=(64, 256),
    has_whole_cells=True,
)

_LANES = 128  # groups of columns: about as many as a group of 8,192 columns has members
_ZERO, _ONE, _NOWHERE = np.float32(0), np.float32(1), np.float32(-np.inf)
_LEAST = np.float32(-87)  # e to this is the smallest power that float32 holds in full; below it is 0

# e^x = 2^n e^r, |r| <= ln 2 / 2 (Cody and Waite 1980, chapter 6); the series of e^r as far as 2⁻²³ asks
_LOG2_E = np.float32(1.4426950408889634)
_ROUND = np.float32(12582912.0)  # 1.5 · 2²³: a number added to it is rounded, and stands in the lowest bits
_LN2_HIGH, _LN2_LOW = np.float32(0.693145751953125), np.float32(1.428606820309417e-06)
_C2, _C3, _C4, _C5, _C6 = (np.float32(1 / each) for each in (2, 6, 24, 120, 720))
_EXPONENT, _BIAS = np.int32(23), np.int32(127 << 23)

_LOGSUMEXP, _ENTROPY, _LARGEST, _DISTANCE, _CURRENT, _PREVIOUS, _FIRST, _SPECIAL, _DUPLICATE, _INDUCTION = (
    range(len(ROW_FACTS))
)


def _compiled(*freedom: str) -> Callable[[Function], Function]:
    """Machine code of a function, without the GIL; `freedom`: LLVM's flags of how sums may be reordered."""

    def compile_it(function: Function) -> Function:
        made = numba.njit(nogil=True, fastmath=set(freedom))(function)
        with suppress(RuntimeError):  # there is nowhere to keep it: it is compiled again next time
            made.enable_caching()
        return cast("Function", made)

    return compile_it


@_compiled("contract")
def _exp(x: np.float32) -> np.float32:
    """e^x for x from -87 to 0, within 2.5e-7 of it."""
    rounded = x * _LOG2_E + _ROUND
    n = rounded - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    series = ((((_C6 * r + _C5) * r + _C4) * r + _C3) * r + _C2) * r * r + r + _ONE
    bits = (np.float32(rounded).view(np.int32) << _EXPONENT) + _BIAS
    return series * np.int32(bits).view(np.float32)


@_compiled("reassoc", "contract", "nsz")
def _powers(
    logits: Numbers, places: Numbers, peak: np.float32, here: np.float32
) -> tuple[np.float32, np.float32, np.float32]:
    """Each logit becomes e^(logit - peak); their sum, and those times logit - peak and times the distance."""
    total, product, far = _ZERO, _ZERO, _ZERO
    for j in range(len(logits)):
        x = logits[j] - peak
        x = _LEAST if x < _LEAST else x  # so written, NaN stays NaN
        power = _exp(x)
        power = _ZERO if x <= _LEAST else power
        total += power
        product += power * x
        far += power * abs(places[j] - here)
        logits[j] = power
    return total, product, far


@_compiled("nsz")
def _maxima(logits: Numbers, lanes: Numbers) -> None:
    """The largest of columns i, i + 128, ... into lane i."""
    lanes[:] = _NOWHERE
    whole = len(logits) // _LANES
    for part in range(whole):
        here = logits[part * _LANES : (part + 1) * _LANES]
        for lane in range(_LANES):
            lanes[lane] = here[lane] if here[lane] > lanes[lane] else lanes[lane]
    rest = logits[whole * _LANES :]
    for lane in range(len(rest)):
        lanes[lane] = rest[lane] if rest[lane] > lanes[lane] else lanes[lane]


@_compiled("nsz")
def _largest(numbers: Numbers, largest: Numbers, where: Indices) -> None:
    """The K largest numbers, the largest first, and where they are; -1 where there are no more."""
    largest[:] = _NOWHERE
    where[:] = -1
    last = len(largest) - 1
    for index in range(len(numbers)):
        number = numbers[index]
        if number > largest[last]:
            at = last
            while at > 0 and largest[at - 1] < number:
                largest[at], where[at] = largest[at - 1], where[at - 1]
                at -= 1
            largest[at], where[at] = number, index


@_compiled("nsz")
def _candidates(logits: Numbers, lanes: Indices, numbers: Numbers, columns: Indices) -> int:
    """The members of the K lanes whose largest are largest: the K largest of all are among them."""
    count = 0
    for lane in lanes:
        if lane >= 0:
            for column in range(lane, len(logits), _LANES):
                numbers[count], columns[count] = logits[column], column
                count += 1
    return count


@_compiled("contract", "nsz")
def _add(powers: Numbers, share: np.float32, sums: Numbers) -> None:
    """Add the weights of a row to the sums of its columns."""
    for j in range(len(powers)):
        sums[j] += powers[j] * share


@_compiled("reassoc", "contract", "nsz")
def _pool(sums: Numbers, width: int, share: np.float32, shares: Numbers, cells: Numbers) -> None:
    """The mean of every `width` columns, from their sums; `share`, `shares`: 1 / rows, 1 / columns."""
    if width == 2:  # noqa: PLR2004 — pairs alone are added in vectors
        for cell in range(len(cells)):
            cells[cell] = (sums[2 * cell] + sums[2 * cell + 1]) * share * shares[cell]
        return
    for cell in range(len(cells)):
        part, total = sums[cell * width : (cell + 1) * width], _ZERO
        for index in range(width):
            total += part[index]
        cells[cell] = total * share * shares[cell]


class _Where(NamedTuple):
    """Which rows and columns a block has."""

    start: int  # the first row
    first: int  # the first column
    starts: Indices  # (R,) the first key that each row may look at
    stops: Indices  # (R,) the one behind the last; the same where it may look at none
    cells: tuple[int, int]  # rows and columns of a cell of the picture
    shares: tuple[Numbers, Numbers]  # `Layout.shares`


class _Asked(NamedTuple):
    """What is asked of the keys of a layer."""

    places: Numbers  # (S',) the numbers of the keys
    special: Indices  # those that are no text
    order: Indices  # `Copies`
    begins: Indices
    before: Indices


class _Into(NamedTuple):
    """Where the facts of the heads in a block go."""

    facts: Numbers  # (F, H, R) in the order of `ROW_FACTS`
    top_weights: Numbers  # (H, R, K)
    top_keys: Indices  # (H, R, K)
    received: Numbers  # (W,) of one head
    picture: Numbers  # (H, n, C) means; without rows where none is asked for


@_compiled("contract", "nsz")
def _places(row: Numbers, here: int, share: np.float32, where: _Where, i: int, facts: Numbers) -> None:
    """The weight on the own place, on the one before it and on the first token."""
    start, stop = where.starts[i] - where.first, where.stops[i] - where.first
    for fact, column in ((_CURRENT, here), (_PREVIOUS, here - 1), (_FIRST, -where.first)):
        facts[fact, i] = row[column] * share if start <= column < stop else _ZERO


@_compiled("contract", "nsz")
def _gathered(
    row: Numbers, here: int, share: np.float32, where: _Where, i: int, asked: _Asked, facts: Numbers
) -> None:
    """The weight on special tokens, on earlier copies of the row's token, and on what followed them."""
    start, stop = where.starts[i] - where.first, where.stops[i] - where.first
    special, copies, followers = _ZERO, _ZERO, _ZERO
    for key in asked.special:
        if start <= key - where.first < stop:
            special += row[key - where.first]
    query = where.start + i
    begin = asked.begins[query]
    for index in range(begin, begin + asked.before[query]):
        column = asked.order[index] - where.first
        if start <= column < stop:
            copies += row[column]
        if start <= column + 1 < stop and column + 1 < here:
            followers += row[column + 1]
    facts[_SPECIAL, i], facts[_DUPLICATE, i], facts[_INDUCTION, i] = (
        special * share,
        copies * share,
        followers * share,
    )


@_compiled("contract", "nsz")
def _top(
    row: Numbers, share: np.float32, first: int, columns: Indices, weights: Numbers, keys: Indices
) -> None:
    """The weights of the K columns that were found, and their keys; where the weight is 0 there is none."""
    for place in range(len(columns)):
        weight = row[columns[place]] * share if columns[place] >= 0 else _ZERO
        weights[place] = weight
        keys[place] = columns[place] + first if weight > _ZERO else -1


@_compiled("contract", "nsz")
def _rows(logits: Numbers, where: _Where, asked: _Asked, sink: np.float32, head: int, into: _Into) -> None:
    """Every fact of each row of `logits` (R, W), which becomes the rows' powers."""
    rows, width = logits.shape
    top = into.top_keys.shape[2]
    facts, picture = into.facts[:, head], into.picture[head if len(into.picture) > 1 else 0]
    lanes, sums = np.empty(_LANES, np.float32), np.zeros(width, np.float32)
    largest, chosen = np.empty(max(top, 1), np.float32), np.empty(max(top, 1), np.int64)
    room = min(max(top, 1), _LANES) * (width // _LANES + 1)
    numbers, columns = np.empty(room, np.float32), np.empty(room, np.int64)
    into.received[:] = _ZERO
    for i in range(rows):
        start, stop = where.starts[i] - where.first, where.stops[i] - where.first
        row, here = logits[i], where.start + i - where.first
        _maxima(row[start:stop], lanes)
        _largest(lanes, largest, chosen)
        peak_of_keys = largest[0]
        peak = sink if sink > peak_of_keys else peak_of_keys
        if top > 0:
            count = _candidates(row[start:stop], chosen, numbers, columns)
            _largest(numbers[:count], largest, chosen)
            for place in range(top):
                chosen[place] = columns[chosen[place]] + start if chosen[place] >= 0 else -1
        if start == stop:
            _nothing(i, sink, head, into)
        else:
            total, product, far = _powers(
                row[start:stop],
                asked.places[where.starts[i] : where.stops[i]],
                peak,
                np.float32(where.start + i),
            )
            of_keys = total
            total += _exp(max(sink - peak, _LEAST)) if sink > _NOWHERE else _ZERO
            share, ends = _ONE / total, np.log(total)
            facts[_LOGSUMEXP, i] = peak + ends
            facts[_ENTROPY, i] = max((ends * of_keys - product) * share, _ZERO)
            facts[_LARGEST, i] = _exp(max(peak_of_keys - peak, _LEAST)) * share
            facts[_DISTANCE, i] = far * share
            _places(row, here, share, where, i, facts)
            _gathered(row, here, share, where, i, asked, facts)
            _top(row, share, where.first, chosen[:top], into.top_weights[head, i], into.top_keys[head, i])
            _add(row[start:stop], share, sums[start:stop])
        if (i + 1) % where.cells[0] == 0 or i == rows - 1:
            into.received[:] += sums
            if len(picture):
                cell = i // where.cells[0]
                _pool(sums, where.cells[1], where.shares[0][cell], where.shares[1], picture[cell])
            sums[:] = _ZERO


@_compiled()
def _nothing(i: int, sink: np.float32, head: int, into: _Into) -> None:
    """A row that may look nowhere."""
    into.facts[:, head, i] = _ZERO
    into.facts[_LOGSUMEXP, head, i] = sink
    into.top_weights[head, i] = _ZERO
    into.top_keys[head, i] = -1


class Compiled:
    """A layer that is measured in compiled rows: operands of PyTorch on the CPU, in float32."""

    def __init__(self, layer: Layer, found: Found) -> None:
        self._layer, self._found, self._own = layer, found, threading.local()
        nothing = np.zeros(layer.cut.queries, np.int64)
        copied = layer.copies
        self._asked = _Asked(
            places=np.arange(layer.cut.padded, dtype=np.float32),
            special=np.zeros(0, np.int64)
            if layer.special is None
            else np.flatnonzero(to_numpy(layer.special)),
            order=nothing[:0] if copied is None else copied.order,
            begins=nothing if copied is None else copied.first,
            before=nothing if copied is None else copied.before,
        )

    def measure(self, rows: range, stopped: threading.Event) -> None:
        """All heads in one block."""
        layer, found = self._layer, self._found
        one = block(layer.cut, rows, layer.mask, layer.queries, has_bounds=True)
        logits = Logits.of(layer, one)
        found.put_seen(rows, logits.seen)
        where, scores, received = (
            self._where(one, logits),
            self._buffer(one),
            layer.queries.new_empty(one.width),
        )
        given, into = to_numpy(scores), self._into(one, to_numpy(received))
        for head in range(layer.operands.heads):
            if stopped.is_set():
                return
            for chunk in one.chunks:
                start = chunk.start - one.first
                logits.put(head, chunk, scores[:, start : start + chunk.width])
            sink = _NOWHERE if layer.sink is None else np.float32(layer.sink[head])
            _rows(given, where, self._asked, sink, head, into)
            found.add(one, head, received, None)

    def _where(self, one: Block, logits: Logits) -> _Where:
        cut = self._layer.cut
        starts, stops = bounds(one.rows, self._layer.mask.band, cut.keys)
        stops = np.where(to_numpy(logits.seen) > 0, stops, starts)
        tall, wide = (each.astype(np.float32) for each in cut.shares(one.rows, one.columns))
        return _Where(
            one.rows.start, one.first, starts, stops, (cut.cells.rows, cut.cells.columns), (tall, wide)
        )

    def _into(self, one: Block, received: Numbers) -> _Into:
        found, rows = self._found, slice(one.rows.start, one.rows.stop)
        heads = slice(None)
        if found.picture is None:
            picture = np.empty((1, 0, 0), np.float32)
        else:
            picture = to_numpy(found.picture)[(heads, *self._layer.cut.cells_of(one.rows, one.columns))]
        return _Into(
            facts=to_numpy(found.facts)[:, :, rows],
            top_weights=to_numpy(found.top_weights)[:, rows],
            top_keys=to_numpy(found.top_keys)[:, rows],
            received=received,
            picture=picture,
        )

    def _buffer(self, one: Block) -> Array:
        """(R, W) where this thread works: allocated once."""
        count, cut = len(one.rows), self._layer.cut
        if not hasattr(self._own, "scores"):
            self._own.scores = self._layer.queries.new_empty(cut.rows * cut.padded)
        return self._own.scores[: count * one.width].view(count, one.width)
