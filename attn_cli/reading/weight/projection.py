"""Opens how one token's query, key and value came from the layer's input: W, bias, QK-norm, RoPE.

D head size, M model width.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from attn_cli.answers.weight import MatrixRows, OpenedNorm, OpenedTurn, Projection
from attn_cli.core.arrays import Array, namespace, positions, to_numpy
from attn_cli.core.layers import LayerNorm, RmsNorm
from attn_cli.core.multihead import Attention, Linear, MultiHeadAttention, Stages, split
from attn_cli.core.positions import Rotary
from attn_cli.record import record
from attn_cli.vocabulary import Step


def open_projections(
    attention: Attention, head: int, query: int, key: int, value: int
) -> Mapping[Step, Projection]:
    """The query, the key, and the value of a key; empty where the layer's projections are not known.

    `attention` has all its queries.
    """
    layer = attention.layer
    if layer is None or attention.input is None:
        return {}
    source = attention.input if attention.memory is None else attention.memory
    kv_head = attention.kv_head(head)
    return {
        Step.QUERIES: _turned(
            _Side(Step.QUERIES, layer.query, head, query, attention.input),
            attention.query_stages(),
            layer.query_norm,
            layer,
        ),
        Step.KEYS: _turned(
            _Side(Step.KEYS, layer.key, kv_head, key, source), attention.key_stages(), layer.key_norm, layer
        ),
        Step.VALUES: _Side(Step.VALUES, layer.value, kv_head, value, source).projection(
            split(layer.value(source), layer.kv_heads), layer.head_size
        ),
    }


@record(frozen=True, slots=True, eq=False)
class _Side:
    """One of the three projections, for one token and one head."""

    step: Step
    linear: Linear
    head: int  # of the projection's own heads
    position: int
    source: Array  # (T, M) what is projected

    def projection(self, plain: Array, size: int) -> Projection:
        """The projection without norm and RoPE; `plain` is (H, T, D)."""
        rows = slice(self.head * size, (self.head + 1) * size)
        bias, vector = self.linear.bias, to_numpy(plain[self.head, self.position])
        return Projection(
            step=self.step,
            position=self.position,
            input=to_numpy(self.source)[self.position],
            inputs=to_numpy(self.source),
            weight=to_numpy(self.linear.weight[rows]),
            bias=None if bias is None else to_numpy(bias[rows]),
            place=_rows_in_file(self.linear, self.head, size),
            plain=vector,
            norm=None,
            normed=None,
            turn=None,
            final=vector,
        )


def _turned(
    side: _Side, stages: Stages | None, norm: LayerNorm | RmsNorm | None, layer: MultiHeadAttention
) -> Projection:
    """A query or a key with its norm and its turn."""
    assert stages is not None, "a layer that is known has stages"
    plain = side.projection(stages.plain, layer.head_size)
    normed = None if stages.normed is None else to_numpy(stages.normed[side.head, side.position])
    return replace(
        plain,
        norm=None if norm is None else _opened_norm(norm, side, stages.plain, is_whole=layer.is_norm_whole),
        normed=normed,
        turn=None if layer.rotary is None else _opened_turn(layer.rotary, side.position, stages.plain),
        final=to_numpy(stages.final[side.head, side.position]),
    )


def _opened_norm(norm: LayerNorm | RmsNorm, side: _Side, plain: Array, *, is_whole: bool) -> OpenedNorm:
    """The statistics of the norm of one token's vector, over all heads together if `is_whole`."""
    size = plain.shape[-1]
    token = plain[:, side.position]  # (H, D)
    vector = namespace(plain).reshape(token, (-1,)) if is_whole else token[side.head]
    features = slice(side.head * size, (side.head + 1) * size) if is_whole else slice(size)
    statistics = norm.statistics(vector)
    shift = norm.shift if isinstance(norm, LayerNorm) else None
    return OpenedNorm(
        mean=None if statistics.mean is None else float(to_numpy(statistics.mean)[0]),
        divisor=float(to_numpy(statistics.divisor)[0]),
        gain=to_numpy(norm.gain)[features],
        shift=None if shift is None else to_numpy(shift)[features],
        features=int(vector.shape[0]),
    )


def _opened_turn(rotary: Rotary, position: int, like: Array) -> OpenedTurn:
    """The angles of a position."""
    places = positions(position + 1, like)[position:]
    cosine, sine = (to_numpy(each)[0] for each in rotary.turn(places, like))
    known = rotary.frequencies if rotary.exact is None or cosine.dtype != np.float64 else rotary.exact()
    return OpenedTurn(rotary, cosine, sine, to_numpy(known))


def _rows_in_file(linear: Linear, head: int, size: int) -> MatrixRows:
    """Where the rows of a head stand in the file's matrix."""
    cut = linear.cut
    if cut is None:
        return MatrixRows(
            linear.name, head * size, (head + 1) * size - 1, linear.weight.shape[0], is_fused=False
        )
    own = cut.rows_of(head)
    return MatrixRows(linear.name, own.start, own.stop - 1, cut.rows, is_fused=True)
