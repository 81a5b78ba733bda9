"""Collects the measurements of a layer's heads block by block into a summary.

H query heads, T queries, S keys; R rows and C columns of cells in a picture.
"""

import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attn_cli.core.arrays import Array, device_of, is_on_cpu, namespace, to_numpy, widest_float
from attn_cli.core.streaming.blocks import Block
from attn_cli.core.streaming.logits import MeasuredLayer
from attn_cli.core.streaming.metrics import DEFINITIONS
from attn_cli.record import record
from attn_cli.vocabulary import Metric, Pool


@record(frozen=True, slots=True, eq=False)
class Summary:
    """The metrics of the heads of one layer, row by row.

    A row that may look nowhere has a logsumexp of -inf, or the sink's logit, and zeros elsewhere. What is
    larger than the weight of a row is in float64: the logsumexp, and the sums of keys over thousands of rows.
    """

    logsumexp: Array  # (H, T) of the logits, including the sink
    visible_keys: Array  # (T,) how many keys the query may look at
    values: Mapping[Metric, Array]  # (H, T), or (H, S) for metrics of keys, in the order of `Metric`
    picture: Array | None = None  # (H, R, C) the pooled weights of `cells` rows and columns
    cells: tuple[int, int] = (1, 1)


class SummaryBuilder:
    """Collects the measurements of a layer; threads may add to it concurrently."""

    def __init__(self, layer: MeasuredLayer, row_metrics: Sequence[Metric]) -> None:
        """`row_metrics` are in the order in which they have it in `rows`."""
        self._layer, self._row_metrics, self._lock = layer, tuple(row_metrics), threading.Lock()
        heads, layout = layer.operands.heads, layer.layout
        count, wide = namespace(layer.queries).int64, widest_float(layer.queries)
        self.visible_keys = self._zeros((layout.queries,), count)
        self.logsumexp = self._zeros((heads, layout.queries), wide)
        self.rows = self._zeros((len(self._row_metrics), heads, layout.queries))
        self.received = self._zeros((heads, layout.padded), wide)
        self.picture: Array | None = None
        if layer.has_picture:
            size = (math.ceil(layout.queries / layout.cells.rows), layout.padded // layout.cells.columns)
            self.picture = self._zeros((heads, *size))

    def put_visible_keys(self, rows: range, visible_keys: Array) -> None:
        """Store how many keys a block's rows (R,) may look at."""
        self.visible_keys[rows.start : rows.stop] = visible_keys

    def put_rows(self, rows: range, heads: range, logsumexp: Array, values: Mapping[Metric, Array]) -> None:
        """Store the results of some heads in a block's rows: (R,) each, head after head."""
        xp, shape = namespace(logsumexp), (len(heads), len(rows))
        some, of_block = slice(heads.start, heads.stop), slice(rows.start, rows.stop)
        self.logsumexp[some, of_block] = xp.reshape(logsumexp, shape)
        for index, metric in enumerate(self._row_metrics):
            self.rows[index, some, of_block] = xp.reshape(values[metric], shape)

    def add_columns(self, block: Block, head: int, received: Array, pooled: Array | None) -> None:
        """Add a block's sums over its columns (W,), and its contribution to the cells of the picture."""
        with self._lock:
            self.received[head, block.first : block.stop] += received
            if self.picture is not None and pooled is not None:
                cells = self.picture[(head, *self._layer.layout.cells_of(block.rows, block.columns))]
                self._pool_into(cells, pooled)

    def _pool_into(self, cells: Array, pooled: Array) -> None:
        """Add the contribution of a block, which may have only some of the rows of its cells."""
        if self._layer.pool is Pool.MAX:
            xp = namespace(cells)
            cells[...] = xp.maximum(cells, pooled)
        else:
            cells += pooled

    def summary(self) -> Summary:
        """The requested measurements."""
        layer, layout = self._layer, self._layer.layout
        columns = math.ceil(layout.keys / layout.cells.columns)
        return Summary(
            logsumexp=self.logsumexp,
            visible_keys=self.visible_keys,
            values={metric: self._values(metric) for metric in Metric if metric in layer.metrics},
            picture=None if self.picture is None else self.picture[..., :columns],
            cells=(layout.cells.rows, layout.cells.columns),
        )

    def _values(self, metric: Metric) -> Array:
        if DEFINITIONS[metric].is_of_keys:
            return self.received[:, : self._layer.layout.keys]
        return self.rows[self._row_metrics.index(metric)]

    def _zeros(self, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """Zeros of this dtype, by default that of the queries."""
        xp, like = namespace(self._layer.queries), self._layer.queries
        nothing = xp.zeros(0, dtype=like.dtype if dtype is None else dtype, device=device_of(like))
        if is_on_cpu(like):  # NumPy's zeros use no memory until written: half of a causal picture
            return xp.asarray(np.zeros(shape, to_numpy(nothing).dtype))
        return xp.zeros(shape, dtype=nothing.dtype, device=device_of(like))
