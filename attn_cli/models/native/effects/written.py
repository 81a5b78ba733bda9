"""What one layer writes into the stream at one position: its heads, their bias, its feed-forward block.

Nothing as wide as the stream is kept of a head: its weights, its context and the values that it reads tell
what it adds in any direction. H heads, G key/value heads, S keys, D features per head, M features.
"""

from collections.abc import Callable, Sequence

import numpy as np

from attn_cli.core.arrays import Array, Exact, at_least_float32, device_of, exact, namespace
from attn_cli.core.attention import trace
from attn_cli.core.decomposition import pulled_back
from attn_cli.core.multihead import Attention, Linear
from attn_cli.models.native.transformer import Block, Transformer
from attn_cli.models.predictions import Looks
from attn_cli.record import record
from attn_cli.vocabulary import Kind


@record(frozen=True, slots=True, eq=False)
class AttentionRow:
    """What the heads of one layer do with the query at the position."""

    kind: Kind
    layer: int
    weights: Exact  # (H, S)
    values: Array  # (G, S, D)
    contexts: Exact  # (H, D)
    bias: Exact | None  # (M,) of W^O
    output: Callable[[], Linear]  # W^O, read again: those of all layers are not kept
    result: Exact | None  # (M,) of the layer, before its own norm; None: it has none

    def read_of_contexts(self, read: Exact) -> Exact:
        """(H, D) the direction in which each head's context is read, if the result is in `read` (M,)."""
        return read_through(self.output(), read, len(self.contexts))

    def effects(self, read: Exact) -> Exact:
        """(H,) what each head adds, if its context is read in `read` (H, D)."""
        return added(self.contexts, read)

    def looks(self, read: Exact) -> Looks:
        """The same of each key."""
        groups, _, size = self.values.shape
        of_groups = read.reshape(groups, -1, size)
        of_keys = of_groups @ np.swapaxes(exact(self.values), -1, -2)
        return Looks(self.kind, self.layer, self.weights, self.weights * of_keys.reshape(self.weights.shape))


@record(frozen=True, slots=True, eq=False)
class Written:
    """What one layer writes at the position: its attention, its cross-attention, its feed-forward block."""

    rows: Sequence[AttentionRow]
    fed_forward: Exact  # (M,)


def read_of_result(
    model: Transformer, kind: Kind, layer: int, in_stream: Exact, result: Exact | None
) -> Exact:
    """The direction (..., M) in which a layer's attention is read before its own norm and scale.

    `in_stream` (..., M) is the direction in which the stream is; `result` as in `AttentionRow`, (..., M).
    """
    if kind is Kind.CROSS:
        return in_stream
    scaled = in_stream * model.spec.residual_scale
    if result is None:
        return scaled
    return pulled_back(scaled, model.norm(model.spec.attention_result_norm, layer, model.spec.width), result)


def read_through(output: Linear, read: Exact, heads: int) -> Exact:
    """(..., H, D) the direction in which each head's context is read, if the result is in `read` (..., M)."""
    weight = at_least_float32(output.weight)
    xp = namespace(weight)
    given = xp.asarray(read, dtype=weight.dtype, device=device_of(weight))
    return exact(xp.matmul(given, weight)).reshape(*read.shape[:-1], heads, -1)


def added(contexts: Exact, read: Exact) -> Exact:
    """(..., H) what each head adds, if its context (..., H, D) is read in `read` (..., H, D)."""
    found: Exact = (contexts * read).sum(axis=-1)
    return found


def written_by(model: Transformer, block: Block, kind: Kind, position: int) -> Written:
    """What a layer writes at a position."""
    is_normed = model.spec.attention_result_norm is not None
    rows = [_row(model, kind, block.layer, block.attention.at([position]), is_normed=is_normed)]
    if model.spec.cross is not None:
        cross = block.cross_attention.at([position])
        rows.append(_row(model, Kind.CROSS, block.layer, cross, is_normed=False))
    return Written(rows, exact(block.fed_forward)[0])


def _row(
    model: Transformer, kind: Kind, layer: int, attention: Attention, *, is_normed: bool
) -> AttentionRow:
    """What a layer's attention with one query does."""
    traced = trace(attention.operands)
    assert attention.projection is not None, "a native layer has W^O"
    bias = attention.projection.bias
    result = exact(attention.projected(traced.context))[0] if is_normed else None
    return AttentionRow(
        kind,
        layer,
        exact(traced.weights)[:, 0, :],
        attention.operands.values,
        exact(traced.context)[:, 0, :],
        None if bias is None else exact(bias),
        lambda: model.output_weights(layer, is_cross=kind is Kind.CROSS),
        result,
    )
