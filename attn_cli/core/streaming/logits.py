"""The logits of a head in a block of query rows, chunk by chunk: product, soft cap, bias, mask.

R rows of a block, W columns of a block, C columns of a chunk.
"""

from dataclasses import dataclass

from attn_cli.core.arrays import Array, at_least_float32, constant, device_of, namespace
from attn_cli.core.attention import Operands
from attn_cli.core.masks import Narrowed
from attn_cli.core.streaming.blocks import Block, Chunk, Layout, places
from attn_cli.core.streaming.copies import Copies
from attn_cli.core.streaming.kernels import LOWEST, Kernels
from attn_cli.vocabulary import Metric


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A layer that is being measured, and what is asked of it."""

    operands: Operands
    mask: Narrowed
    queries: Array  # (H, T, D) times the scale, in float32 or better
    keys: Array  # (G, S', D) filled up to whole units with zeros
    special: Array | None  # (S',) 1 for a token that is no text
    sink: Array | None  # (H,)
    copies: Copies | None
    metrics: frozenset[Metric]
    has_picture: bool
    cut: Layout
    tools: Kernels

    @property
    def sums_columns(self) -> bool:
        """Whether anything is asked of the keys."""
        return self.has_picture or Metric.RECEIVED in self.metrics


@dataclass(frozen=True, slots=True, eq=False)
class Logits:
    """What the logits of all heads of a block have in common."""

    layer: Layer
    block: Block
    bias: Array | None  # (H, R or 1, W) of all real columns of the block
    seen: Array  # (R,) how many keys each row may look at

    @classmethod
    def of(cls, layer: Layer, block: Block) -> "Logits":
        """Computed once for a block."""
        return cls(
            layer, block, None if layer.operands.bias is None else _bias(layer, block), _seen(layer, block)
        )

    def put(self, head: int, chunk: Chunk, out: Array) -> None:
        """The logits of a head in a chunk into `out` (R, C)."""
        layer, rows = self.layer, self.block.rows
        queries = layer.queries[head, rows.start : rows.stop]
        layer.tools.multiply(queries, layer.keys[layer.operands.kv_head(head), chunk.start : chunk.stop], out)
        if layer.operands.softcap is not None:
            layer.tools.cap(out, layer.operands.softcap)
        if self.bias is not None:
            first = chunk.start - self.block.first
            own = self.bias[head, :, first : first + chunk.width]
            out[:, : own.shape[-1]] += own
        for columns, hidden in chunk.hidden:
            layer.tools.hide(out[:, columns], hidden)


def _bias(layer: Layer, block: Block) -> Array:
    assert layer.operands.bias is not None, "checked by the caller"
    like = layer.queries
    rows = places(block.rows, like)
    columns = places(range(block.first, min(block.stop, layer.cut.keys)), like)
    found = at_least_float32(constant(layer.operands.bias(rows[:, None], columns[None, :])))
    xp = namespace(found)
    return xp.astype(xp.clip(found, min=LOWEST), layer.queries.dtype, copy=False)


def _seen(layer: Layer, block: Block) -> Array:
    xp, like = namespace(layer.queries), layer.queries
    if block.seen is not None:
        return xp.asarray(block.seen, device=device_of(like))
    total = xp.zeros(len(block.rows), dtype=xp.int64, device=device_of(like)) + block.width
    for chunk in block.chunks:
        for _, hidden in chunk.hidden:
            total = total - xp.sum(xp.astype(hidden, xp.int64), axis=-1)
    return total
