"""One head in a block of query rows: the softmax chunk by chunk, then every fact about each row.

The chunks of a row are put together by their logsumexp (Dao et al. 2022, arXiv:2205.14135, section 3.1).
R rows, C columns of a chunk, N chunks.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attn_cli.core.arrays import Array, device_of, namespace
from attn_cli.core.streaming.blocks import Block, Chunk, block, places
from attn_cli.core.streaming.logits import Layer, Logits
from attn_cli.core.streaming.summary import Found
from attn_cli.vocabulary import Metric

_SUMS = (Metric.DISTANCE, Metric.SPECIAL)  # of a row's weights, each times a number


@dataclass(frozen=True, slots=True, eq=False)
class Buffers:
    """Where one thread works: allocated once, so that it stays in the cache."""

    scores: Array  # of a chunk
    weights: Array  # of a block

    @classmethod
    def empty(cls, layer: Layer) -> "Buffers":
        """As large as the largest block needs."""
        xp, like, cut = namespace(layer.queries), layer.queries, layer.cut
        sizes = (cut.rows * min(cut.chunk, cut.padded), cut.rows * cut.padded)
        return cls(*(xp.empty(size, dtype=like.dtype, device=device_of(like)) for size in sizes))


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """What all heads of a block have in common."""

    logits: Logits
    numbers: Array  # (R,) of the rows, the block's first being 0
    within: Array  # (R,) the same as numbers to compute with
    all_see: bool  # whether each may look at some
    sides: Array  # (N,) on which side of the rows the chunks are: -1 before them, 1 behind them, 0 neither
    far: tuple[Array, ...]  # (C,) of each chunk the distance from the first row; (R, C) from each on side 0
    cells: Array  # (n, W / columns of a cell) 1 / how many weights each cell of the picture has
    special: tuple[
        Array | None, ...
    ]  # (C,) of each chunk: 1 for a token that is no text; None: there is none
    places: Mapping[Metric, tuple[Array, Array]]  # (R,) where a row's one place is; whether the block has it
    pairs: Mapping[Metric, tuple[Array, Array]]  # (P,) the row of each pair, and where it is

    @classmethod
    def of(cls, layer: Layer, block: Block) -> "Shared":
        """Computed once for a block."""
        xp, like = namespace(layer.queries), layer.queries
        numbers = xp.arange(len(block.rows), device=device_of(like))
        sides = [_side(block.rows, chunk) for chunk in block.chunks]
        logits = Logits.of(layer, block)
        shares = layer.cut.shares(block.rows, block.columns)
        needs_distance = Metric.DISTANCE in layer.metrics
        return cls(
            logits=logits,
            all_see=bool(xp.all(logits.seen > 0)),
            numbers=numbers,
            within=xp.astype(numbers, like.dtype),
            sides=xp.asarray(sides, dtype=like.dtype, device=device_of(like)),
            far=tuple(_far(block.rows, chunk, like) for chunk in block.chunks) if needs_distance else (),
            cells=xp.asarray(np.multiply.outer(*shares), dtype=like.dtype, device=device_of(like)),
            special=tuple(_special(layer, chunk) for chunk in block.chunks),
            places={
                metric: _here(block, numbers, column, like)
                for metric, column in _named(block, numbers).items()
                if metric in layer.metrics
            },
            pairs=_pairs(layer, block),
        )


def _named(block: Block, numbers: Array) -> dict[Metric, Array]:
    """The column of the one place that each row names."""
    start = block.rows.start
    return {
        Metric.CURRENT: numbers + start,
        Metric.PREVIOUS: numbers + (start - 1),
        Metric.FIRST: 0 * numbers,
    }


def _here(block: Block, numbers: Array, column: Array, like: Array) -> tuple[Array, Array]:
    """Where in the buffer the places are, and 1 for those that the block has."""
    xp = namespace(column)
    is_here = (column >= block.first) & (column < block.stop)
    flat = block.flat(numbers, xp.where(is_here, column, block.first + 0 * column))
    return flat, xp.astype(is_here, like.dtype)


def _pairs(layer: Layer, block: Block) -> dict[Metric, tuple[Array, Array]]:
    """Every row with each earlier copy of its token, and with what followed each."""
    if layer.copies is None or not layer.metrics & {Metric.DUPLICATE, Metric.INDUCTION}:
        return {}
    row, column = layer.copies.earlier(block.rows)
    found = {}
    if Metric.DUPLICATE in layer.metrics:
        found[Metric.DUPLICATE] = _located(block, layer.queries, row, column)
    if Metric.INDUCTION in layer.metrics:
        is_before = column + 1 < row + block.rows.start
        found[Metric.INDUCTION] = _located(block, layer.queries, row[is_before], column[is_before] + 1)
    return found


def _located(block: Block, like: Array, row: Array, column: Array) -> tuple[Array, Array]:
    """The row and the place in the buffer of each pair that is in the block."""
    is_here = (column >= block.first) & (column < block.stop)
    row, column = row[is_here], column[is_here]
    xp = namespace(like)
    return tuple(xp.asarray(each, device=device_of(like)) for each in (row, block.flat(row, column)))


def _side(rows: range, chunk: Chunk) -> int:
    return -1 if chunk.stop <= rows.start else 1 if chunk.start >= rows.stop else 0


def _far(rows: range, chunk: Chunk, like: Array) -> Array:
    """How many tokens lie between the first row and each column; between each pair on the diagonal."""
    xp, keys = namespace(like), places(range(chunk.start, chunk.stop), like, like.dtype)
    one_side = _side(rows, chunk)
    return xp.abs(keys - rows.start if one_side else places(rows, like, like.dtype)[:, None] - keys)


def _special(layer: Layer, chunk: Chunk) -> Array | None:
    if layer.special is None or Metric.SPECIAL not in layer.metrics:
        return None
    own = layer.special[chunk.start : chunk.stop]
    return own if bool(namespace(own).any(own > 0)) else None


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What the rows of a block give to its columns; W of them, n rows of cells."""

    received: Array  # (W,) the weights, summed
    pooled: Array | None  # (n, W / columns of a cell) what they add to the mean of each cell of the picture


@dataclass(frozen=True, slots=True, eq=False)
class _HeadRows:
    """One head in one block: its weights are in the buffer once `facts` has been called."""

    layer: Layer
    block: Block
    shared: Shared
    buffers: Buffers
    head: int

    def facts(self) -> tuple[dict[str, Array], Columns | None]:
        """Every fact of each row (R,) by its name in `Summary`; and what the columns get."""
        xp, metrics = namespace(self.layer.queries), self.layer.metrics
        found = [self._softmax(chunk) for chunk in self.block.chunks]
        ends, products, peaks = (list(each) for each in zip(*found, strict=True))
        logsumexp, shares = self._joined(xp.stack(ends))  # (N, R) the weight of each chunk
        facts: dict[str, Array] = {"logsumexp": logsumexp}
        if Metric.ENTROPY in metrics:
            mean = xp.sum(shares * xp.stack(products), axis=0)
            facts["entropy"] = self._entropy(logsumexp, shares, mean)
        if Metric.LARGEST in metrics:
            largest = xp.exp(xp.max(xp.stack(peaks), axis=0) - logsumexp)
            facts["largest"] = xp.where(self.shared.logits.seen > 0, largest, xp.zeros_like(largest))
        sums, columns = self._weighed(shares)
        facts |= sums
        for metric, (flat, is_here) in self.shared.places.items():
            facts[metric.field] = xp.take(self.buffers.weights, flat, axis=0) * is_here
        for metric, (row, flat) in self.shared.pairs.items():
            numbers = xp.take(self.buffers.weights, flat, axis=0)
            facts[metric.field] = self.layer.tools.by_row(numbers, row, len(self.block.rows))
        return facts, columns

    def _weighed(self, shares: Array) -> tuple[dict[str, Array], Columns | None]:
        """The shares of the chunks become the row's weights, and what is a sum of them is summed.

        Chunk by chunk, while it is in the cache; `shares` (N, R).
        """
        xp, metrics, tools = namespace(shares), self.layer.metrics, self.layer.tools
        found = {metric.field: 0 * self.shared.within for metric in _SUMS if metric in metrics}
        sums: list[Array] = []
        for index, chunk in enumerate(self.block.chunks):
            weights, special = self._weights(chunk), self.shared.special[index]
            tools.scale(weights, shares[index])
            if Metric.DISTANCE in metrics:
                found[Metric.DISTANCE.field] += self._far(index, weights)
            if special is not None:
                found[Metric.SPECIAL.field] += tools.times(weights, special)
            if self.layer.sums_columns:
                sums.append(self._summed(weights))
        if Metric.DISTANCE in metrics:  # of chunks on one side: from the first row to the own
            found[Metric.DISTANCE.field] -= self.shared.within * xp.matmul(self.shared.sides, shares)
        return found, self._columns(sums) if sums else None

    def _softmax(self, chunk: Chunk) -> tuple[Array, Array | None, Array]:
        """The chunk's shares into the buffer; its logsumexp, Σ share · logit, and the largest logit."""
        layer = self.layer
        logits = self._view(self.buffers.scores, 0, chunk.width)
        self.shared.logits.put(self.head, chunk, logits)
        peak = layer.tools.maxima(logits)
        shares = self._weights(chunk)
        end = layer.tools.softmax(logits, peak, shares)
        product = layer.tools.dots(shares, logits, logits) if Metric.ENTROPY in layer.metrics else None
        return end, product, peak

    def _joined(self, ends: Array) -> tuple[Array, Array]:
        """(R,) the logsumexp of each row, and (N, R) the weight of each chunk; `ends` (N, R) are theirs."""
        xp, sink = namespace(ends), self.layer.sink
        peak = xp.max(ends, axis=0)
        if sink is not None:
            peak = xp.maximum(peak, sink[self.head])
        powers = xp.exp(ends - peak)
        total = xp.sum(powers, axis=0)
        if sink is not None:
            total = total + xp.exp(sink[self.head] - peak)
        logsumexp, shares = peak + xp.log(total), powers / total
        if self.shared.all_see:
            return logsumexp, shares
        looks, nothing = self.shared.logits.seen > 0, xp.zeros_like(total)
        end = nothing + (-float("inf") if sink is None else sink[self.head])
        return xp.where(looks, logsumexp, end), xp.where(looks, shares, nothing)

    def _entropy(self, logsumexp: Array, shares: Array, mean: Array) -> Array:
        """(R,) -Σ α ln α = lse · Σ α - Σ α · logit, in nats; `mean` (R,) is the second sum."""
        xp = namespace(shares)
        if not self.shared.all_see:
            logsumexp = xp.where(self.shared.logits.seen > 0, logsumexp, xp.zeros_like(logsumexp))
        return xp.clip(logsumexp * xp.sum(shares, axis=0) - mean, min=0.0)

    def _far(self, index: int, weights: Array) -> Array:
        """(R,) Σ_j α_ij |i - j| of a chunk; of one that is on one side, as far as the first row."""
        tools, far = self.layer.tools, self.shared.far[index]
        if far.ndim == 1:
            return tools.times(weights, far)
        return tools.dots(weights, far, self._view(self.buffers.scores, 0, weights.shape[-1]))

    def _columns(self, sums: Sequence[Array]) -> Columns:
        """What the rows give to the block's columns; `sums` (n, C) of each chunk."""
        xp, cell = namespace(self.layer.queries), self.layer.cut.cells.columns
        received = xp.concat([xp.sum(each, axis=0) for each in sums])
        if not self.layer.has_picture:
            return Columns(received, None)
        pooled = xp.concat([self.layer.tools.pooled(each, cell) for each in sums], axis=-1)
        return Columns(received, pooled * self.shared.cells)

    def _summed(self, weights: Array) -> Array:
        """(n, C) over the rows of each cell of the picture, or over all; the last may be of fewer."""
        tools, count = self.layer.tools, len(weights)
        cell = min(self.layer.cut.cells.rows, count) if self.layer.has_picture else count
        whole = count // cell * cell
        if whole == count:
            return tools.summed(weights, cell)
        parts = [tools.summed(weights[:whole], cell), tools.summed(weights[whole:], count - whole)]
        return namespace(weights).concat(parts)

    def _weights(self, chunk: Chunk) -> Array:
        return self._view(self.buffers.weights, chunk.offset, chunk.width)

    def _view(self, buffer: Array, offset: int, width: int) -> Array:
        count = len(self.block.rows)
        return namespace(buffer).reshape(buffer[offset : offset + count * width], (count, width))


class Stepwise:
    """A layer that is measured operation by operation, whatever the library and the device."""

    def __init__(self, layer: Layer, found: Found) -> None:
        self._layer, self._found, self._own = layer, found, threading.local()

    def measure(self, rows: range, stopped: threading.Event) -> None:
        """All heads in one block."""
        layer, own = self._layer, self._own
        if not hasattr(own, "buffers"):
            own.buffers = Buffers.empty(layer)
        one = block(layer.cut, rows, layer.mask, layer.queries)
        shared = Shared.of(layer, one)
        self._found.put_seen(rows, shared.logits.seen)
        for head in range(layer.operands.heads):
            if stopped.is_set():
                return
            facts, columns = _HeadRows(layer, one, shared, own.buffers, head).facts()
            self._found.put(rows, head, facts)
            if columns is not None:
                self._found.add(one, head, columns.received, columns.pooled)
