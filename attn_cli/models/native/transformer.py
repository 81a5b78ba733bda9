"""A transformer run from a checkpoint, layer by layer: weights are read when their layer runs.

It stops where its reader stops: whoever asks for layer 2 never touches layer 3, nor the feed-forward
part of layer 2.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Protocol, TypeAlias

from attn_cli.core.arrays import Array, device_of, namespace, positions
from attn_cli.core.attention import Bias
from attn_cli.core.chunked import row_by_row
from attn_cli.core.layers import ACTIVATIONS, layer_norm, rms_norm
from attn_cli.core.masks import Rule, everywhere, padding
from attn_cli.core.multihead import Attention, Linear, MultiHeadAttention, Normalise, fused, split
from attn_cli.core.positions import Disentangled, alibi, relative, sinusoids
from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend
from attn_cli.models.native.spec import Cross, Embeddings, Norm, Part, Projections, Spec
from attn_cli.record import record


@record(frozen=True, slots=True)
class Inputs:
    """What a model reads: T token ids, which text each belongs to, and which are no padding."""

    ids: Sequence[int] | Array  # an array (B, T) is a batch of texts, for weights that are arrays too
    segments: Sequence[int]
    real: Sequence[bool] | None = None  # None: all are
    first: int = 0  # the position of the first token: a model that trains on short rows sees every one


Memory: TypeAlias = Callable[[], Array]
"""What a decoder looks at, (S, M), computed when it is first needed."""


class Tensors(Protocol):
    """Where weights come from: a file (`models.files.Weights`), or parameters that learn."""

    def read(self, name: str, shape: tuple[int, ...]) -> Array:
        """The tensor; raises `AttnError` unless it is there in this shape."""

    def rows(self, name: str, shape: tuple[int, int], indices: Any) -> Array:
        """(T, M) only those rows of a matrix."""

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise `AttnError` unless the tensor is there."""


@record(frozen=True, slots=True)
class Transformer:
    """The blocks that a `Spec` describes, with the weights of a file or of a training run."""

    spec: Spec
    weights: Tensors
    backend: Backend

    def check(self) -> None:
        """Raise `AttnError` unless the file holds the last layer: a config may claim a billion.

        Raises:
            AttnError: it does not, or in another shape.
        """
        spec = self.spec
        name = self._name(spec.output, spec.layers - 1)
        self.weights.check(f"{name}.weight", self._stored_shape(spec.width, spec.heads * spec.head_size))

    def attentions(self, inputs: Inputs, memory: Memory | None = None) -> Iterator[Attention]:
        """The self-attention of layer 0, 1, 2, ..., each computed when it is asked for."""
        return (block.attention for block in self._run(inputs, memory))

    def cross_attentions(self, inputs: Inputs, memory: Memory) -> Iterator[Attention]:
        """The attention of a decoder's layers to the text that its encoder read."""
        return (block.cross_attention for block in self._run(inputs, memory))

    def hidden_states(self, inputs: Inputs, memory: Memory | None = None) -> Iterator[Array]:
        """(T, M) what enters each layer, L times; then what leaves the last, after the final norm.

        No command shows them: they are what the tests compare with Hugging Face's.
        """
        block: _Block | None = None
        for block in self._run(inputs, memory):
            yield block.x
        assert block is not None, "a model has a layer"
        yield self._normalise(self.spec.final_norm, 0, block.leaving)

    def memory(self, inputs: Inputs) -> Array:
        """(T, M) what leaves the last layer of an encoder: what its decoder looks at."""
        *_, last = self.hidden_states(inputs)
        return last

    def _run(self, inputs: Inputs, memory: Memory | None) -> Iterator["_Block"]:
        """The layers, each at work when it is asked for."""
        spec = self.spec
        x = self._embed(inputs)
        mask, bias = _mask(inputs, x), self._shared_bias(x)
        for layer in range(spec.layers):
            entering = self._normalise(spec.attention_norm, layer, x) if spec.is_pre_norm else x
            attention = self._self_attention(layer, x.shape[-2], bias).attention(entering, mask=mask)
            block = _Block(self, layer, x, attention, memory)
            yield block
            if layer + 1 < spec.layers:
                x = block.leaving

    def _embed(self, inputs: Inputs) -> Array:
        """(T, M) the sum of the tokens', positions' and segments' vectors, normed."""
        spec, names = self.spec, self.spec.embeddings
        narrow = names.width or spec.width
        x = self._read_rows(names.tokens, spec.vocabulary, narrow, inputs.ids)
        if names.scale != 1.0:
            x = x * names.scale
        if names.projects_tokens:
            x = self._project_embeddings(x)
        if names.positions is not None and spec.longest is not None:
            places = _places(names, inputs, x.shape[-2])
            x = x + self._read_rows(names.positions, names.first + spec.longest, x.shape[-1], places)
        if names.has_sinusoids:
            x = x + _sinusoids(inputs, x)
        if names.segments is not None:
            x = x + self._read_rows(names.segments, spec.segments, x.shape[-1], inputs.segments)
        x = self._normalise(names.norm, 0, x)
        return x if names.projects_tokens else self._project_embeddings(x)

    def _project_embeddings(self, x: Array) -> Array:
        """(T, M) embeddings that are narrower than the model, brought to its width."""
        part = self.spec.embeddings.projection
        return x if part is None else self._linear(part, 0, self.spec.width, x.shape[-1])(x)

    def _shared_bias(self, like: Array) -> Bias | None:
        """What every layer adds to its scores for the two positions."""
        spec = self.spec
        if spec.is_alibi:
            return alibi(spec.heads, like)
        if spec.relative is None:
            return None
        name = f"{spec.relative.table.name}.weight"
        buckets = spec.relative.buckets
        table = self.backend.convert(self.weights.read(name, (buckets.count, spec.heads)))
        return relative(table, buckets)

    def _self_attention(self, layer: int, length: int, bias: Bias | None) -> MultiHeadAttention:
        """W^Q, W^K, W^V and W^O of the layer."""
        spec, parts = self.spec, self.spec.projections
        query, key, value = self._projections(parts, layer)
        return MultiHeadAttention(
            query=query,
            key=key,
            value=value,
            output=self._linear(spec.output, layer, spec.width, spec.heads * spec.head_size),
            heads=spec.heads,
            kv_heads=spec.kv_heads,
            scale=spec.scale(layer),
            mask=spec.mask(layer),
            bias=bias,
            softcap=spec.softcap,
            rotary=spec.rotary(layer, length),
            query_norm=self._norm(parts.query_norm, layer),
            key_norm=self._norm(parts.key_norm, layer),
            is_norm_whole=parts.is_norm_whole,
            disentangled=self._content_bias(layer),
        )

    def _content_bias(self, layer: int) -> Disentangled | None:
        """What queries and keys of the layer meet at each distance."""
        spec, bias = self.spec, self.spec.content_bias
        if bias is None:
            return None
        count = 2 * bias.distances.span
        table = self.backend.convert(self.weights.read(f"{bias.table.name}.weight", (count, spec.width)))
        normed = self._normalise(bias.norm, layer, table)

        def projected(part: Part | None) -> Array | None:
            if part is None:
                return None
            linear = self._linear(part, layer, spec.heads * spec.head_size, spec.width)
            return split(linear(normed), spec.heads)

        scale = spec.scale(layer)
        assert scale is not None, "the family gives it"
        return Disentangled(bias.distances, scale, projected(bias.keys), projected(bias.queries))

    def _cross_attention(self, cross: Cross, layer: int) -> MultiHeadAttention:
        """The same of the attention to the encoder's text, which knows no positions."""
        spec = self.spec
        query, key, value = self._projections(cross.projections, layer)
        output = self._linear(cross.output, layer, spec.width, spec.heads * spec.head_size)
        return MultiHeadAttention(
            query, key, value, output, heads=spec.heads, kv_heads=spec.kv_heads, scale=spec.scale(layer)
        )

    def _projections(self, parts: Projections, layer: int) -> tuple[Linear, Linear, Linear]:
        spec = self.spec
        rows, shared = spec.heads * spec.head_size, spec.kv_heads * spec.head_size
        if parts.fused is not None:
            whole = self._linear(parts.fused, layer, rows + 2 * shared, spec.width)
            return fused(whole, spec.heads, spec.kv_heads, interleaved=parts.is_interleaved)
        return (
            self._linear(parts.query, layer, rows, spec.width),
            self._linear(parts.key, layer, shared, spec.width),
            self._linear(parts.value, layer, shared, spec.width),
        )

    def add_attention(self, layer: int, x: Array, attention: Attention) -> Array:
        """(T, M) the residual stream behind the layer's self-attention."""
        spec = self.spec
        added = self._scale_result(spec.attention_result_norm, layer, _apply_output_weights(attention))
        if spec.is_pre_norm:
            return (attention.input if spec.residual_is_normed else x) + added
        return self._normalise(spec.attention_norm, layer, x + added)

    def cross_attention(self, layer: int, x: Array, memory: Memory) -> Attention:
        """The attention of a decoder's layer to the encoder's text; `x` (T, M) comes out of its own."""
        spec, cross = self.spec, self.spec.cross
        assert cross is not None, "a decoder's family names its parts"
        entering = self._normalise(cross.norm, layer, x) if spec.is_pre_norm else x
        return self._cross_attention(cross, layer).attention(entering, memory())

    def add_cross_attention(self, layer: int, x: Array, cross_attention: Attention) -> Array:
        """(T, M) the residual stream behind the attention to the encoder's text."""
        spec, cross = self.spec, self.spec.cross
        assert cross is not None, "a decoder's family names its parts"
        summed = x + _apply_output_weights(cross_attention)
        return summed if spec.is_pre_norm else self._normalise(cross.norm, layer, summed)

    def add_feed_forward(self, layer: int, x: Array, before: Array) -> Array:
        """(T, M) what leaves the layer: the stream `x` (T, M) behind its attention, fed forward.

        A layer whose parts work side by side feeds what came in, `before` (T, M).
        """
        spec = self.spec
        if spec.is_parallel:
            return x + self._feed_forward(layer, self._normalise(spec.feed_forward_norm, layer, before))
        if spec.is_pre_norm:
            entering = self._normalise(spec.feed_forward_norm, layer, x)
            return (entering if spec.residual_is_normed else x) + self._feed_forward(layer, entering)
        return self._normalise(spec.feed_forward_norm, layer, x + self._feed_forward(layer, x))

    def _feed_forward(self, layer: int, x: Array) -> Array:
        """(T, M) what the feed-forward part adds to the residual stream."""
        parts, width = self.spec.feed_forward, self.spec.width
        inner, down = self._expand(layer), self._linear(parts.down, layer, width, parts.size)
        result = row_by_row(lambda rows: down(inner(rows)), x)
        return self._scale_result(self.spec.feed_forward_result_norm, layer, result)

    def _scale_result(self, norm: Part | None, layer: int, result: Array) -> Array:
        """(T, M) what the residual stream takes of a part's result."""
        result = self._normalise(norm, layer, result)
        return result if self.spec.residual_scale == 1.0 else result * self.spec.residual_scale

    def _expand(self, layer: int) -> Callable[[Array], Array]:
        """From (T, M) to (T, size), what stands between the two maps of the feed-forward part."""
        parts, width = self.spec.feed_forward, self.spec.width
        activation = find_activation(parts.activation)
        up = self._linear(parts.up, layer, 2 * parts.size if parts.holds_gate else parts.size, width)
        if parts.holds_gate:
            return lambda x: _apply_gate(activation, up(x), parts.size)
        if parts.gate is None:
            return lambda x: activation(up(x))
        gate = self._linear(parts.gate, layer, parts.size, width)
        return lambda x: activation(gate(x)) * up(x)

    def _normalise(self, part: Part | None, layer: int, x: Array) -> Array:
        """`x` normed; as it is where the layer has no such norm."""
        norm = self._norm(part, layer)
        return x if norm is None else norm(x)

    def _norm(self, part: Part | None, layer: int) -> Normalise | None:
        """The norm of a layer, ready to be applied; None where there is none."""
        if part is None or layer < part.since:
            return None
        spec, name = self.spec, self._name(part, layer)

        def norm(x: Array) -> Array:
            gain = self.backend.convert(self.weights.read(f"{name}.weight", (x.shape[-1],)))
            if spec.gain_offset:
                gain = gain + spec.gain_offset
            if spec.norm is Norm.RMS:
                return rms_norm(x, gain, spec.epsilon)
            stored = self.weights.read(f"{name}.bias", (x.shape[-1],)) if part.has_bias else None
            return layer_norm(x, gain, None if stored is None else self.backend.convert(stored), spec.epsilon)

        return norm

    def _linear(self, part: Part | None, layer: int, rows: int, columns: int) -> Linear:
        assert part is not None, "a family names its parts"
        name = self._name(part, layer)
        stored = self.weights.read(f"{name}.weight", self._stored_shape(rows, columns))
        weight = self.backend.convert(stored.T if self.spec.is_transposed else stored)
        bias = self.backend.convert(self.weights.read(f"{name}.bias", (rows,))) if part.has_bias else None
        return Linear(weight, bias)

    def _name(self, part: Part, layer: int) -> str:
        return part.name.format(**self.spec.numbers(layer))

    def _stored_shape(self, rows: int, columns: int) -> tuple[int, int]:
        """The shape of a linear map's weight as the file has it."""
        return (columns, rows) if self.spec.is_transposed else (rows, columns)

    def _read_rows(self, name: str, count: int, width: int, indices: Sequence[int] | Array) -> Array:
        return self.backend.convert(self.weights.rows(f"{name}.weight", (count, width), indices))


@dataclass(eq=False)
class _Block:
    """One layer at work: each part of it is computed once, when it is asked for."""

    transformer: Transformer
    layer: int
    x: Array  # (T, M) what enters it
    attention: Attention
    memory: Memory | None

    @cached_property
    def _after_attention(self) -> Array:
        return self.transformer.add_attention(self.layer, self.x, self.attention)

    @cached_property
    def cross_attention(self) -> Attention:
        """The attention to the encoder's text."""
        assert self.memory is not None, "a decoder is given one"
        return self.transformer.cross_attention(self.layer, self._after_attention, self.memory)

    @cached_property
    def leaving(self) -> Array:
        """(T, M) what leaves the layer."""
        x = self._after_attention
        if self.transformer.spec.cross is not None:
            x = self.transformer.add_cross_attention(self.layer, x, self.cross_attention)
        return self.transformer.add_feed_forward(self.layer, x, self.x)


def _apply_output_weights(attention: Attention) -> Array:
    """(T, M) what an attention returns: the one place where its heads' contexts (H, T, D) meet W^O.

    Every layer of every family comes through here, a decoder's attention to its encoder's text too.
    """
    contexts = attention.contexts()
    return attention.projected(contexts)


def _apply_gate(activation: Callable[[Array], Array], both: Array, size: int) -> Array:
    """(T, size) the first half of `both` (T, 2 size) as a gate of the second."""
    return activation(both[..., :size]) * both[..., size:]


def _sinusoids(inputs: Inputs, like: Array) -> Array:
    """(T, M) the sines and cosines of the positions, in the format of `like`."""
    xp = namespace(like)
    places = positions(like.shape[-2], like) + inputs.first
    return xp.astype(sinusoids(places, like.shape[-1]), like.dtype, copy=False)


def _places(names: Embeddings, inputs: Inputs, length: int) -> Sequence[int]:
    """(T,) the row of each token's position; a token that takes none stands before the first."""
    if names.padding is not None and names.padding in inputs.ids:
        takes = [id_ != names.padding for id_ in inputs.ids]
    elif names.skips_padding and inputs.real is not None:
        takes = list(inputs.real)
    else:
        return range(names.first + inputs.first, names.first + inputs.first + length)
    before = names.first - 1
    return [before + count * taken for count, taken in zip(accumulate(takes), takes, strict=True)]


def _mask(inputs: Inputs, like: Array) -> Rule:
    """The rule that hides padding, on the device of `like`."""
    if inputs.real is None:
        return everywhere
    return padding(namespace(like).asarray(list(inputs.real), device=device_of(like)))


def find_activation(name: str) -> Callable[[Array], Array]:
    """The activation that a config names.

    Raises:
        AttnError: we have none of this name.
    """
    if name not in ACTIVATIONS:
        problem = f"the activation '{name}' is not known"
        raise AttnError(problem, f"use a model with one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
