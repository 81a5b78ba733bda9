"""A layer being measured, and the logits of its heads, block by block and chunk by chunk.

R rows of a block, W columns of a block, C columns of a chunk.
"""

from typing import TypeVar

from attn_cli.core.arrays import Array, at_least_float32, constant, device_of, namespace
from attn_cli.core.attention import Operands
from attn_cli.core.masks import Narrowed
from attn_cli.core.streaming.blocks import Block, BlockLayout, Chunk, positions_in
from attn_cli.core.streaming.formulas import SoftmaxFormula, WeightedSum, WeightOnPairs
from attn_cli.core.streaming.kernels import LOWEST, Kernels
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import DEFINITIONS
from attn_cli.record import record
from attn_cli.vocabulary import Metric, Pool

RowFormula = TypeVar("RowFormula", SoftmaxFormula, WeightedSum, WeightOnPairs)


@record(frozen=True, slots=True, eq=False)
class MeasuredLayer:
    """A layer being measured, and what is measured."""

    operands: Operands
    mask: Narrowed
    queries: Array  # (H, T, D) times the scale, in float32 or better
    keys: Array  # (G, S', D) padded with zeros to whole units
    sink: Array | None  # (H, T) its logit in each row
    tokens: KeyTokens
    metrics: tuple[Metric, ...]  # in the order of `Metric`
    pool: Pool | None  # what a cell of the picture is; None: no picture is made
    layout: BlockLayout
    kernels: Kernels

    @property
    def row_metrics(self) -> tuple[Metric, ...]:
        """The metrics that are a number per row."""
        return tuple(metric for metric in self.metrics if not DEFINITIONS[metric].is_of_keys)

    def formulas(self, kind: type[RowFormula]) -> dict[Metric, RowFormula]:
        """The row metrics whose formula is of this kind."""
        formulas = {metric: DEFINITIONS[metric].formula for metric in self.row_metrics}
        return {metric: formula for metric, formula in formulas.items() if isinstance(formula, kind)}

    @property
    def has_picture(self) -> bool:
        """Whether the weights are pooled into a picture."""
        return self.pool is not None

    @property
    def sums_columns(self) -> bool:
        """Whether sums over columns are needed."""
        return self.has_picture or len(self.row_metrics) < len(self.metrics)


@record(frozen=True, slots=True, eq=False)
class Logits:
    """What the logits of all heads share in a block."""

    layer: MeasuredLayer
    block: Block
    bias: Array | None  # (H, R or 1, W), without the padded columns
    visible_keys: Array  # (R,) how many keys each row may look at

    @classmethod
    def of(cls, layer: MeasuredLayer, block: Block) -> "Logits":
        """Compute it once for a block."""
        bias = None if layer.operands.bias is None else _bias(layer, block)
        return cls(layer, block, bias, _visible_keys(layer, block))

    def put(self, head: int, chunk: Chunk, out: Array) -> None:
        """Write the logits of a head in a chunk into `out` (R, C)."""
        layer, rows, kernels = self.layer, self.block.rows, self.layer.kernels
        queries = layer.queries[head, rows.start : rows.stop]
        keys = layer.keys[layer.operands.kv_head(head), chunk.start : chunk.stop]
        kernels.multiply(queries, keys, out)
        if layer.operands.softcap is not None:
            kernels.cap(out, layer.operands.softcap)
        if self.bias is not None:
            first = chunk.start - self.block.first
            bias = self.bias[head, :, first : first + chunk.width]
            out[:, : bias.shape[-1]] += bias
        for columns, hidden in chunk.hidden:
            kernels.hide(out[:, columns], hidden)


def _bias(layer: MeasuredLayer, block: Block) -> Array:
    assert layer.operands.bias is not None, "checked by the caller"
    like = layer.queries
    rows = positions_in(block.rows, like)
    columns = positions_in(range(block.first, min(block.stop, layer.layout.keys)), like)
    bias = at_least_float32(constant(layer.operands.bias(rows[:, None], columns[None, :])))
    xp = namespace(bias)
    return xp.astype(xp.clip(bias, min=LOWEST), layer.queries.dtype, copy=False)


def _visible_keys(layer: MeasuredLayer, block: Block) -> Array:
    xp, like = namespace(layer.queries), layer.queries
    if block.visible_keys is not None:
        return xp.asarray(block.visible_keys, device=device_of(like))
    total = xp.zeros(len(block.rows), dtype=xp.int64, device=device_of(like)) + block.width
    for chunk in block.chunks:
        for _, hidden in chunk.hidden:
            total = total - xp.sum(xp.astype(hidden, xp.int64), axis=-1)
    return total
