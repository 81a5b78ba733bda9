"""What a model expects: the logits of its own language head, at the rows that are asked for.

The layers run once. The matrix of the head, the largest of a model, is read in blocks of its rows.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from attn_cli.core.arrays import Array, Floats, at_least_float32, namespace, taken, to_numpy
from attn_cli.models.native.language_head.known_head import KnownHead
from attn_cli.models.native.transformer import Transformer, find_activation
from attn_cli.record import record

_BLOCK = 1 << 24  # numbers of the head's matrix in memory at once: 64 MB


@record(frozen=True, slots=True, eq=False)
class NativeHead:
    """A model's language head, with the final norm before it."""

    model: Transformer
    known: KnownHead

    @property
    def vocabulary(self) -> int:
        """V, the number of tokens, with those that only fill up the matrix."""
        return self.model.spec.vocabulary

    def logits(self, x: Array) -> Array:
        """(..., R, V) the logits of vectors (..., R, M) that leave the last layer, in float32 or float64."""
        norm = self.model.norm(self.model.spec.final_norm, 0, self.model.spec.width)
        logits, head = self._product(self._transformed(x if norm is None else norm(x))), self.known.head
        if head.scale != 1.0:
            logits = logits * head.scale
        for bias in self.biases():
            logits = logits + bias
        if head.softcap is not None:
            logits = namespace(logits).tanh(logits / head.softcap) * head.softcap
        return logits

    def _transformed(self, x: Array) -> Array:
        """(..., R, width) what the head's matrix reads."""
        spec, head = self.model.spec, self.known.head
        model, width = replace(self.model, weights=self.known.weights), head.width or spec.width
        if head.transform is not None:
            x = model.linear(head.transform, width, spec.width)(x)
        if head.activation is not None:
            x = find_activation(head.activation)(x)
        norm = model.norm(head.norm, 0, width)
        return x if norm is None else norm(x)

    def _product(self, x: Array) -> Array:
        """(..., R, V) the products with the rows of the matrix, in float32 or float64."""
        x = at_least_float32(x)
        xp, width = namespace(x), x.shape[-1]
        name, shape = f"{self.known.matrix}.weight", (self.vocabulary, width)
        step = max(1, _BLOCK // width)
        blocks = [range(start, min(start + step, shape[0])) for start in range(0, shape[0], step)]
        products = [
            xp.matmul(x, self._converted((name, rows), partial(self.known.weights.rows, name, shape, rows)).T)
            for rows in blocks
        ]
        return products[0] if len(products) == 1 else xp.concat(products, axis=-1)

    def biases(self) -> Iterator[Array]:
        """The biases of the logits, (V,) or (1, V)."""
        weights, count = self.known.weights, self.vocabulary
        if self.known.bias is not None:
            yield self._converted((self.known.bias,), partial(weights.read, self.known.bias, (count,)))
        added = self.known.head.added_bias
        if added is not None and weights.has(added):
            yield self._converted((added,), partial(weights.read, added, (1, count)))

    def _converted(self, key: tuple[Hashable, ...], read: Callable[[], Floats]) -> Array:
        """The numbers on the model's device, rounded to its number format, in float32 or better."""
        return self.model.once(("head", *key), lambda: at_least_float32(self.model.backend.convert(read())))


@record(frozen=True, slots=True, eq=False)
class NativePredictor:
    """The output of the last layer of one text, and the head that turns it into logits."""

    head: NativeHead
    leaving: Callable[[], Array]  # (T, M) the output before the final norm, computed once

    @property
    def is_next(self) -> bool:
        """Whether a row is about the token that follows, and not about the one in its own place."""
        return self.head.model.spec.is_causal

    @property
    def vocabulary(self) -> int:
        """V, the number of tokens, with those that only fill up the matrix."""
        return self.head.vocabulary

    def logits(self, rows: Sequence[int]) -> Floats:
        """(R, V) the logits of these rows, in float32 or float64."""
        return to_numpy(self.head.logits(taken(self.leaving(), rows, -2)))
