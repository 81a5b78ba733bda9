"""Vectors as sums of what each component of a model wrote into them: the residual stream, and what it feeds.

A linear map takes each part for itself. A norm is linear once its statistics are taken from the whole vector
and held fixed ("frozen"): LayerNorm subtracts the mean of each part, divides by the whole's deviation and
applies its gain; its shift belongs to no part. Elhage et al. 2021, "A mathematical framework for transformer
circuits". N components, P positions, M features; float64 in NumPy, whatever computed them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from attn_cli.core.arrays import Array, Exact, exact
from attn_cli.core.layers import LayerNorm, RmsNorm
from attn_cli.core.multihead import Attention, Linear
from attn_cli.record import record
from attn_cli.vocabulary import ComponentType, Kind


@record(frozen=True, slots=True)
class Component:
    """One writer: a head of a layer for example."""

    type: ComponentType
    kind: Kind  # of its attention, or of its side of the model: cross for the heads of cross-attention
    layer: int | None = None  # None: before the first layer, or of no layer
    head: int | None = None


@record(frozen=True, slots=True, eq=False)
class Decomposition:
    """P vectors, each as the sum of N parts and a constant.

    `whole` is what ran, `total` what the parts add up to; `remainder` is their difference: rounding.
    """

    components: tuple[Component, ...]
    parts: Exact  # (N, P, M)
    constant: Exact  # (P, M)
    whole: Exact  # (P, M)

    @property
    def total(self) -> Exact:
        """(P, M) the sum of the parts and the constant."""
        total: Exact = self.parts.sum(axis=0) + self.constant
        return total

    @property
    def remainder(self) -> Exact:
        """(P, M) what rounding leaves: the vectors as computed less the sum of the parts."""
        return self.whole - self.total

    def at(self, indices: Sequence[int]) -> "Decomposition":
        """The vectors with these indices, in this order."""
        chosen = list(indices)
        return self._through(lambda x: x[..., chosen, :], self.whole[chosen])

    def features(self, chosen: slice) -> "Decomposition":
        """The same vectors with only some of their features."""
        return self._through(lambda x: x[..., chosen], self.whole[..., chosen])

    def scaled(self, factor: float) -> "Decomposition":
        """The vectors times a number."""
        return self._through(lambda x: x * factor, self.whole * factor)

    def through(self, linear: Linear) -> "Decomposition":
        """The vectors through a linear layer, whose bias is constant."""
        weight = exact(linear.weight)
        mapped = self._through(lambda x: x @ weight.T, self.whole @ weight.T)
        return mapped if linear.bias is None else mapped.shifted(exact(linear.bias))

    def normed(self, norm: "LayerNorm | RmsNorm | None") -> "Decomposition":
        """The vectors through a norm whose statistics, those of `whole`, are held fixed."""
        if norm is None:
            return self
        statistics = norm.statistics(self.whole)
        gain, is_centred = exact(norm.gain), statistics.mean is not None

        def frozen(x: Exact) -> Exact:
            centred = x - x.mean(axis=-1, keepdims=True) if is_centred else x
            scaled: Exact = centred / statistics.divisor * gain
            return scaled

        scaled = self._through(frozen, frozen(self.whole))
        shift = norm.shift if isinstance(norm, LayerNorm) else None
        return scaled if shift is None else scaled.shifted(exact(shift))

    def shifted(self, by: Exact) -> "Decomposition":
        """The vectors plus a constant (M,), or (P, M)."""
        return replace(self, constant=self.constant + by, whole=self.whole + by)

    def turned(self, turn: Callable[[Exact], Exact]) -> "Decomposition":
        """The vectors after a linear `turn`, which maps (..., P, M) to the same shape."""
        return self._through(turn, turn(self.whole))

    def plus(self, other: "Decomposition") -> "Decomposition":
        """The sum of both, with the components of both."""
        return Decomposition(
            self.components + other.components,
            np.concatenate([self.parts, other.parts]),
            self.constant + other.constant,
            self.whole + other.whole,
        )

    def as_computed(self, whole: Array) -> "Decomposition":
        """The same parts, of the vectors (P, M) that were computed: their sum differs by rounding."""
        return replace(self, whole=exact(whole))

    def _through(self, linear: Callable[[Exact], Exact], whole: Exact) -> "Decomposition":
        return replace(self, parts=linear(self.parts), constant=linear(self.constant), whole=whole)


@record(frozen=True, slots=True, eq=False)
class DecomposedInput:
    """An attention layer, and what its projections read at a few positions, in parts."""

    attention: Attention
    queries: Decomposition  # (N, P, M) what W^Q reads, after the layer's norm, at the queries asked for
    keys: Decomposition  # (N, P, M) what W^K and W^V read, at the keys asked for


def written(components: Sequence[Component], parts: Sequence[Array]) -> Decomposition:
    """What these components wrote, each part (P, M)."""
    values = np.stack([exact(part) for part in parts])
    return Decomposition(tuple(components), values, np.zeros(values.shape[1:]), values.sum(axis=0))


def pulled_back(direction: Exact, norm: "LayerNorm | RmsNorm | None", whole: Exact) -> Exact:
    """The direction (..., M) in which vectors `whole` (..., M) are read: in `direction`, but after a norm.

    The adjoint of the norm, its statistics held fixed: frozen(x) · direction = x · pulled_back(direction).
    """
    return undivided(direction, norm) / divisor_of(norm, whole)


def undivided(direction: Exact, norm: "LayerNorm | RmsNorm | None") -> Exact:
    """The same direction (..., M), but for the divisors of the vectors, which need not be known."""
    if norm is None:
        return direction
    scaled: Exact = direction * exact(norm.gain)
    return scaled - scaled.mean(axis=-1, keepdims=True) if isinstance(norm, LayerNorm) else scaled


def divisor_of(norm: "LayerNorm | RmsNorm | None", whole: Exact) -> Exact:
    """(..., 1) what a norm divides the vectors `whole` (..., M) by; without a norm that is 1."""
    return np.ones((*whole.shape[:-1], 1)) if norm is None else exact(norm.statistics(whole).divisor)
