"""Runs a transformer layer by layer; weights are read when their layer runs.

The computation is lazy: requesting the attention of layer 2 runs neither layer 3 nor the feed-forward block
of layer 2.
"""

import operator
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property, partial, reduce
from itertools import accumulate
from typing import Any, Protocol, TypeAlias

from attn_cli.core.arrays import Array, at_least_float32, device_of, namespace, positions, taken
from attn_cli.core.attention import Bias
from attn_cli.core.chunked import row_by_row
from attn_cli.core.layers import ACTIVATIONS, LayerNorm, RmsNorm
from attn_cli.core.masks import Rule, everywhere, padding
from attn_cli.core.multihead import Attention, Linear, MultiHeadAttention, fused, split
from attn_cli.core.positions import Disentangled, RelativeBias, alibi, sinusoids
from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend, torch_backend
from attn_cli.models.native.spec import Cross, Embeddings, Norm, Part, Projections, Spec
from attn_cli.record import record
from attn_cli.vocabulary import ComponentType, DType


@record(frozen=True, slots=True)
class Inputs:
    """A model's input: T token ids, the segment of each, and which of them are not padding."""

    ids: Sequence[int] | Array  # an array (B, T) is a batch of texts, for trainable weights
    segments: Sequence[int]
    real: Sequence[bool] | None = None  # false for padding; None: no padding
    first: int = 0  # position of the first token, so that training on short rows covers every position
    before: Sequence[int] = ()  # the ids of the tokens before the first, if their keys are cached


Memory: TypeAlias = Callable[[], Array]
"""The encoder's output (S, M), computed when the decoder first needs it."""

Kept: TypeAlias = dict[tuple[Hashable, ...], Any]
"""What was read from the weights, converted and ready to be used again."""


class Cache:
    """The keys and values of the tokens that a decoder has read, by layer, and those of its memory."""

    def __init__(self) -> None:
        from attn_cli.core.past import Past  # few commands go on with a text

        self.own: defaultdict[int, Past] = defaultdict(Past)
        self.of_memory: defaultdict[int, Past] = defaultdict(Past)


class Tensors(Protocol):
    """The source of weights: a file (`models.files.Weights`), or trainable parameters."""

    def read(self, name: str, shape: tuple[int, ...]) -> Array:
        """The tensor; raises `AttnError` if it is missing or has another shape."""

    def rows(self, name: str, shape: tuple[int, int], indices: Any) -> Array:
        """(T, M) the given rows of a matrix."""

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise `AttnError` if the tensor is missing or has another shape."""

    def stored(self, name: str) -> str:
        """The tensor's name in the file."""


@record(frozen=True, slots=True)
class Transformer:
    """The model that a `Spec` describes, with weights from a file or a training run."""

    spec: Spec
    weights: Tensors
    backend: Backend
    kept: Kept | None = None  # None: weights are read and converted each time, and not kept

    def check(self) -> None:
        """Check that the file contains the last layer: a config may claim a billion layers.

        Raises:
            AttnError: the layer's W^O is missing or has another shape.
        """
        spec = self.spec
        name = self._name(spec.output, spec.layers - 1)
        self.weights.check(f"{name}.weight", self._stored_shape(spec.width, spec.heads * spec.head_size))

    def attentions(self, inputs: Inputs, memory: Memory | None = None) -> Iterator[Attention]:
        """The self-attention of layers 0, 1, 2, ..., computed lazily."""
        return (block.attention for block in self.blocks(inputs, memory))

    def cross_attentions(self, inputs: Inputs, memory: Memory) -> Iterator[Attention]:
        """The cross-attention of a decoder's layers 0, 1, 2, ..., computed lazily."""
        return (block.cross_attention for block in self.blocks(inputs, memory))

    def hidden_states(self, inputs: Inputs, memory: Memory | None = None) -> Iterator[Array]:
        """(T, M) the input of each of the L layers, then the output of the last, after the final norm.

        Commands do not show them; tests compare them with those of transformers.
        """
        block: Block | None = None
        for block in self.blocks(inputs, memory):
            yield block.x
        assert block is not None, "a model has at least one layer"
        yield self._normalise(self.spec.final_norm, 0, block.leaving)

    def leaving(self, inputs: Inputs, memory: Memory | None = None) -> Array:
        """(T, M) the output of the last layer, before the final norm."""
        (last,) = deque(self.blocks(inputs, memory), maxlen=1)
        return last.leaving

    def memory(self, inputs: Inputs) -> Array:
        """(T, M) the output of an encoder's last layer, to which the decoder attends."""
        *_, last = self.hidden_states(inputs)
        return last

    def blocks(
        self,
        inputs: Inputs,
        memory: Memory | None = None,
        watched: Sequence[int] = (),
        cached: Cache | None = None,
    ) -> Iterator["Block"]:
        """The layers in order, run lazily; each keeps what its feed-forward block writes at `watched`.

        `cached` has the keys and values of the tokens before these; those of these are added to it.
        """
        x = self.embedded(inputs)
        opened = self.opened(inputs, x, memory, cached)
        for layer in range(self.spec.layers):
            block = opened.block(layer, x, watched)
            yield block
            if layer + 1 < self.spec.layers:
                x = block.leaving

    def opened(
        self, inputs: Inputs, x: Array, memory: Memory | None = None, cached: Cache | None = None
    ) -> "OpenText":
        """What all layers know of a text whose embeddings are `x` (T, M), which follows what is cached."""
        length = inputs.first + int(x.shape[-2])
        return OpenText(self, length, _mask(inputs, x), self._shared_bias(x), memory, cached)

    def embedded(self, inputs: Inputs) -> Array:
        """(T, M) the sum of the token, position and segment embeddings, normalised."""
        names = self.spec.embeddings
        x = reduce(operator.add, (term for _, term in self.embeddings(inputs)))
        x = self._normalise(names.norm, 0, x)
        projection = None if names.projects_tokens else self.embedding_projection()
        return x if projection is None else projection(x)

    def embeddings(self, inputs: Inputs) -> Iterator[tuple[ComponentType, Array]]:
        """(T, M) the token, position and segment embeddings of which the model has any, before their norm."""
        spec, names = self.spec, self.spec.embeddings
        x = self._read_rows(names.tokens, spec.vocabulary, names.width or spec.width, inputs.ids)
        if names.scale != 1.0:
            x = x * names.scale
        projection = self.embedding_projection() if names.projects_tokens else None
        if projection is not None:
            x = projection(x)
        yield ComponentType.EMBEDDING, x
        if names.positions is not None and spec.longest is not None:
            places = _places(names, inputs, x.shape[-2])
            rows = self._read_rows(names.positions, names.first + spec.longest, x.shape[-1], places)
            yield ComponentType.POSITION, rows
        if names.has_sinusoids:
            yield ComponentType.POSITION, _sinusoids(inputs, x)
        if names.segments is not None:
            rows = self._read_rows(names.segments, spec.segments, x.shape[-1], inputs.segments)
            yield ComponentType.SEGMENT, rows

    def embedding_projection(self) -> Linear | None:
        """What maps embeddings narrower than the model to its width; None if they are as wide."""
        width, part = self.spec.width, self.spec.embeddings.projection
        return None if part is None else self.linear(part, width, self.spec.embeddings.width or width)

    def keeping(self, name: str, layer: int, make: Callable[[], Any]) -> Callable[[], Any]:
        """What a layer is made of, read from the weights anew each time unless it is kept."""
        return make if self.kept is None else partial(self.once, (name, layer), make)

    def once(self, key: tuple[Hashable, ...], make: Callable[[], Any]) -> Any:
        """What `make` returns, or returned before if it is kept."""
        if self.kept is None:
            return make()
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]

    def _shared_bias(self, like: Array) -> Bias | None:
        """The position bias that all layers share: ALiBi's or T5's."""
        bias: Bias | None = self.once(("bias",), partial(self._read_bias, like))
        return bias

    def _read_bias(self, like: Array) -> Bias | None:
        spec = self.spec
        if spec.is_alibi:
            return alibi(spec.heads, like)
        if spec.relative is None:
            return None
        name = f"{spec.relative.table.name}.weight"
        buckets = spec.relative.buckets
        table = self.backend.convert(self.weights.read(name, (buckets.count, spec.heads)))
        return RelativeBias(table, buckets)

    def self_attention(self, layer: int, length: int, bias: Bias | None) -> MultiHeadAttention:
        """The layer's self-attention: W^Q, W^K, W^V, W^O and how they are used."""
        spec, parts = self.spec, self.spec.projections
        query, key, value = self._projections(parts, layer)
        return MultiHeadAttention(
            query=query,
            key=key,
            value=value,
            output=self.output_weights(layer),
            heads=spec.heads,
            kv_heads=spec.kv_heads,
            scale=spec.scale(layer),
            scale_name=spec.scale_name,
            mask=spec.mask(layer),
            bias=bias,
            softcap=spec.softcap,
            rotary=spec.rotary(layer, length),
            query_norm=self.norm(
                parts.query_norm,
                layer,
                spec.heads * spec.head_size if parts.is_norm_whole else spec.head_size,
            ),
            key_norm=self.norm(
                parts.key_norm,
                layer,
                spec.kv_heads * spec.head_size if parts.is_norm_whole else spec.head_size,
            ),
            is_norm_whole=parts.is_norm_whole,
            disentangled=self._content_bias(layer),
        )

    def _content_bias(self, layer: int) -> Disentangled | None:
        """The projected distance embeddings of the layer, for DeBERTa's bias."""
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
        assert scale is not None, "families with a content bias set the scale"
        return Disentangled(bias.distances, scale, projected(bias.keys), projected(bias.queries))

    def _cross_attention(self, cross: Cross, layer: int) -> MultiHeadAttention:
        """The layer's cross-attention, which has no position information."""
        spec = self.spec
        query, key, value = self._projections(cross.projections, layer)
        output = self.output_weights(layer, is_cross=True)
        return MultiHeadAttention(
            query,
            key,
            value,
            output,
            heads=spec.heads,
            kv_heads=spec.kv_heads,
            scale=spec.scale(layer),
            scale_name=spec.scale_name,
        )

    def output_weights(self, layer: int, *, is_cross: bool = False) -> Linear:
        """W^O of a layer's self-attention, or of its cross-attention."""
        spec, part = self.spec, self.spec.output
        if is_cross:
            assert spec.cross is not None, "the spec of a decoder has cross-attention"
            part = spec.cross.output
        return self._linear(part, layer, spec.width, spec.heads * spec.head_size)

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

    def add_attention(self, layer: int, attention: Attention, edit: "Edit | None" = None) -> Array:
        """(T, M) the residual stream after the layer's self-attention, whose contexts are edited before."""
        spec = self.spec
        added = self._scale_result(spec.attention_result_norm, layer, _apply_output_weights(attention, edit))
        summed = attention.stream + added
        return summed if spec.is_pre_norm else self._normalise(spec.attention_norm, layer, summed)

    def cross_attention(self, layer: int, x: Array, memory: Memory, cached: Cache | None = None) -> Attention:
        """The cross-attention of a decoder layer; `x` (T, M) is the stream after its self-attention."""
        spec, cross = self.spec, self.spec.cross
        assert cross is not None, "the spec of a decoder has cross-attention"
        norm = self.norm(cross.norm, layer, x.shape[-1]) if spec.is_pre_norm else None
        opens = self.keeping("cross", layer, partial(self._cross_attention, cross, layer))
        past = None if cached is None else cached.of_memory[layer]
        attention: Attention = opens().attention(x if norm is None else norm(x), memory(), past=past)
        return replace(
            attention,
            stream=x,
            input_norm=norm,
            opens=cache(opens) if cached is None else None,
            rest=None if cached is not None else partial(_rest_after_cross, self, layer),
        )

    def add_cross_attention(
        self, layer: int, cross_attention: Attention, edit: "Edit | None" = None
    ) -> Array:
        """(T, M) the residual stream after the layer's cross-attention, edited likewise."""
        spec, cross = self.spec, self.spec.cross
        assert cross is not None, "the spec of a decoder has cross-attention"
        summed = cross_attention.stream + _apply_output_weights(cross_attention, edit)
        return summed if spec.is_pre_norm else self._normalise(cross.norm, layer, summed)

    def feed_forward(self, layer: int, x: Array, before: Array) -> Array:
        """(T, M) what the feed-forward block writes; `x` (T, M) is the stream after the layer's attention.

        In a parallel layer it reads the layer's input, `before` (T, M).
        """
        spec = self.spec
        entering = before if spec.is_parallel else x
        if spec.is_parallel or spec.is_pre_norm:
            entering = self._normalise(spec.feed_forward_norm, layer, entering)
        return self._feed_forward(layer, entering)

    def add_feed_forward(self, layer: int, x: Array, written: Array) -> Array:
        """(T, M) the layer's output: the stream after its attention, plus what its feed-forward wrote."""
        spec, norm = self.spec, self.spec.feed_forward_norm
        if spec.is_pre_norm:
            return (self._normalise(norm, layer, x) if spec.residual_is_normed else x) + written
        return self._normalise(norm, layer, x + written)

    def _feed_forward(self, layer: int, x: Array) -> Array:
        """(T, M) what the feed-forward block adds to the residual stream."""
        parts, width = self.spec.feed_forward, self.spec.width
        inner = self.keeping("inner", layer, partial(self._expand, layer))()
        if parts.is_down_float32 and self.backend.dtype is DType.FLOAT16:
            result = self._in_float32(inner(x), layer)
        else:
            down = self.keeping("down", layer, partial(self._linear, parts.down, layer, width, parts.size))()
            result = row_by_row(lambda rows: down(inner(rows)), x)
        return self._scale_result(self.spec.feed_forward_result_norm, layer, result)

    def _in_float32(self, inner: Array, layer: int) -> Array:
        """(T, M) the block's last product in float32, as in T5 of transformers (`_keep_in_fp32_modules`)."""
        parts = self.spec.feed_forward
        exact = replace(self, backend=torch_backend(self.backend.device, DType.FLOAT32))
        read = partial(exact._linear, parts.down, layer, self.spec.width, parts.size)  # noqa: SLF001  this class
        down = self.keeping("down", layer, read)()
        return down(at_least_float32(inner))

    def _scale_result(self, norm: Part | None, layer: int, result: Array) -> Array:
        """(T, M) a sublayer's output, normalised and scaled as the family does before adding it."""
        result = self._normalise(norm, layer, result)
        return result if self.spec.residual_scale == 1.0 else result * self.spec.residual_scale

    def _expand(self, layer: int) -> Callable[[Array], Array]:
        """The feed-forward block before W_down, from (T, M) to (T, size)."""
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
        """`x` normalised, or unchanged if the layer has no such norm."""
        norm = self.norm(part, layer, x.shape[-1])
        return x if norm is None else norm(x)

    def norm(self, part: Part | None, layer: int, width: int) -> LayerNorm | RmsNorm | None:
        """A layer's norm over vectors of this width; None if there is none."""
        if part is None or layer < part.since:
            return None
        norm: LayerNorm | RmsNorm = self.once(
            ("norm", part.name, layer, width), partial(self._read_norm, part, layer, width)
        )
        return norm

    def _read_norm(self, part: Part, layer: int, width: int) -> LayerNorm | RmsNorm:
        spec, name = self.spec, self._name(part, layer)
        gain = self.backend.convert(self.weights.read(f"{name}.weight", (width,)))
        if spec.gain_offset:
            gain = gain + spec.gain_offset
        if spec.norm is Norm.RMS:
            return RmsNorm(gain, spec.epsilon)
        stored = self.weights.read(f"{name}.bias", (width,)) if part.has_bias else None
        return LayerNorm(gain, None if stored is None else self.backend.convert(stored), spec.epsilon)

    def linear(self, part: Part, rows: int, columns: int) -> Linear:
        """A linear layer that belongs to none of the layers, from `columns` to `rows` features."""
        linear: Linear = self.once(("linear", part.name), partial(self._linear, part, 0, rows, columns))
        return linear

    def _linear(self, part: Part | None, layer: int, rows: int, columns: int) -> Linear:
        assert part is not None, "a spec names every part that is used"
        name = self._name(part, layer)
        stored = self.weights.read(f"{name}.weight", self._stored_shape(rows, columns))
        weight = self.backend.convert(stored.T if self.spec.is_transposed else stored)
        bias = self.backend.convert(self.weights.read(f"{name}.bias", (rows,))) if part.has_bias else None
        full_name = self.weights.stored(f"{name}.weight").removesuffix(".weight")
        return Linear(weight, bias, full_name, is_transposed=self.spec.is_transposed)

    def _name(self, part: Part, layer: int) -> str:
        return part.name.format(**self.spec.numbers(layer))

    def _stored_shape(self, rows: int, columns: int) -> tuple[int, int]:
        """The shape of a linear layer's weight in the file."""
        return (columns, rows) if self.spec.is_transposed else (rows, columns)

    def _read_rows(self, name: str, count: int, width: int, indices: Sequence[int] | Array) -> Array:
        return self.backend.convert(self.weights.rows(f"{name}.weight", (count, width), indices))


Edit: TypeAlias = Callable[[Array], Array]
"""Maps the contexts (..., H, T, D) of a layer's heads to those that meet W^O."""

Watch: TypeAlias = Callable[[Attention], Attention]
"""Maps the attention of a layer to the one that runs in its place."""


@record(frozen=True, slots=True)
class Changes:
    """What is changed in one layer; leading axes of its input are variants of the text's run."""

    self_attention: Edit | None = None
    cross_attention: Edit | None = None
    watch: Watch | None = None


_UNCHANGED = Changes()


@record(frozen=True, slots=True, eq=False)
class OpenText:
    """What all layers of a model know of a text: its mask, its position bias, the encoder's output."""

    transformer: Transformer
    length: int  # the number of tokens, with those that are cached
    mask: Rule
    bias: Bias | None
    memory: Memory | None
    cached: Cache | None = None  # None: no token was read before

    def block(
        self, layer: int, x: Array, watched: Sequence[int] = (), changes: "Changes | None" = None
    ) -> "Block":
        """A layer that reads `x` (..., T, M); it runs lazily."""
        model, spec = self.transformer, self.transformer.spec
        norm = model.norm(spec.attention_norm, layer, x.shape[-1]) if spec.is_pre_norm else None
        entering = x if norm is None else norm(x)
        opens = model.keeping("self", layer, partial(model.self_attention, layer, self.length, self.bias))
        past = None if self.cached is None else self.cached.own[layer]
        attention = replace(
            opens().attention(entering, mask=self.mask, past=past),
            stream=entering if spec.residual_is_normed else x,
            is_result_changed=spec.attention_result_norm is not None or spec.residual_scale != 1.0,
            input_norm=None if spec.residual_is_normed else norm,
            opens=cache(opens) if past is None else None,
            rest=None if past is not None else partial(_rest, model, layer, x, self.memory),
        )
        changes = changes or _UNCHANGED
        shown = attention if changes.watch is None else changes.watch(attention)
        return Block(model, layer, x, shown, self.memory, watched, changes, self.cached)


@record(frozen=True, eq=False)
class Block:
    """One running layer; each part is computed once, when it is first needed."""

    transformer: Transformer
    layer: int
    x: Array  # (T, M) the layer's input
    attention: Attention
    memory: Memory | None
    watched: Sequence[int] = ()  # P positions whose parts of the stream are wanted
    changes: Changes = _UNCHANGED
    cached: Cache | None = None  # None: no token was read before

    @cached_property
    def after_attention(self) -> Array:
        """(T, M) the stream after the layer's self-attention."""
        return self.transformer.add_attention(self.layer, self.attention, self.changes.self_attention)

    @cached_property
    def cross_attention(self) -> Attention:
        """The layer's cross-attention."""
        assert self.memory is not None, "a decoder is run with the encoder's output"
        attention = self.transformer.cross_attention(
            self.layer, self.after_attention, self.memory, self.cached
        )
        return attention if self.changes.watch is None else self.changes.watch(attention)

    @cached_property
    def after_cross_attention(self) -> Array:
        """(T, M) the stream after the layer's cross-attention, if it has one."""
        if self.transformer.spec.cross is None:
            return self.after_attention
        changed = self.changes.cross_attention
        return self.transformer.add_cross_attention(self.layer, self.cross_attention, changed)

    @property
    def leaving(self) -> Array:
        """(T, M) the layer's output."""
        return self._left[0]

    @property
    def fed_forward(self) -> Array:
        """(P, M) what the feed-forward block writes at the watched positions."""
        assert self._left[1] is not None, "called only where positions are watched"
        return self._left[1]

    @cached_property
    def _left(self) -> tuple[Array, Array | None]:
        x = self.after_cross_attention
        written = self.transformer.feed_forward(self.layer, x, self.x)
        leaving = self.transformer.add_feed_forward(self.layer, x, written)
        return leaving, _copied(written, self.watched)


def _copied(x: Array, rows: Sequence[int]) -> Array | None:
    """(P, M) these rows of `x` (T, M), which need not be kept for them; None: no rows."""
    return namespace(x).asarray(taken(x, rows, -2), copy=True) if rows else None


def _apply_output_weights(attention: Attention, edit: Edit | None) -> Array:
    """(T, M) the output of an attention: the one place where the heads' contexts (H, T, D) meet W^O.

    Every attention of every family passes through here, cross-attention included.
    """
    contexts = attention.contexts()
    return attention.projected(contexts if edit is None else edit(contexts))


def _rest(
    model: Transformer, layer: int, x: Array, memory: Memory | None, attention: Attention, edit: Edit
) -> Array:
    """(..., T, M) the layer's output with other contexts, at some rows of its self-attention.

    The layer reads `x` (T, M).
    """
    entering = x if attention.rows is None else taken(x, attention.rows, -2)
    return Block(model, layer, entering, attention, memory, changes=Changes(edit)).leaving


def _rest_after_cross(model: Transformer, layer: int, attention: Attention, edit: Edit) -> Array:
    """(..., T, M) the same of its cross-attention."""
    x = model.add_cross_attention(layer, attention, edit)
    return model.add_feed_forward(layer, x, model.feed_forward(layer, x, x))


def _apply_gate(activation: Callable[[Array], Array], both: Array, size: int) -> Array:
    """(T, size) the second half of `both` (T, 2 size), gated by the first."""
    return activation(both[..., :size]) * both[..., size:]


def _sinusoids(inputs: Inputs, like: Array) -> Array:
    """(T, M) the sinusoidal position embeddings, in the dtype of `like`."""
    xp = namespace(like)
    places = positions(like.shape[-2], like) + inputs.first
    return xp.astype(sinusoids(places, like.shape[-1]), like.dtype, copy=False)


def _places(names: Embeddings, inputs: Inputs, length: int) -> Sequence[int]:
    """(T,) the row of each token's position embedding; without a position, the row before the first."""
    if names.padding is not None and names.padding in (*inputs.before, *inputs.ids):
        takes = [id_ != names.padding for id_ in (*inputs.before, *inputs.ids)]
    elif names.skips_padding and inputs.real is not None:
        takes = list(inputs.real)
    else:
        return range(names.first + inputs.first, names.first + inputs.first + length)
    before = names.first - 1
    places = [before + count * taken for count, taken in zip(accumulate(takes), takes, strict=True)]
    return places[-length:]


def _mask(inputs: Inputs, like: Array) -> Rule:
    """The mask that hides padding, on the device of `like`."""
    if inputs.real is None:
        return everywhere
    return padding(namespace(like).asarray(list(inputs.real), device=device_of(like)))


def find_activation(name: str) -> Callable[[Array], Array]:
    """The activation function named in a config.

    Raises:
        AttnError: the name is unknown.
    """
    if name not in ACTIVATIONS:
        problem = f"unknown activation '{name}'"
        raise AttnError(problem, f"use a model with one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
