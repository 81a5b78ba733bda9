"""Splits the logits of one position by what wrote them, and a head's part by the keys that it looks at.

Elhage et al. 2021, "A mathematical framework for transformer circuits": the residual stream is a sum, and the
final norm is linear once its statistics, those of the whole stream, are held fixed. So a logit is read in one
direction of the stream, and what a component adds is its part in that direction. N components, H heads,
D features per head, M features of the model, V tokens; sums in float64.
"""

from collections.abc import Iterator, Sequence
from dataclasses import field, replace
from functools import cached_property

import numpy as np

from attn_cli.core.arrays import Array, Exact, exact
from attn_cli.core.decomposition import Component, Decomposition, pulled_back
from attn_cli.core.layers import LayerNorm, RmsNorm
from attn_cli.core.multihead import Attention
from attn_cli.errors import AttnError
from attn_cli.models.native.effects.directions import Direction, Directions
from attn_cli.models.native.effects.written import AttentionRow, Written, read_of_result, written_by
from attn_cli.models.native.language_head.prediction import NativeHead
from attn_cli.models.native.residual import ResidualStream
from attn_cli.models.native.spec import Spec
from attn_cli.models.native.transformer import Inputs, Memory
from attn_cli.models.predictions import Looks, Parts
from attn_cli.record import record
from attn_cli.vocabulary import ComponentType, Kind


@record(frozen=True, slots=True, eq=False)
class _Reading:
    """How a logit reads the stream, and what each row of attention writes through W^O."""

    direction: Direction  # of the stream after the final norm
    in_stream: Exact  # (M,) the same of the stream before it
    results: Sequence[Exact]  # for each row, (M,) the direction in which its result is read
    heads: Sequence[Exact]  # for each row, (H, D) that in which the contexts of its heads are


@record(frozen=True, eq=False)
class NativeAttribution:
    """What all components write at one position, and the language head that reads it."""

    head: NativeHead
    output: Array  # (1, M) of the last layer, before the final norm
    embedded: Decomposition  # (N, 1, M) what enters the first layer
    layers: Sequence[Written]
    kind: Kind  # of the model's self-attention
    _readings: dict[tuple[int, int | None], _Reading] = field(default_factory=dict)  # by what is asked

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
        reading = self._reading(token, against)
        found = [*self._parts(reading)]
        constant = float(self.embedded.constant[0] @ reading.in_stream) + reading.direction.constant
        shift = self._final_norm.shift if isinstance(self._final_norm, LayerNorm) else None
        if shift is not None:
            constant += float(exact(shift) @ reading.direction.vector)
        return Parts([each for each, _ in found], np.array([effect for _, effect in found]), constant)

    def looks(self, token: int, against: int | None) -> Iterator[Looks]:
        """The same of each head's keys, layer by layer.

        Raises:
            AttnError: the head is not linear.
        """
        reading = self._reading(token, against)
        for row, read in zip(self._rows, reading.heads, strict=True):
            yield row.looks(read)

    def _parts(self, reading: _Reading) -> Iterator[tuple[Component, float]]:
        """Each component with what it adds, in the order in which they write."""
        embedded = self.embedded
        yield from zip(embedded.components, embedded.parts[:, 0] @ reading.in_stream, strict=True)
        reads = iter(zip(reading.results, reading.heads, strict=True))
        for layer, written in enumerate(self.layers):
            for row in written.rows:
                yield from self._of_row(row, *next(reads))
            component = Component(ComponentType.FEED_FORWARD, self.kind, layer)
            yield component, float(written.fed_forward @ reading.in_stream)

    def _of_row(self, row: AttentionRow, result: Exact, read: Exact) -> Iterator[tuple[Component, float]]:
        """What each head of a layer adds, and the bias of W^O."""
        for head, effect in enumerate(row.effects(read)):
            yield Component(ComponentType.HEAD, row.kind, row.layer, head), float(effect)
        if row.bias is not None:
            yield Component(ComponentType.OUTPUT_BIAS, row.kind, row.layer), float(row.bias @ result)

    def _reading(self, token: int, against: int | None) -> _Reading:
        """How what is asked reads the stream, worked out once.

        Raises:
            AttnError: the head is not linear.
        """
        if (token, against) not in self._readings:
            direction = self._directions.of(token, against)
            in_stream = pulled_back(direction.vector, self._final_norm, exact(self.output)[0])
            results = [
                read_of_result(self.head.model, row.kind, row.layer, in_stream, row.result)
                for row in self._rows
            ]
            heads = [row.read_of_contexts(read) for row, read in zip(self._rows, results, strict=True)]
            self._readings[token, against] = _Reading(direction, in_stream, results, heads)
        return self._readings[token, against]

    @property
    def _rows(self) -> list[AttentionRow]:
        return [row for written in self.layers for row in written.rows]

    @cached_property
    def _directions(self) -> Directions:
        return Directions(self.head)

    @cached_property
    def _final_norm(self) -> LayerNorm | RmsNorm | None:
        spec = self.head.model.spec
        return self.head.model.norm(spec.final_norm, 0, spec.width)


class NativeRun:
    """The layers of a text, which run once, and what they write at one position."""

    def __init__(
        self, language_head: NativeHead, inputs: Inputs, kind: Kind, position: int, memory: Memory | None
    ) -> None:
        self._head, self._inputs, self._kind = language_head, inputs, kind
        self._position, self._memory = position, memory
        self._written, self._output = list[Written](), None

    _output: Array | None

    def layers(self) -> Iterator[Attention]:
        """The self-attention of each layer, in ascending order, as the layers run."""
        model, position = self._head.model, self._position
        for block in model.blocks(self._inputs, self._memory, [position]):
            yield block.attention
            self._written.append(written_by(model, block, self._kind, position))
            last = block
        self._output = last.leaving[..., position : position + 1, :]

    def attribution(self) -> NativeAttribution:
        """The logits at the position, split by what wrote them, once all layers have run."""
        assert self._output is not None, "the layers have run"
        model, position = self._head.model, [self._position]
        embedded = ResidualStream(model, self._inputs, position, self._kind, self._memory).embedded()
        return NativeAttribution(self._head, self._output, embedded, self._written, self._kind)


def check_additive(spec: Spec) -> None:
    """Check that what a head writes stays as it is.

    Raises:
        AttnError: the sublayers' sums are normalised.
    """
    if not spec.is_pre_norm or spec.residual_is_normed:
        problem = f"what the components of {spec.type} write does not add up to its logits"
        raise AttnError(f"{problem}: it normalises each layer's sum", "--ablate zero, which needs no sum")
