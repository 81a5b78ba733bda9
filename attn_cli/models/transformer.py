"""A transformer over a checkpoint, layer by layer: a layer's weights are read when it runs.

It stops where its reader stops: whoever asks for layer 2 never touches layer 3, nor the feed-forward
part of layer 2.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from attn_cli.core.arrays import Array, device_of, namespace
from attn_cli.core.layers import ACTIVATIONS, layer_norm, rms_norm
from attn_cli.core.masks import Rule, everywhere, padding
from attn_cli.core.module import Attention, Linear, MultiHeadAttention, fused
from attn_cli.errors import AttnError
from attn_cli.models.library import Library
from attn_cli.models.spec import Norm, Part, Spec


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a model reads: T token ids, which text each belongs to, and which are no padding."""

    ids: Sequence[int] | Array  # an array (B, T) is a batch of texts, for weights that are arrays too
    segments: Sequence[int]
    real: Sequence[bool] | None = None  # None: all are
    first: int = 0  # the position of the first token: a model that trains on short rows sees every one


class Tensors(Protocol):
    """Where weights come from: a file (`models.files.Weights`), or parameters that learn."""

    def read(self, name: str, shape: tuple[int, ...]) -> Array:
        """The tensor; raises `AttnError` unless it is there in this shape."""

    def rows(self, name: str, shape: tuple[int, int], indices: Any) -> Array:
        """(T, M) only those rows of a matrix."""

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise `AttnError` unless the tensor is there."""


@dataclass(frozen=True, slots=True)
class Transformer:
    """The blocks that a `Spec` describes, with the weights of a file or of a training run."""

    spec: Spec
    weights: Tensors
    library: Library

    def check(self) -> None:
        """Raise `AttnError` unless the file holds the last layer: a config may claim a billion.

        Raises:
            AttnError: it does not, or in another shape.
        """
        spec = self.spec
        name = spec.output.name.format(layer=spec.layers - 1)
        self.weights.check(f"{name}.weight", self._stored(spec.width, spec.heads * spec.head_size))

    def attentions(self, inputs: Inputs) -> Iterator[Attention]:
        """The attention of layer 0, 1, 2, ..., each computed when it is asked for."""
        return (attention for _, attention in self._walk(inputs))

    def hidden_states(self, inputs: Inputs) -> Iterator[Array]:
        """(T, M) what enters each layer, L times; then what leaves the last, after the final norm.

        No command shows them: they are what the tests compare with Hugging Face's.
        """
        layer, x, attention = 0, None, None
        for layer, (x, attention) in enumerate(self._walk(inputs)):  # noqa: B007  the last is used below
            yield x
        assert attention is not None, "a model has a layer"
        last = self._after(layer, x, attention.result())
        yield last if self.spec.final_norm is None else self._normed(self.spec.final_norm, 0, last)

    def _walk(self, inputs: Inputs) -> Iterator[tuple[Array, Attention]]:
        """What enters each layer, and its attention."""
        x = self._embedded(inputs)
        mask = _mask(inputs, x)
        for layer in range(self.spec.layers):
            entering = self._normed(self.spec.attention_norm, layer, x) if self.spec.is_pre_norm else x
            attention = self._attention(layer, x.shape[-2]).attention(entering, mask=mask)
            yield x, attention
            if layer + 1 < self.spec.layers:
                x = self._after(layer, x, attention.result())

    def _embedded(self, inputs: Inputs) -> Array:
        """(T, M) the sum of the tokens', positions' and segments' vectors."""
        spec, names = self.spec, self.spec.embeddings
        x = self._rows(names.tokens, spec.vocabulary, inputs.ids)
        if names.positions is not None and spec.longest is not None:
            x = x + self._rows(names.positions, spec.longest, range(inputs.first, inputs.first + x.shape[-2]))
        if names.segments is not None:
            x = x + self._rows(names.segments, spec.segments, inputs.segments)
        return x if names.norm is None else self._normed(names.norm, 0, x)

    def _attention(self, layer: int, length: int) -> MultiHeadAttention:
        """W^Q, W^K, W^V and W^O of the layer."""
        spec = self.spec
        query, key, value = self._projections(layer)
        return MultiHeadAttention(
            query=query,
            key=key,
            value=value,
            output=self._linear(spec.output, layer, spec.width, spec.heads * spec.head_size),
            heads=spec.heads,
            kv_heads=spec.kv_heads,
            scale=spec.scale(layer),
            mask=spec.mask,
            rotary=spec.rotary(length),
        )

    def _projections(self, layer: int) -> tuple[Linear, Linear, Linear]:
        spec, parts = self.spec, self.spec.projections
        rows, shared = spec.heads * spec.head_size, spec.kv_heads * spec.head_size
        if parts.fused is not None:
            whole = self._linear(parts.fused, layer, rows + 2 * shared, spec.width)
            return fused(whole, spec.heads, spec.kv_heads, interleaved=parts.is_interleaved)
        return (
            self._linear(parts.query, layer, rows, spec.width),
            self._linear(parts.key, layer, shared, spec.width),
            self._linear(parts.value, layer, shared, spec.width),
        )

    def _after(self, layer: int, x: Array, attended: Array) -> Array:
        """(T, M) what leaves the layer: the residual stream, and the feed-forward part of it."""
        spec = self.spec
        if spec.is_pre_norm:
            x = x + attended
            return x + self._fed_forward(layer, self._normed(spec.feed_forward_norm, layer, x))
        x = self._normed(spec.attention_norm, layer, x + attended)
        return self._normed(spec.feed_forward_norm, layer, x + self._fed_forward(layer, x))

    def _fed_forward(self, layer: int, x: Array) -> Array:
        parts, width = self.spec.feed_forward, self.spec.width
        activation = activation_named(parts.activation)
        inner = self._linear(parts.up, layer, parts.size, width)(x)
        if parts.gate is None:
            inner = activation(inner)
        else:
            inner = activation(self._linear(parts.gate, layer, parts.size, width)(x)) * inner
        return self._linear(parts.down, layer, width, parts.size)(inner)

    def _normed(self, part: Part, layer: int, x: Array) -> Array:
        name, width, epsilon = part.name.format(layer=layer), self.spec.width, self.spec.epsilon
        gain = self.library.adopt(self.weights.read(f"{name}.weight", (width,)))
        if self.spec.norm is Norm.RMS:
            return rms_norm(x, gain, epsilon)
        shift = self.library.adopt(self.weights.read(f"{name}.bias", (width,))) if part.has_bias else None
        return layer_norm(x, gain, shift, epsilon)

    def _linear(self, part: Part | None, layer: int, rows: int, columns: int) -> Linear:
        assert part is not None, "a family names its parts"
        name = part.name.format(layer=layer)
        stored = self.weights.read(f"{name}.weight", self._stored(rows, columns))
        weight = self.library.adopt(stored.T if self.spec.is_transposed else stored)
        bias = self.library.adopt(self.weights.read(f"{name}.bias", (rows,))) if part.has_bias else None
        return Linear(weight, bias)

    def _stored(self, rows: int, columns: int) -> tuple[int, int]:
        """The shape of a linear map's weight as the file has it."""
        return (columns, rows) if self.spec.is_transposed else (rows, columns)

    def _rows(self, name: str, count: int, indices: Sequence[int] | Array) -> Array:
        return self.library.adopt(self.weights.rows(f"{name}.weight", (count, self.spec.width), indices))


def _mask(inputs: Inputs, like: Array) -> Rule:
    """The rule that hides padding, on the device of `like`."""
    if inputs.real is None:
        return everywhere
    return padding(namespace(like).asarray(list(inputs.real), device=device_of(like)))


def activation_named(name: str) -> Callable[[Array], Array]:
    """The activation that a config names.

    Raises:
        AttnError: we have none of this name.
    """
    if name not in ACTIVATIONS:
        problem = f"the activation '{name}' is not known"
        raise AttnError(problem, f"use a model with one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
