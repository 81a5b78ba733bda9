"""Splits the logits of one position by what wrote them, and a head's part by the keys that it looks at.

Elhage et al. 2021, "A mathematical framework for transformer circuits": the residual stream is a sum, and the
final norm is linear once its statistics, those of the whole stream, are held fixed. N components, H heads,
S keys, M features of the model, V tokens; float64.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from attn_cli.core.arrays import Array, Exact, exact
from attn_cli.core.attention import trace
from attn_cli.core.decomposition import Decomposition, pulled_back
from attn_cli.core.layers import LayerNorm, RmsNorm
from attn_cli.core.multihead import Attention
from attn_cli.errors import AttnError
from attn_cli.models.native.effects.directions import Directions
from attn_cli.models.native.language_head.prediction import NativeHead
from attn_cli.models.native.residual import ResidualStream
from attn_cli.models.native.spec import Spec
from attn_cli.models.native.transformer import Inputs, Memory
from attn_cli.models.predictions import Looks, Parts
from attn_cli.record import record
from attn_cli.vocabulary import Kind


@record(frozen=True, slots=True, eq=False)
class _Row:
    """The attention of one layer, with the query at the position alone."""

    kind: Kind
    layer: int
    attention: Attention


@record(frozen=True, eq=False)
class NativeAttribution:
    """The stream at one position, in parts, and the language head that reads it."""

    head: NativeHead
    output: Array  # (1, M) of the last layer, before the final norm
    stream: Decomposition  # (N, 1, M) before the final norm
    rows: Sequence[_Row]

    @cached_property
    def logits(self) -> Exact:
        """(V,) as the model computes them, after a soft cap."""
        return exact(self.head.logits(self.output)[0])

    @cached_property
    def uncapped_logits(self) -> Exact:
        """(V,) the logits before the soft cap."""
        if self.softcap is None:
            return self.logits
        known = self.head.known
        uncapped = replace(known, head=replace(known.head, softcap=None))
        return exact(replace(self.head, known=uncapped).logits(self.output)[0])

    @property
    def softcap(self) -> float | None:
        """The cap that logits pass afterwards: what is split is the logit before."""
        return self.head.known.head.softcap

    def parts(self, token: int, against: int | None) -> Parts:
        """What each component adds to a token's logit, less another's or the mean of the vocabulary.

        Raises:
            AttnError: the head is not linear.
        """
        direction = self._directions.of(token, against)
        normed = self.stream.normed(self._final_norm)
        effects = normed.parts[:, 0, :] @ direction.vector
        constant = float(normed.constant[0] @ direction.vector) + direction.constant
        return Parts(normed.components, effects, constant)

    def looks(self, token: int, against: int | None) -> Iterator[Looks]:
        """The same of each head's keys, layer by layer.

        Raises:
            AttnError: the head is not linear.
        """
        direction = self._directions.of(token, against)
        in_stream = pulled_back(direction.vector, self._final_norm, self.stream.whole[0])
        for row in self.rows:
            yield _looks(row, self._read_of_result(row, in_stream))

    def _read_of_result(self, row: _Row, in_stream: Exact) -> Exact:
        """The direction (M,) in which the result of a layer's attention is read, before its own norm."""
        spec = self.head.model.spec
        if row.kind is Kind.CROSS:
            return in_stream
        scaled, part = in_stream * spec.residual_scale, spec.attention_result_norm
        if part is None:
            return scaled
        norm = self.head.model.norm(part, row.layer, spec.width)
        return pulled_back(scaled, norm, exact(row.attention.result())[0])

    @cached_property
    def _directions(self) -> Directions:
        return Directions(self.head)

    @cached_property
    def _final_norm(self) -> LayerNorm | RmsNorm | None:
        spec = self.head.model.spec
        return self.head.model.norm(spec.final_norm, 0, spec.width)


def attribute(
    language_head: NativeHead, inputs: Inputs, kind: Kind, position: int, memory: Memory | None
) -> NativeAttribution:
    """Run the layers once, and keep what they write at the position.

    Raises:
        AttnError: the sublayers' sums are normalised, so that what a head writes does not stay as it is.
    """
    model = language_head.model
    _check_additive(model.spec)
    stream, rows = ResidualStream(model, inputs, [position], kind, memory), list[_Row]()
    for block, entering in stream.layers():
        rows.append(_Row(kind, block.layer, block.attention.at([position])))
        if model.spec.cross is not None:
            rows.append(_Row(Kind.CROSS, block.layer, block.cross_attention.at([position])))
        last = block, entering
    ended = stream.after(*last)
    output = last[0].leaving[..., position : position + 1, :]
    return NativeAttribution(language_head, output, ended, rows)


def _check_additive(spec: Spec) -> None:
    if not spec.is_pre_norm or spec.residual_is_normed:
        problem = "what its components write does not add up to its logits: it normalises each layer's sum"
        raise AttnError(f"{spec.type}: {problem}", "--ablate zero, which needs no sum")


def _looks(row: _Row, read: Exact) -> Looks:
    """What each key adds through each head, whose result is read in this direction (M,)."""
    attention = row.attention
    assert attention.projection is not None, "a native layer has W^O"
    weights = exact(trace(attention.operands).weights)[:, 0, :]
    of_heads = (read @ exact(attention.projection.weight)).reshape(attention.heads, -1)
    values = exact(attention.operands.values)
    of_keys = np.stack([values[attention.kv_head(head)] @ each for head, each in enumerate(of_heads)])
    return Looks(row.kind, row.layer, weights, weights * of_keys)
