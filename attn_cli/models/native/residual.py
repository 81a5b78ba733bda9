"""The residual stream of a few tokens, as the parts that embeddings, heads and feed-forward blocks wrote.

The layers run as always, over all T positions; the parts are kept for P of them only, (N, P, M).
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from attn_cli.core.arrays import Array, exact, taken
from attn_cli.core.decomposition import Component, DecomposedInput, Decomposition, written
from attn_cli.core.multihead import Attention
from attn_cli.models.native.spec import Part
from attn_cli.models.native.transformer import Block, Inputs, Memory, Transformer
from attn_cli.record import record
from attn_cli.vocabulary import ComponentType, Kind


@record(frozen=True, eq=False)
class ResidualStream:
    """The residual stream of one text at P positions, layer by layer."""

    model: Transformer
    inputs: Inputs
    places: Sequence[int]  # the positions
    kind: Kind  # of the model's self-attention
    memory: Memory | None = None  # of a decoder

    def entering(self, layer: int) -> tuple[Attention, Decomposition]:
        """A layer's attention, and (P, M) what enters its projections, after the norm that stands before."""
        block, stream = self.layer(layer)
        return block.attention, self._before(block, stream, self.model.spec.attention_norm)

    def entering_cross(self, layer: int) -> tuple[Attention, Decomposition]:
        """A decoder layer's cross-attention, and (P, M) what enters its W^Q."""
        block, stream = self.layer(layer)
        cross = self.model.spec.cross
        assert cross is not None, "the spec of a decoder has cross-attention"
        return block.cross_attention, self._before(block, self._with_attention(block, stream), cross.norm)

    @cached_property
    def leaving(self) -> tuple[Array, Decomposition]:
        """(T, M) the output of the last layer after the final norm, and its parts (P, M)."""
        block, stream = self.layer(self.model.spec.layers - 1)
        norm = self.model.norm(self.model.spec.final_norm, 0, self.model.spec.width)
        output = block.leaving if norm is None else norm(block.leaving)
        return output, self.after(block, stream).normed(norm)

    def layer(self, number: int) -> tuple[Block, Decomposition]:
        """A layer, and the stream (P, M) before its norm; later layers do not run."""
        return next(each for each in self.layers() if each[0].layer == number)

    def layers(self) -> Iterator[tuple[Block, Decomposition]]:
        """Each layer, and the stream (P, M) before its norm, run lazily."""
        stream = self.embedded()
        for block in self.model.blocks(self.inputs, self.memory, self.places):
            stream = stream.as_computed(self._at_places(block.x))
            yield block, stream
            stream = self.after(block, stream)

    def embedded(self) -> Decomposition:
        """The embeddings, which enter the first layer."""
        model, names = self.model, self.model.spec.embeddings
        terms = [(which, self._at_places(term)) for which, term in model.embeddings(self.inputs)]
        components = [Component(which, self.kind) for which, _ in terms]
        stream = written(components, [term for _, term in terms])
        normed = stream.normed(model.norm(names.norm, 0, stream.whole.shape[-1]))
        projection = None if names.projects_tokens else model.embedding_projection()
        return normed if projection is None else normed.through(projection)

    def _before(self, block: Block, stream: Decomposition, part: Part | None) -> Decomposition:
        """What a sublayer receives: the stream, in pre-norm models after the norm."""
        spec = self.model.spec
        return stream.normed(self.model.norm(part, block.layer, spec.width)) if spec.is_pre_norm else stream

    def after(self, block: Block, stream: Decomposition) -> Decomposition:
        """The stream that leaves the layer."""
        between = self._with_attention(block, stream)
        if self.model.spec.cross is not None:
            between = self._with_cross_attention(block, between)
        return self._with_feed_forward(block, between).as_computed(self._at_places(block.leaving))

    def _with_attention(self, block: Block, stream: Decomposition) -> Decomposition:
        spec = self.model.spec
        result_norm = self.model.norm(spec.attention_result_norm, block.layer, spec.width)
        added = self._heads(self.kind, block.layer, block.attention).normed(result_norm)
        summed = self._sum(block, stream, added.scaled(spec.residual_scale), spec.attention_norm)
        return summed.as_computed(self._at_places(block.after_attention))

    def _with_cross_attention(self, block: Block, stream: Decomposition) -> Decomposition:
        cross = self.model.spec.cross
        assert cross is not None, "called only for a decoder"
        added = self._heads(Kind.CROSS, block.layer, block.cross_attention)
        summed, spec = stream.plus(added), self.model.spec
        if not spec.is_pre_norm:
            summed = summed.normed(self.model.norm(cross.norm, block.layer, spec.width))
        return summed.as_computed(self._at_places(block.after_cross_attention))

    def _with_feed_forward(self, block: Block, stream: Decomposition) -> Decomposition:
        component = Component(ComponentType.FEED_FORWARD, self.kind, block.layer)
        added = written([component], [block.fed_forward])
        return self._sum(block, stream, added, self.model.spec.feed_forward_norm)

    def _sum(
        self, block: Block, stream: Decomposition, added: Decomposition, part: Part | None
    ) -> Decomposition:
        """The stream plus what a sublayer adds, with the norm where the model has it."""
        spec, norm = self.model.spec, self.model.norm(part, block.layer, self.model.spec.width)
        if not spec.is_pre_norm:
            return stream.plus(added).normed(norm)
        return (stream.normed(norm) if spec.residual_is_normed else stream).plus(added)

    def _heads(self, kind: Kind, layer: int, attention: Attention) -> Decomposition:
        """What each head writes, and the bias of W^O."""
        rows, heads = attention.at(self.places), range(attention.heads)
        shares = rows.shares(rows.contexts(), heads)
        components = [Component(ComponentType.HEAD, kind, layer, head) for head in heads]
        of_heads = written(components, list(shares))
        assert rows.projection is not None, "a native layer has W^O"
        bias = rows.projection.bias
        if bias is None:
            return of_heads
        component = Component(ComponentType.OUTPUT_BIAS, kind, layer)
        return of_heads.plus(written([component], [exact(bias) + np.zeros_like(of_heads.whole)]))

    def _at_places(self, x: Array) -> Array:
        return taken(x, self.places, -2)


def decomposed_input(
    model: Transformer,
    inputs: Inputs,
    kind: Kind,
    layer: int,
    queries: Sequence[int],
    keys: Sequence[int],
    memory: Memory | None = None,
) -> DecomposedInput:
    """What a layer's self-attention reads at these queries and keys."""
    stream = ResidualStream(model, inputs, [*queries, *keys], kind, memory)
    attention, entering = stream.entering(layer)
    count = len(queries)
    return DecomposedInput(attention, entering.at(range(count)), entering.at(range(count, count + len(keys))))


def decomposed_cross_input(
    encoder: Transformer,
    decoder: Transformer,
    inputs: Inputs,
    target: Inputs,
    layer: int,
    queries: Sequence[int],
    keys: Sequence[int],
) -> DecomposedInput:
    """What a layer's cross-attention reads: queries from the decoder's stream, keys from the encoder."""
    read = ResidualStream(encoder, inputs, keys, Kind.ENCODER)
    stream = ResidualStream(decoder, target, queries, Kind.DECODER, lambda: read.leaving[0])
    attention, entering = stream.entering_cross(layer)
    return DecomposedInput(attention, entering, read.leaving[1])
