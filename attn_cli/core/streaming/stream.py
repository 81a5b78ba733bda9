"""Measures the heads of a layer in blocks of query rows, never holding T × S numbers at once.

The weights are those of `attention.trace`: scale, soft cap, bias, mask, sink column, softmax. H query heads,
T queries, S keys.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Protocol, TypeAlias

from attn_cli.core.arrays import Array, at_least_float32, constant, device_of, namespace
from attn_cli.core.attention import Operands
from attn_cli.core.masks import narrowed
from attn_cli.core.streaming.blocks import BlockLayout, BlockSizes, choose_cell_size, plan_layout
from attn_cli.core.streaming.kernels import Kernels, choose_kernels
from attn_cli.core.streaming.key_tokens import UNKNOWN_TOKENS, KeyTokens
from attn_cli.core.streaming.logits import MeasuredLayer
from attn_cli.core.streaming.metrics import measurable_metrics
from attn_cli.core.streaming.rows import StepwiseMeasurer
from attn_cli.core.streaming.summary import Summary, SummaryBuilder
from attn_cli.core.streaming.threads import share_out
from attn_cli.vocabulary import Metric, Pool

RowProgress: TypeAlias = Callable[[int, int], None]
"""Called with the number of query rows done and their total."""

PICTURE = 1024  # cells: about the resolution of a screen
_FEWEST = 16  # rows of a block
_WITH_BIAS = 512  # rows times heads: the bias of all heads is held at once
_WORTH_COMPILING = 1 << 25  # scores of a layer: 12 heads of 1,700 tokens outweigh numba's import (0.4 s)


_has_many_texts = ContextVar("_has_many_texts", default=False)


@contextmanager
def with_many_texts() -> Iterator[None]:
    """Inside, texts of any length are measured with compiled code: numba's import counts once for all."""
    before = _has_many_texts.set(True)
    try:
        yield
    finally:
        _has_many_texts.reset(before)


class Measurer(Protocol):
    """A way to measure the heads of a layer."""

    builder: SummaryBuilder

    def __init__(self, layer: MeasuredLayer) -> None: ...

    def measure(self, rows: range, stopped: threading.Event) -> None:
        """Measure all heads in one block of rows; return early once `stopped` is set."""


def summarise(
    operands: Operands,
    metrics: Collection[Metric] = tuple(Metric),
    tokens: KeyTokens = UNKNOWN_TOKENS,
    *,
    picture: int = 0,
    pool: Pool = Pool.MEAN,
    rows: int | None = None,
    progress: RowProgress | None = None,
) -> Summary:
    """The metrics of every head: equal to those of `trace`, in memory that grows with T + S.

    Computed in float32, or float64 if the operands are. `picture`: the maximum number of rows and columns of
    the pooled weights; 0: no picture. `pool`: what each of its cells is. `rows`: queries per block; chosen
    automatically by default. Metrics that need information missing from `tokens`, or a sink, are left out.
    """
    chosen = measurable_metrics(metrics, tokens, has_sink=operands.sink is not None)
    kernels = choose_kernels(operands.queries)
    sizes, make_measurer = choose_measurer(operands, kernels, chosen)
    layout = _layout(operands, tokens, sizes, picture or PICTURE, rows)
    layer = _measured_layer(operands, chosen, tokens, layout, kernels, pool if picture > 0 else None)
    measurer, done = make_measurer(layer), 0
    for finished in _run(layer, measurer):
        done += finished
        if progress is not None:
            progress(done, layer.layout.queries)
    return measurer.builder.summary()


def choose_measurer(
    operands: Operands, kernels: Kernels, metrics: Collection[Metric]
) -> tuple[BlockSizes, type[Measurer]]:
    """How to measure a layer: with compiled code if possible and worth numba's import."""
    queries, scores = operands.queries, operands.heads * operands.queries.shape[-2] * operands.keys.shape[-2]
    is_wide = queries.dtype == namespace(queries).float64
    is_worth_it = _has_many_texts.get() or (kernels.is_shared_out and scores >= _WORTH_COMPILING)
    if kernels.is_on_cpu and not is_wide and is_worth_it:
        # the extra `fast` is not installed, or numba cannot run: with this Python, or with its settings
        with suppress(ImportError, ValueError, SystemError, OSError):
            from attn_cli.core.streaming.compiled import SIZES, CompiledMeasurer  # 0.4 s

            if CompiledMeasurer.can_measure(metrics):
                return SIZES, CompiledMeasurer
    return kernels.sizes, StepwiseMeasurer


def _layout(
    operands: Operands, tokens: KeyTokens, sizes: BlockSizes, picture: int, rows: int | None
) -> BlockLayout:
    queries, keys = int(operands.queries.shape[-2]), int(operands.keys.shape[-2])
    whole = queries if tokens.rows is None else keys
    assert tokens.ids is None or tokens.ids.size == whole == keys, (
        "with ids, queries and keys are the same tokens"
    )
    assert tokens.rows is None or tokens.rows.size == queries, "each query has a position"
    cells = choose_cell_size(queries, keys, picture)
    return plan_layout(queries, keys, cells, sizes, rows, _most_rows(operands, tokens, sizes))


def _measured_layer(
    operands: Operands,
    metrics: tuple[Metric, ...],
    tokens: KeyTokens,
    layout: BlockLayout,
    kernels: Kernels,
    pool: Pool | None,
) -> MeasuredLayer:
    queries, keys = (constant(at_least_float32(side)) for side in (operands.queries, operands.keys))
    return MeasuredLayer(
        operands=operands,
        mask=narrowed(operands.mask),
        queries=queries * operands.scale,
        keys=_padded(keys, layout.padded),
        sink=None if operands.sink is None else _sink_of_rows(operands.sink, queries),
        tokens=tokens,
        metrics=metrics,
        pool=pool,
        layout=layout,
        kernels=kernels,
    )


def _sink_of_rows(sink: Array, queries: Array) -> Array:
    """(H, T) the sink's logit in each row, in the dtype of the queries (H, T, D)."""
    xp = namespace(sink)
    exact = xp.astype(constant(sink), queries.dtype)
    return xp.broadcast_to(exact[:, None] if exact.ndim == 1 else exact, queries.shape[:-1])


def _most_rows(operands: Operands, tokens: KeyTokens, sizes: BlockSizes) -> int | None:
    """The maximum rows of a block if a bias or many copies need memory besides the weights."""
    limits: list[int] = []
    if operands.bias is not None:
        limits.append(max(_FEWEST, _WITH_BIAS // operands.heads))
    if tokens.ids is not None and tokens.ids.size and sizes.pairs is not None:
        limits.append(max(_FEWEST, sizes.pairs // (1 + int(tokens.copies.before.max()))))
    return min(limits, default=None)


def _padded(keys: Array, length: int) -> Array:
    """(G, S', D) the keys, padded with zeros."""
    xp, missing = namespace(keys), length - int(keys.shape[-2])
    if not missing:
        return keys
    nothing = xp.zeros((keys.shape[0], missing, keys.shape[2]), dtype=keys.dtype, device=device_of(keys))
    return xp.concat([keys, nothing], axis=-2)


def _run(layer: MeasuredLayer, measurer: Measurer) -> Iterator[int]:
    """Measure every block, the widest first; yield the number of rows of each as it finishes."""
    stopped = threading.Event()

    def work(rows: range) -> int:
        measurer.measure(rows, stopped)
        return len(rows)

    band = layer.mask.band
    blocks = sorted(layer.layout.blocks(), key=lambda rows: -len(band.reach(rows, layer.layout.keys)))
    yield from share_out(work, blocks, stopped) if layer.kernels.is_shared_out else map(work, blocks)
