"""What the heads of a layer do, measured block by block of query rows: never T × S numbers at once.

The weights are those of `attention.trace`: scale, soft cap, bias, mask, sink column, softmax. A row's
softmax is taken chunk by chunk of its keys, and the chunks are put together by their logsumexp (Dao et al.
2022, arXiv:2205.14135, section 3.1). H query heads, T queries, S keys.
"""

import math
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import Array, at_least_float32, constant, device_of, namespace
from attn_cli.core.attention import Operands
from attn_cli.core.blocks import Block, block, cells, layout
from attn_cli.core.copies import Copies, copies
from attn_cli.core.kernels import kernels
from attn_cli.core.masks import narrowed
from attn_cli.core.rows import Buffers, Columns, HeadRows, Layer, Shared
from attn_cli.core.threads import shared_out
from attn_cli.vocabulary import Metric

Watch: TypeAlias = Callable[[int, int], None]
"""Told how many query rows of how many are done."""

PICTURE = 1024  # cells: a screen has no more
_FEWEST = 16  # rows of a block
_WITH_BIAS = 512  # rows, shared out over the heads: the bias of all is there at once
_PAIRS = 1 << 20  # of a block: 8 MB for each of the few arrays that hold them


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """The facts about the heads of one layer; None where one was not asked for.

    A row that may look nowhere has a logsumexp of -inf, and zeros elsewhere.
    """

    logsumexp: Array  # (H, T) of the logits, the sink's among them
    seen: Array  # (T,) how many keys the query may look at
    entropy: Array | None = None  # (H, T) nats
    largest: Array | None = None  # (H, T) the largest weight
    top_weights: Array | None = None  # (H, T, K) the largest weights, the largest first
    top_keys: Array | None = None  # (H, T, K) their keys; -1 where the weight is 0
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


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """What the facts need to know of the tokens that are looked at; S keys."""

    ids: npt.NDArray[np.integer] | None = None  # (S,) where the queries are the same tokens; else None
    special: npt.NDArray[np.bool_] | None = None  # (S,) which are no text


NO_TEXT = Text()


def summarise(
    operands: Operands,
    metrics: Collection[Metric] = tuple(Metric),
    text: Text = NO_TEXT,
    *,
    top: int = 0,
    picture: int = 0,
    rows: int | None = None,
    watch: Watch | None = None,
) -> Summary:
    """The facts about every head: equal to those of `trace`, in memory that grows with T + S.

    Computed in float32, or float64 where the operands are. `top`: how many largest weights of a row are
    named. `picture`: the most rows and columns that the pooled weights have; 0: none. `rows`: how many
    queries a block has, where the choice is not to be ours. What needs `text` is left out where it does not
    say: without ids no duplicates and no induction, without `special` nothing on special tokens.
    """
    layer = _layer(operands, frozenset(metrics), text, top, picture, rows)
    found = _Found(layer)
    done = 0
    for finished in _run(layer, found):
        done += finished
        if watch is not None:
            watch(done, layer.cut.queries)
    return found.summary()


def _layer(
    operands: Operands, metrics: frozenset[Metric], text: Text, top: int, picture: int, rows: int | None
) -> Layer:
    given, keys = (constant(at_least_float32(each)) for each in (operands.queries, operands.keys))
    tools, length, sink = kernels(given), int(keys.shape[-2]), operands.sink
    copied = None if text.ids is None else copies(text.ids)
    size = cells(int(given.shape[-2]), length, picture or PICTURE)
    cut = layout(given, length, size, rows, _most_rows(operands, copied))
    queries = tools.adopt(given * operands.scale)
    special = None
    if text.special is not None:
        padded = np.zeros(cut.padded, dtype=np.float32)
        padded[:length] = text.special
        special = namespace(queries).asarray(padded, dtype=queries.dtype, device=device_of(queries))
    unknown = {Metric.SPECIAL} if special is None else set[Metric]()
    if text.ids is None:
        unknown |= {Metric.DUPLICATE, Metric.INDUCTION}
    return Layer(
        operands=operands,
        like=given,
        queries=queries,
        keys=_padded(tools.adopt(keys), cut.padded),
        special=special,
        sink=None if sink is None else tools.adopt(namespace(sink).astype(constant(sink), given.dtype)),
        copies=copied,
        metrics=metrics - unknown,
        top=min(top, length),
        has_picture=picture > 0,
        sums_columns=picture > 0 or Metric.RECEIVED in metrics,
        cut=cut,
        tools=tools,
    )


def _most_rows(operands: Operands, copied: Copies | None) -> int | None:
    """How many rows a block may have where each brings more than its weights: a bias, or many copies."""
    limits: list[int] = []
    if operands.bias is not None:
        limits.append(max(_FEWEST, _WITH_BIAS // operands.heads))
    if copied is not None and copied.before.size:
        limits.append(max(_FEWEST, _PAIRS // (1 + int(copied.before.max()))))
    return min(limits, default=None)


def _padded(keys: Array, length: int) -> Array:
    """(G, S', D) the keys, and zeros behind them."""
    xp, missing = namespace(keys), length - int(keys.shape[-2])
    if not missing:
        return keys
    nothing = xp.zeros((keys.shape[0], missing, keys.shape[2]), dtype=keys.dtype, device=device_of(keys))
    return xp.concat([keys, nothing], axis=-2)


class _Found:
    """What has been found of a layer so far."""

    def __init__(self, layer: Layer) -> None:
        self._layer, self._lock = layer, threading.Lock()
        self._rows: dict[str, Array] = {}
        heads, cut = layer.operands.heads, layer.cut
        self._seen = self._zeros((cut.queries,), is_count=True)
        self._received = self._zeros((heads, cut.padded)) if Metric.RECEIVED in layer.metrics else None
        self._picture: Array | None = None
        if layer.has_picture:
            size = (math.ceil(cut.queries / cut.cells.rows), cut.padded // cut.cells.columns)
            self._picture = self._zeros((heads, *size))

    def measure(self, rows: HeadRows) -> None:
        """One head in one block."""
        facts, columns = rows.facts()
        self._put(rows.block.rows, rows.head, facts)
        if columns is not None:
            self._add(rows.block, rows.head, columns)

    def _put(self, rows: range, head: int, facts: Mapping[str, Array]) -> None:
        """The facts of a block's rows."""
        if len(self._rows) < len(facts):
            self._make_room(facts)
        for name, values in facts.items():
            self._rows[name][head, rows.start : rows.stop] = values

    def _make_room(self, facts: Mapping[str, Array]) -> None:
        """An array of all rows for each fact, as soon as one block shows what there is."""
        with self._lock:
            for name, values in facts.items():
                if name not in self._rows:
                    shape = (self._layer.operands.heads, self._layer.cut.queries, *values.shape[1:])
                    self._rows[name] = self._zeros(shape, is_count=name == "top_keys")

    def put_seen(self, rows: range, seen: Array) -> None:
        """How many keys a block's rows may look at."""
        self._seen[rows.start : rows.stop] = seen

    def _add(self, block: Block, head: int, columns: Columns) -> None:
        """What a block gives to its columns (W,), and to the cells of the picture."""
        cell = self._layer.cut.cells
        with self._lock:
            if self._received is not None:
                self._received[head, block.first : block.stop] += columns.received
            if self._picture is not None and (pooled := columns.pooled) is not None:
                row, column = block.rows.start // cell.rows, block.first // cell.columns
                into = self._picture[head, row : row + pooled.shape[0], column : column + pooled.shape[1]]
                into += pooled

    def summary(self) -> Summary:
        """All of it, in the operands' library."""
        cut, release = self._layer.cut, self._layer.tools.release
        return Summary(
            seen=release(self._seen),
            received=None if self._received is None else release(self._received[:, : cut.keys]),
            picture=None if self._picture is None else release(self._means(self._picture)),
            cells=(cut.cells.rows, cut.cells.columns),
            **{name: release(values) for name, values in self._rows.items()},
        )

    def _means(self, sums: Array) -> Array:
        """The sums of each cell as means; a cell at the edge has fewer rows and columns."""
        cut = self._layer.cut
        rows = self._sizes(cut.queries, cut.cells.rows)
        columns = self._sizes(cut.keys, cut.cells.columns)
        return sums[..., : columns.shape[0]] / (rows[:, None] * columns[None, :])

    def _sizes(self, count: int, cell: int) -> Array:
        like = self._layer.queries
        sizes = [min(cell, count - first) for first in range(0, count, cell)]
        return namespace(like).asarray(sizes, dtype=like.dtype, device=device_of(like))

    def _zeros(self, shape: tuple[int, ...], *, is_count: bool = False) -> Array:
        xp, like = namespace(self._layer.queries), self._layer.queries
        return xp.zeros(shape, dtype=xp.int64 if is_count else like.dtype, device=device_of(like))


def _run(layer: Layer, found: _Found) -> Iterator[int]:
    """Every block of rows, the long ones first; yields how many rows each had, as they are done."""
    mask = narrowed(layer.operands.mask)
    own, stopped = threading.local(), threading.Event()

    def work(rows: range) -> int:
        if not hasattr(own, "buffers"):
            own.buffers = Buffers.empty(layer)
        needs_distance = Metric.DISTANCE in layer.metrics
        one = block(layer.cut, rows, mask, layer.like, layer.tools.adopt, needs_distance=needs_distance)
        shared = Shared.of(layer, one)
        found.put_seen(rows, shared.seen)
        for head in range(layer.operands.heads):
            if not stopped.is_set():
                found.measure(HeadRows(layer, one, shared, own.buffers, head))
        return len(rows)

    blocks = sorted(layer.cut.blocks(), key=lambda rows: -len(mask.band.reach(rows, layer.cut.keys)))
    yield from shared_out(work, blocks, stopped) if layer.tools.is_shared_out else map(work, blocks)
