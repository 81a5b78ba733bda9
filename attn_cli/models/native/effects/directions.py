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
        self.check_linear()
        vectors = self._vectors([token] if against is None else [token, against])
        other = self._mean if against is None else vectors[1]
        of_other = self._biases.mean() if against is None else self._biases[against]
        vector, constant = vectors[0] - other, float(self._biases[token] - of_other)
        if self._transform is not None and self._transform.bias is not None:
            constant += float(vector @ exact(self._transform.bias))
        return Direction(self._before_transform(vector), constant)

    def less_mean(self, tokens: Sequence[int]) -> Exact:
        """(R, M) the vectors of the directions of these logits, each less the mean of the vocabulary.

        Raises:
            AttnError: the head is not linear.
        """
        self.check_linear()
        different, places = np.unique(np.asarray(tokens, np.int64), return_inverse=True)
        return self._before_transform(self._vectors(different.tolist()) - self._mean)[places]

    def check_linear(self) -> None:
        """Check that logits are a sum of what is read of the stream.

        Raises:
            AttnError: the head is not linear.
        """
        known = self.head.known.head
        if known.activation is not None or known.norm is not None:
            problem = "what components write does not add up to its logits: its head has a layer of its own"
            raise AttnError(f"{problem}, with an activation and a norm", "--ablate zero, which needs no sum")

    def _before_transform(self, vectors: Exact) -> Exact:
        """(..., M) the directions of the stream, from those (..., width) of what meets the matrix."""
        transform = self._transform
        return vectors if transform is None else vectors @ exact(transform.weight)

    def _vectors(self, tokens: Sequence[int]) -> Exact:
        """(R, width) the rows of the matrix that make the logits of these tokens."""
        (rows,) = (exact(rows) for rows in self._rows([tokens]))
        return rows * self._scale

    @cached_property
    def _mean(self) -> Exact:
        """(width,) the mean of these vectors over the vocabulary, kept between texts if weights are."""
        mean: Exact = self.head.model.once(("mean of the vocabulary",), self._mean_vector)
        return mean

    def _mean_vector(self) -> Exact:
        count, width = self.head.vocabulary, self._width
        step = max(1, _BLOCK // width)
        blocks = [range(start, min(start + step, count)) for start in range(0, count, step)]
        total = np.zeros(width)
        for rows in self._rows(blocks):
            ones = namespace(rows).ones((1, rows.shape[0]), dtype=rows.dtype, device=device_of(rows))
            total += exact(ones @ rows)[0]
        return total / count * self._scale

    def _rows(self, blocks: Sequence[Sequence[int]]) -> Iterator[Array]:
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
