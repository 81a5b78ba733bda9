"""What a language head reads: for a token's logit, a direction of the normed stream, and a constant."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from attn_cli.core.arrays import Array, Exact, at_least_float32, device_of, exact, namespace
from attn_cli.core.multihead import Linear
from attn_cli.errors import AttnError
from attn_cli.models.native.language_head.prediction import NativeHead
from attn_cli.record import record

_BLOCK = 1 << 22  # numbers of the head's matrix at once in float64: 32 MB


@record(frozen=True, slots=True, eq=False)
class Direction:
    """A logit, or a difference of logits, of the stream after the final norm: x · vector + constant."""

    vector: Exact  # (M,)
    constant: float


@record(frozen=True, eq=False)
class Directions:
    """The directions that a linear language head reads, before its soft cap; V tokens, M features."""

    head: NativeHead

    def of(self, token: int, against: int | None) -> Direction:
        """A token's logit less that of another, or less the mean of the vocabulary if that is None.

        Raises:
            AttnError: the head is not linear.
        """
        self._check_linear()
        row, bias = self._row(token)
        other, of_other = self._mean if against is None else self._row(against)
        vector, constant = row - other, bias - of_other
        transform = self._transform
        if transform is None:
            return Direction(vector, constant)
        if transform.bias is not None:
            constant += float(vector @ exact(transform.bias))
        return Direction(vector @ exact(transform.weight), constant)

    def _check_linear(self) -> None:
        known = self.head.known.head
        if known.activation is not None or known.norm is not None:
            problem = "what components write does not add up to its logits: its head has a layer of its own"
            raise AttnError(f"{problem}, with an activation and a norm", "--ablate zero, which needs no sum")

    def _row(self, token: int) -> tuple[Exact, float]:
        (row,) = (exact(rows) for rows in self._rows([range(token, token + 1)]))
        return row[0] * self._scale, float(self._biases[token])

    @cached_property
    def _mean(self) -> tuple[Exact, float]:
        """The mean of the matrix and of the biases over the vocabulary."""
        count, width = self.head.vocabulary, self._width
        step = max(1, _BLOCK // width)
        blocks = [range(start, min(start + step, count)) for start in range(0, count, step)]
        total = np.zeros(width)
        for rows in self._rows(blocks):
            ones = namespace(rows).ones((1, rows.shape[0]), dtype=rows.dtype, device=device_of(rows))
            total += exact(ones @ rows)[0]
        return total / count * self._scale, float(self._biases.mean())

    def _rows(self, blocks: Sequence[range]) -> Iterator[Array]:
        """(R, width) blocks of rows of the matrix, rounded as the model computes with them."""
        known, shape = self.head.known, (self.head.vocabulary, self._width)
        for rows in blocks:
            read = known.weights.rows(f"{known.matrix}.weight", shape, rows)
            yield at_least_float32(self.head.model.backend.convert(read))

    @cached_property
    def _biases(self) -> Exact:
        """(V,) what is added to each logit."""
        total = np.zeros(self.head.vocabulary)
        for bias in self.head.biases():
            total = total + exact(bias).reshape(-1)
        return total

    @property
    def _width(self) -> int:
        return self.head.known.head.width or self.head.model.spec.width

    @property
    def _scale(self) -> float:
        return float(self.head.known.head.scale)

    @cached_property
    def _transform(self) -> Linear | None:
        known, spec = self.head.known, self.head.model.spec
        if known.head.transform is None:
            return None
        model = replace(self.head.model, weights=known.weights)
        return model.linear(known.head.transform, self._width, spec.width)
