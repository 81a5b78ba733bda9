"""What is found about the heads of a layer, block by block, and what of it is told in the end.

H query heads, T queries, S keys; R rows and C columns of a picture's cells.
"""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from attn_cli.core.arrays import Array, device_of, is_on_cpu, namespace, to_numpy
from attn_cli.core.streaming.blocks import Block
from attn_cli.core.streaming.logits import Layer
from attn_cli.vocabulary import Metric


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """The facts about the heads of one layer; None where one was not asked for.

    A row that may look nowhere has a logsumexp of -inf, or the sink, and zeros elsewhere.
    """

    logsumexp: Array  # (H, T) of the logits, the sink's among them
    seen: Array  # (T,) how many keys the query may look at
    entropy: Array | None = None  # (H, T) nats
    largest: Array | None = None  # (H, T) the largest weight
    distance: Array | None = None  # (H, T) Σ_j α_ij |i - j|, tokens
    current_token: Array | None = None  # (H, T) the weight on the query's own place
    previous_token: Array | None = None  # (H, T)
    first_token: Array | None = None  # (H, T)
    special: Array | None = None  # (H, T) on tokens that are no text
    duplicate_token: Array | None = None  # (H, T) on earlier copies of the query's token
    induction: Array | None = None  # (H, T) on what followed them, the query's own place left out
    received: Array | None = None  # (H, S) Σ_i α_ij
    picture: Array | None = None  # (H, R, C) the mean weight in cells of `cells` rows and columns
    cells: tuple[int, int] = (1, 1)


ROW_FACTS = (
    "logsumexp",
    *(metric.field for metric in Metric if metric is not Metric.RECEIVED),
)
"""The numbers about a row, in the order in which `Found.facts` holds them."""


class Found:
    """What has been found of a layer so far; threads may add to it at the same time."""

    def __init__(self, layer: Layer) -> None:
        self._layer, self._lock = layer, threading.Lock()
        heads, cut = layer.operands.heads, layer.cut
        self.seen = self._zeros((cut.queries,), is_count=True)
        self.facts = self._zeros((len(ROW_FACTS), heads, cut.queries))
        self.received = self._zeros((heads, cut.padded))
        self.picture: Array | None = None
        if layer.has_picture:
            size = (math.ceil(cut.queries / cut.cells.rows), cut.padded // cut.cells.columns)
            self.picture = self._zeros((heads, *size))

    def put_seen(self, rows: range, seen: Array) -> None:
        """How many keys a block's rows may look at."""
        self.seen[rows.start : rows.stop] = seen

    def put(self, rows: range, head: int, facts: Mapping[str, Array]) -> None:
        """The facts of a head about a block's rows (R,), by their names in `Summary`."""
        for name, values in facts.items():
            self.facts[ROW_FACTS.index(name)][head, rows.start : rows.stop] = values

    def add(self, block: Block, head: int, received: Array, pooled: Array | None) -> None:
        """What a block gives to its columns (W,), and to the means of the picture's cells."""
        with self._lock:
            self.received[head, block.first : block.stop] += received
            if self.picture is not None and pooled is not None:
                cells = self.picture[(head, *self._layer.cut.cells_of(block.rows, block.columns))]
                cells += pooled

    def summary(self) -> Summary:
        """All of it that was asked for."""
        layer, cut = self._layer, self._layer.cut
        asked = {"logsumexp", *(metric.field for metric in layer.metrics)}
        rows = {name: self.facts[index] for index, name in enumerate(ROW_FACTS) if name in asked}
        return Summary(
            seen=self.seen,
            received=self.received[:, : cut.keys] if Metric.RECEIVED in layer.metrics else None,
            picture=None
            if self.picture is None
            else self.picture[..., : math.ceil(cut.keys / cut.cells.columns)],
            cells=(cut.cells.rows, cut.cells.columns),
            **rows,
        )

    def _zeros(self, shape: tuple[int, ...], *, is_count: bool = False) -> Array:
        xp, like = namespace(self._layer.queries), self._layer.queries
        if is_on_cpu(like):  # memory that nobody writes is none: half of a causal picture
            return xp.asarray(np.zeros(shape, np.int64 if is_count else to_numpy(like[:0]).dtype))
        return xp.zeros(shape, dtype=xp.int64 if is_count else like.dtype, device=device_of(like))
