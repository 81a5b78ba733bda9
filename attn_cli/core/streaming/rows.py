"""Some heads in a block of query rows: the softmax chunk by chunk, then every metric of each row.

The chunks of a row are combined by their largest logits (Dao et al. 2022, arXiv:2205.14135, section 3.1).
Numbers of a chunk are in the dtype of the operands, at least float32; what a row sums up of them, in float64.
In a long text heads are measured one by one; in a short one several at once, their rows below one another,
because an operation on a few rows costs little more than its call. R rows: those of the block, once for each
of these heads. W columns of a block, C columns of a chunk, N chunks.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from attn_cli.core.arrays import Array, Integers, device_of, namespace, widest_float
from attn_cli.core.streaming.blocks import Block, Chunk, make_block, positions_in
from attn_cli.core.streaming.formulas import SoftmaxFormula, SoftmaxRows, WeightedSum, WeightOnPairs
from attn_cli.core.streaming.kernels import LOWEST
from attn_cli.core.streaming.logits import Logits, MeasuredLayer
from attn_cli.core.streaming.summary import SummaryBuilder
from attn_cli.record import record
from attn_cli.vocabulary import Metric, Pool

_SUMMED_AT_ONCE = 16  # rows: so many weights are added up in float32, and their sums in float64
_TOGETHER = 1 << 17  # numbers of the heads that are measured at once: 0.5 MB, which stay in the cache


class Buffers(NamedTuple):
    """The working memory of one thread, allocated once, so that it stays in the cache."""

    scores: Array  # of a chunk
    weights: Array  # of a block

    @classmethod
    def empty(cls, layer: MeasuredLayer) -> "Buffers":
        """Buffers for the largest block."""
        xp, like, layout = namespace(layer.queries), layer.queries, layer.layout
        sizes = (layout.rows * min(layout.chunk, layout.padded), layout.rows * layout.padded)
        together = min(_TOGETHER, layer.operands.heads * sizes[1])
        return cls(
            *(xp.empty(max(size, together), dtype=like.dtype, device=device_of(like)) for size in sizes)
        )


def heads_at_once(heads: int, block: Block) -> int:
    """How many heads are measured at once: as many as fit into the cache, and divide them evenly."""
    most = _TOGETHER // (len(block.rows) * block.width) if len(block.chunks) == 1 else 1
    return max(count for count in range(1, max(1, min(heads, most)) + 1) if heads % count == 0)


class BlockSum(NamedTuple):
    """The coefficients of a weighted sum in a block."""

    columns: tuple[Array | None, ...]  # (C,) or (R, C) per chunk; None if all are 0
    slopes: Array | None  # (N,) one per chunk; None if all are 0
    is_mean: bool

    @classmethod
    def of(cls, formula: WeightedSum, layer: MeasuredLayer, block: Block, heads: int) -> "BlockSum":
        """Compute it once for all heads, of which so many are measured at once."""
        like = layer.queries
        chunks = [
            formula.coefficients(layer.tokens, block.rows, range(chunk.start, chunk.stop), like)
            for chunk in block.chunks
        ]
        columns = tuple(None if chunk is None else _of_heads(chunk.columns, heads) for chunk in chunks)
        slopes = [0 if chunk is None else chunk.slope for chunk in chunks]
        exact = namespace(like).asarray(slopes, dtype=widest_float(like), device=device_of(like))
        return cls(columns, exact if any(slopes) else None, formula.is_mean)


class BlockPairs(NamedTuple):
    """The P pairs of a block whose weights are summed."""

    rows: Array  # (P,) counted from the block's first row
    places: Array  # (P,) indices into the buffer of weights

    @classmethod
    def of(cls, formula: WeightOnPairs, layer: MeasuredLayer, block: Block, heads: int) -> "BlockPairs":
        """Compute them once for all heads; keys outside the block are left out."""
        rows, keys = formula.pairs(layer.tokens, block.rows)
        is_here = (keys >= block.first) & (keys < block.stop)
        rows, keys = rows[is_here], keys[is_here]
        count = len(block.rows)
        return cls(
            _as_index(rows, heads, count, layer.queries),
            _as_index(block.flat(rows, keys), heads, count * block.width, layer.queries),
        )


def _as_index(places: Integers, heads: int, step: int, like: Array) -> Array:
    """(heads · P,) the places of one head (P,), and those of the others, each `step` further on."""
    of_heads = np.add.outer(step * np.arange(heads), places).ravel()
    return namespace(like).asarray(of_heads, device=device_of(like))


def _of_heads(numbers: Array | None, heads: int) -> Array | None:
    """Numbers of the rows of a block once for each head, as (R, C); those of columns alone stay (C,)."""
    if numbers is None or numbers.ndim == 1 or heads == 1:
        return numbers
    return namespace(numbers).concat([numbers] * heads)


class SharedRows(NamedTuple):
    """What all heads share in a block."""

    logits: Logits
    heads: int  # that are measured at once
    looks: Array | None  # (R,) whether each row may look at a key; None: all may
    offsets: Array  # (R,) 0, 1, 2, ... of each head in float64
    cells: Array  # (n, W / columns of a cell) 1 / number of weights in each cell of the picture
    of_softmax: Mapping[Metric, SoftmaxFormula]
    sums: Mapping[Metric, BlockSum]
    pairs: Mapping[Metric, BlockPairs]

    @classmethod
    def of(cls, layer: MeasuredLayer, block: Block) -> "SharedRows":
        """Compute it once for a block."""
        xp, like, logits = namespace(layer.queries), layer.queries, Logits.of(layer, block)
        heads, looks = heads_at_once(layer.operands.heads, block), logits.visible_keys > 0
        cells = np.multiply.outer(*layer.layout.shares(block.rows, block.columns))
        sums, pairs = layer.formulas(WeightedSum), layer.formulas(WeightOnPairs)
        return cls(
            logits=logits,
            heads=heads,
            looks=None if bool(xp.all(looks)) else xp.concat([looks] * heads),
            offsets=xp.concat([positions_in(range(len(block.rows)), like, widest_float(like))] * heads),
            cells=xp.asarray(cells, dtype=like.dtype, device=device_of(like)),
            of_softmax=layer.formulas(SoftmaxFormula),
            sums={metric: BlockSum.of(formula, layer, block, heads) for metric, formula in sums.items()},
            pairs={metric: BlockPairs.of(formula, layer, block, heads) for metric, formula in pairs.items()},
        )

    @property
    def needs_mean_logit(self) -> bool:
        """Whether a formula needs Σ α · (logit - largest)."""
        return any(formula.needs_mean_logit for formula in self.of_softmax.values())


class ColumnSums(NamedTuple):
    """The sums of a block's weights over its rows; n rows of cells."""

    received: Array  # (W,) the sum of the weights
    pooled: Array | None  # (n, W / columns of a cell) their contribution to the cells of the picture


class RaisedChunk(NamedTuple):
    """A chunk of which the powers e^(logit - peak) are in the buffer of weights; (R,) each."""

    peak: Array  # the largest logit of the chunk
    total: Array  # the sum of the powers
    product: Array | None  # the sum of the powers times (logit - peak); None if no formula needs it


class JoinedChunks(NamedTuple):
    """The softmax of some rows, from their chunks; zeros for a row that may look nowhere."""

    peak: Array  # (R,) the largest logit of the row or its sink
    end: Array  # (R,) the logsumexp less the peak
    factors: Array  # (N, R) what makes weights of the powers of each chunk
    shares: Array  # (N, R) the weight of each chunk
    falls: Array  # (N, R) the largest logit of each chunk less the peak
    largest: Array  # (R,) the largest weight
    of_sink: Array | None
    """(R,) The weight of the sink: 1 in a row that may look nowhere, 0 for a logit of -inf."""

    @classmethod
    def of(cls, peaks: Array, totals: Array, sink: Array | None) -> "JoinedChunks":
        """Join chunks, given their `peaks` and `totals` (N, R), and the logit of the sink (R,)."""
        xp = namespace(peaks)
        of_keys = xp.max(peaks, axis=0)
        peak = of_keys if sink is None else xp.maximum(of_keys, sink)
        falls = peaks - peak
        powers = xp.exp(falls)
        of_sink = None if sink is None else xp.exp(sink - peak)
        total = xp.sum(powers * totals, axis=0)
        total = total if of_sink is None else total + of_sink
        factors, largest = powers / total, xp.exp(of_keys - peak) / total
        of_sink = None if of_sink is None else of_sink / total
        return cls(peak, xp.log(total), factors, totals * factors, falls, largest, of_sink)

    def where(self, looks: Array, sink: Array | None) -> "JoinedChunks":
        """The same, with the sink's logit and zeros in rows that may `look` nowhere."""
        xp = namespace(self.end)
        nothing = xp.zeros_like(self.end)
        factors, shares, falls = (
            xp.where(looks, of_chunks, nothing) for of_chunks in (self.factors, self.shares, self.falls)
        )
        return JoinedChunks(
            peak=xp.where(looks, self.peak, nothing + (-float("inf") if sink is None else sink)),
            end=xp.where(looks, self.end, nothing),
            factors=factors,
            shares=shares,
            falls=falls,
            largest=xp.where(looks, self.largest, nothing),
            of_sink=None if sink is None else xp.where(looks, self.of_sink, _whole_of(sink)),
        )


@record(frozen=True, slots=True, eq=False)
class _HeadRows:
    """Some heads in one block; after `measure` their weights are in the buffer."""

    layer: MeasuredLayer
    block: Block
    shared: SharedRows
    buffers: Buffers
    first: int  # of the heads

    @property
    def heads(self) -> range:
        """The heads whose rows are below one another."""
        return range(self.first, self.first + self.shared.heads)

    def measure(self) -> tuple[Array, dict[Metric, Array], list[ColumnSums]]:
        """The logsumexp (R,) and every metric (R,) of the rows, and the sums over columns of each head."""
        chunks = [self._raised(chunk) for chunk in self.block.chunks]
        joined = self._joined(chunks)
        values: dict[Metric, Array] = {}
        if self.shared.of_softmax:
            rows = self._softmax_rows(joined, chunks)
            values = {metric: formula.compute(rows) for metric, formula in self.shared.of_softmax.items()}
        sums, columns = self._weighted(joined)
        return joined.peak + joined.end, values | sums | self._on_pairs(), columns

    def _raised(self, chunk: Chunk) -> RaisedChunk:
        """Write the powers of the chunk into the buffer."""
        kernels = self.layer.kernels
        logits, count = self._view(self.buffers.scores, 0, chunk.width), len(self.block.rows)
        for place, head in enumerate(self.heads):
            self.shared.logits.put(head, chunk, logits[place * count : (place + 1) * count])
        peak, powers = kernels.maxima(logits), self._weights(chunk)
        total = kernels.raise_powers(logits, peak, powers)
        product = kernels.dots(powers, logits, logits) if self.shared.needs_mean_logit else None
        return RaisedChunk(peak, total, product)

    def _joined(self, chunks: Sequence[RaisedChunk]) -> JoinedChunks:
        sink = None if self._sink is None else self._widened(self._sink)
        peaks, totals = ([getattr(chunk, name) for chunk in chunks] for name in ("peak", "total"))
        joined = JoinedChunks.of(self._stacked(peaks), self._stacked(totals), sink)
        return joined if self.shared.looks is None else joined.where(self.shared.looks, sink)

    def _softmax_rows(self, joined: JoinedChunks, chunks: Sequence[RaisedChunk]) -> SoftmaxRows:
        xp, mean = namespace(joined.end), None
        if self.shared.needs_mean_logit:
            products = self._stacked([chunk.product for chunk in chunks])
            mean = xp.sum(joined.factors * products + joined.shares * joined.falls, axis=0)
        return SoftmaxRows(
            largest=joined.largest,
            total=xp.sum(joined.shares, axis=0),
            logsumexp=joined.end,
            mean_logit=mean,
            sink=joined.of_sink,
        )

    def _stacked(self, of_chunks: Sequence[Array | None]) -> Array:
        """(N, R) a number of each row and chunk, in float64."""
        return self._widened(namespace(self.layer.queries).stack(of_chunks))

    def _widened(self, numbers: Array) -> Array:
        return namespace(numbers).astype(numbers, widest_float(numbers))

    @property
    def _sink(self) -> Array | None:
        """(R,) the logit of each head's sink in each row; None without a sink."""
        sink, rows, heads = self.layer.sink, self.block.rows, self.heads
        if sink is None:
            return None
        return namespace(sink).reshape(sink[heads.start : heads.stop, rows.start : rows.stop], (-1,))

    def _weighted(self, joined: JoinedChunks) -> tuple[dict[Metric, Array], list[ColumnSums]]:
        """Make weights of the chunks' powers, and compute the weighted sums.

        This is done chunk by chunk, while each is in the cache.
        """
        xp, shared = namespace(joined.shares), self.shared
        factors = xp.astype(joined.factors, self.layer.queries.dtype, copy=False)
        columns, largest = [list[Array]() for _ in self.heads], [list[Array]() for _ in self.heads]
        totals = {metric: xp.zeros_like(shared.offsets) for metric in shared.sums}
        for index, chunk in enumerate(self.block.chunks):
            weights = self._weights(chunk)
            self.layer.kernels.scale(weights, factors[index])
            for metric, summed in shared.sums.items():
                coefficients = summed.columns[index]
                if coefficients is not None:
                    totals[metric] += self._dots(weights, coefficients)
            for place, of_head in enumerate(self._by_head(weights) if self.layer.sums_columns else ()):
                columns[place].append(self._summed(of_head))
                if self.layer.pool is Pool.MAX:
                    largest[place].append(self._largest(of_head))
        for metric, summed in shared.sums.items():
            if summed.slopes is not None:
                totals[metric] += shared.offsets * xp.matmul(summed.slopes, joined.shares)
            if summed.is_mean and self.layer.sink is not None:
                totals[metric] = _per_weight(totals[metric], xp.sum(joined.shares, axis=0))
        if not self.layer.sums_columns:
            return totals, []
        return totals, [self._columns(*of_head) for of_head in zip(columns, largest, strict=True)]

    def _by_head(self, weights: Array) -> Iterator[Array]:
        """The rows of each head in turn."""
        count = len(self.block.rows)
        return (weights[start : start + count] for start in range(0, len(weights), count))

    def _dots(self, weights: Array, coefficients: Array) -> Array:
        """(R,) the sums of the weights (R, C) times the coefficients (C,) or (R, C)."""
        kernels = self.layer.kernels
        if coefficients.ndim == 1:
            return kernels.times(weights, coefficients)
        return kernels.dots(weights, coefficients, self._view(self.buffers.scores, 0, weights.shape[-1]))

    def _on_pairs(self) -> dict[Metric, Array]:
        """(R,) the weight on the pairs, for each metric that is a sum over pairs."""
        xp, count = namespace(self.buffers.weights), self._rows
        return {
            metric: self.layer.kernels.by_row(
                xp.take(self.buffers.weights, of.places, axis=0), of.rows, count
            )
            for metric, of in self.shared.pairs.items()
        }

    def _columns(self, sums: Sequence[Array], largest: Sequence[Array]) -> ColumnSums:
        """The sums over the block's rows, from those of each chunk, `sums` (n, C).

        `largest` (n, C / columns of a cell): for a picture of the largest weights, those of each chunk.
        """
        xp, cell = namespace(self.layer.queries), self.layer.layout.cells.columns
        wide = widest_float(self.layer.queries)
        received = xp.concat([xp.sum(rows, axis=0, dtype=wide) for rows in sums])
        if not self.layer.has_picture:
            return ColumnSums(received, None)
        if largest:
            return ColumnSums(received, xp.concat(largest, axis=-1))
        pooled = xp.concat([self.layer.kernels.pooled(rows, cell) for rows in sums], axis=-1)
        return ColumnSums(received, pooled * self.shared.cells)

    def _summed(self, weights: Array) -> Array:
        """(n, C) the sums over the rows of each cell of the picture, or over a few; the last may be fewer."""
        cell = self.layer.layout.cells.rows if self.layer.has_picture else _SUMMED_AT_ONCE
        return self._by_cell_rows(weights, cell, self.layer.kernels.summed)

    def _largest(self, weights: Array) -> Array:
        """(n, C / columns of a cell) the largest weight of each cell; the last row may be partial."""
        cells, kernels = self.layer.layout.cells, self.layer.kernels
        return self._by_cell_rows(
            weights, cells.rows, lambda part, rows: kernels.largest(part, rows, cells.columns)
        )

    @staticmethod
    def _by_cell_rows(weights: Array, cell: int, reduced: Callable[[Array, int], Array]) -> Array:
        """(n, ...) `reduced` over every `cell` rows of `weights` (R, C), and over those that are left."""
        count = len(weights)
        whole = count // cell * cell
        if whole in {0, count}:
            return reduced(weights, cell if whole else count)
        return namespace(weights).concat(
            [reduced(weights[:whole], cell), reduced(weights[whole:], count - whole)]
        )

    @property
    def _rows(self) -> int:
        """R, the number of rows of all of these heads."""
        return self.shared.heads * len(self.block.rows)

    def _weights(self, chunk: Chunk) -> Array:
        return self._view(self.buffers.weights, chunk.offset, chunk.width)

    def _view(self, buffer: Array, offset: int, width: int) -> Array:
        count = self._rows
        return namespace(buffer).reshape(buffer[offset : offset + count * width], (count, width))


def _whole_of(sink: Array) -> Array:
    """(R,) all weight; none for a logit of -inf."""
    xp = namespace(sink)
    return xp.exp(sink - xp.clip(sink, min=LOWEST))


def _per_weight(sums: Array, totals: Array) -> Array:
    """(R,) the sums divided by the rows' weight; 0 for a row without weight."""
    xp = namespace(sums)
    return sums / xp.where(totals > 0, totals, xp.ones_like(totals))


class StepwiseMeasurer:
    """Measures a layer operation by operation, with any library and device."""

    def __init__(self, layer: MeasuredLayer) -> None:
        self._layer, self._local = layer, threading.local()
        self.builder = SummaryBuilder(layer, layer.row_metrics)

    def measure(self, rows: range, stopped: threading.Event) -> None:
        """Measure all heads in one block."""
        layer, local = self._layer, self._local
        if not hasattr(local, "buffers"):
            local.buffers = Buffers.empty(layer)
        block = make_block(layer.layout, rows, layer.mask, layer.queries)
        shared = SharedRows.of(layer, block)
        self.builder.put_visible_keys(rows, shared.logits.visible_keys)
        for first in range(0, layer.operands.heads, shared.heads):
            if stopped.is_set():
                return
            measured = _HeadRows(layer, block, shared, local.buffers, first)
            logsumexp, values, columns = measured.measure()
            self.builder.put_rows(rows, measured.heads, logsumexp, values)
            for head, sums in enumerate(columns, first):
                self.builder.add_columns(block, head, sums.received, sums.pooled)
