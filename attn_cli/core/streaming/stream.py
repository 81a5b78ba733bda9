"""What the heads of a layer do, measured block by block of query rows: never T × S numbers at once.

The weights are those of `attention.trace`: scale, soft cap, bias, mask, sink column, softmax. H query heads,
T queries, S keys.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import Array, at_least_float32, constant, device_of, namespace
from attn_cli.core.attention import Operands
from attn_cli.core.masks import narrowed
from attn_cli.core.streaming.blocks import Sizes, cells, layout
from attn_cli.core.streaming.copies import Copies, copies
from attn_cli.core.streaming.kernels import Kernels, kernels
from attn_cli.core.streaming.logits import Layer
from attn_cli.core.streaming.rows import Stepwise
from attn_cli.core.streaming.summary import Found, Summary
from attn_cli.core.streaming.threads import shared_out
from attn_cli.vocabulary import Metric

Watch: TypeAlias = Callable[[int, int], None]
"""Told how many query rows of how many are done."""

PICTURE = 1024  # cells: a screen has no more
_FEWEST = 16  # rows of a block
_WITH_BIAS = 512  # rows, shared out over the heads: the bias of all is there at once
_WORTH_COMPILING = 1 << 25  # scores of a layer, 12 heads of 1,700 tokens: numba is imported in 0.4 s


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """What the facts need to know of the tokens that are looked at; S keys."""

    ids: npt.NDArray[np.integer] | None = None  # (S,) where the queries are the same tokens; else None
    special: npt.NDArray[np.bool_] | None = None  # (S,) which are no text


NO_TEXT = Text()


class Walk(Protocol):
    """A way to measure the heads of a layer."""

    def __init__(self, layer: Layer, found: Found) -> None: ...

    def measure(self, rows: range, stopped: threading.Event) -> None:
        """All heads in one block of rows, until `stopped`."""


def summarise(
    operands: Operands,
    metrics: Collection[Metric] = tuple(Metric),
    text: Text = NO_TEXT,
    *,
    picture: int = 0,
    rows: int | None = None,
    watch: Watch | None = None,
) -> Summary:
    """The facts about every head: equal to those of `trace`, in memory that grows with T + S.

    Computed in float32, or float64 where the operands are. `picture`: the most rows and columns that the
    pooled weights have; 0: none. `rows`: how many queries a block has, where the choice is not to be ours.
    What needs `text` is left out where it does not say: without ids no duplicates and no induction, without
    `special` nothing on special tokens.
    """
    tools = kernels(operands.queries)
    sizes, way = way_for(operands, tools)
    layer = _layer(operands, frozenset(metrics), text, picture, rows, tools, sizes)
    found = Found(layer)
    done = 0
    for finished in _run(layer, way(layer, found)):
        done += finished
        if watch is not None:
            watch(done, layer.cut.queries)
    return found.summary()


def way_for(operands: Operands, tools: Kernels) -> tuple[Sizes, type[Walk]]:
    """How a layer is measured: compiled where that can be done and is worth its start."""
    queries, scores = operands.queries, operands.heads * operands.queries.shape[-2] * operands.keys.shape[-2]
    is_wide = queries.dtype == namespace(queries).float64
    if tools.is_shared_out and not is_wide and scores >= _WORTH_COMPILING:
        with suppress(ImportError):  # the extra `fast` is not there, or numba cannot compile for this Python
            from attn_cli.core.streaming.compiled import SIZES, Compiled  # 0.4 s

            return SIZES, Compiled
    return tools.sizes, Stepwise


def _layer(
    operands: Operands,
    metrics: frozenset[Metric],
    text: Text,
    picture: int,
    rows: int | None,
    tools: Kernels,
    sizes: Sizes,
) -> Layer:
    given, keys = (constant(at_least_float32(each)) for each in (operands.queries, operands.keys))
    count, length, sink = int(given.shape[-2]), int(keys.shape[-2]), operands.sink
    copied = None if text.ids is None else copies(text.ids)
    assert copied is None or copied.order.size == count == length, "ids are of queries that are the keys"
    size = cells(count, length, picture or PICTURE)
    cut = layout(count, length, size, sizes, rows, _most_rows(operands, copied, sizes))
    queries = given * operands.scale
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
        mask=narrowed(operands.mask),
        queries=queries,
        keys=_padded(keys, cut.padded),
        special=special,
        sink=None if sink is None else namespace(sink).astype(constant(sink), given.dtype),
        copies=copied,
        metrics=metrics - unknown,
        has_picture=picture > 0,
        cut=cut,
        tools=tools,
    )


def _most_rows(operands: Operands, copied: Copies | None, sizes: Sizes) -> int | None:
    """How many rows a block may have where each brings more than its weights: a bias, or many copies."""
    limits: list[int] = []
    if operands.bias is not None:
        limits.append(max(_FEWEST, _WITH_BIAS // operands.heads))
    if copied is not None and copied.before.size and sizes.pairs is not None:
        limits.append(max(_FEWEST, sizes.pairs // (1 + int(copied.before.max()))))
    return min(limits, default=None)


def _padded(keys: Array, length: int) -> Array:
    """(G, S', D) the keys, and zeros behind them."""
    xp, missing = namespace(keys), length - int(keys.shape[-2])
    if not missing:
        return keys
    nothing = xp.zeros((keys.shape[0], missing, keys.shape[2]), dtype=keys.dtype, device=device_of(keys))
    return xp.concat([keys, nothing], axis=-2)


def _run(layer: Layer, walk: Walk) -> Iterator[int]:
    """Every block of rows, the long ones first; yields how many rows each had, as they are done."""
    stopped = threading.Event()

    def work(rows: range) -> int:
        walk.measure(rows, stopped)
        return len(rows)

    band = layer.mask.band
    blocks = sorted(layer.cut.blocks(), key=lambda rows: -len(band.reach(rows, layer.cut.keys)))
    yield from shared_out(work, blocks, stopped) if layer.tools.is_shared_out else map(work, blocks)
