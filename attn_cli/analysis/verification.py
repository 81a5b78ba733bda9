"""Compares our numbers with the reference model's: the largest difference of weights and outputs by layer."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from attn_cli.core.arrays import Array
from attn_cli.record import record
from attn_cli.vocabulary import DType, Kind

# Float32 rounds in any model: sums of a few hundred products in another order differ by 1e-6.
_LEAST = 1e-5
_ROUNDINGS = 10.0  # times the reference's rounding error: ours is as large, and the order of sums differs
_ROUNDINGS_OF_HALF = 4.0  # in half precision every step rounds, not only the sums
_MOST = 1e-2  # in float32: a less accurate reference proves nothing
_MOST_OF_HALF = 0.5  # the same in half precision; weights are from 0 to 1


@record(frozen=True, slots=True)
class Difference:
    """The difference between one layer and the reference model's."""

    kind: Kind
    layer: int
    weights: float  # the largest difference of any weight, 0 to 1
    output: float | None  # the largest of the layer's output, relative to its largest value; None: unknown

    @property
    def largest(self) -> float:
        """The larger of the two; NaN if either is NaN."""
        return float(np.max([self.weights, 0.0 if self.output is None else self.output]))


@record(frozen=True, slots=True)
class Tolerance:
    """The largest allowed difference, and the reason for it."""

    value: float
    reason: str


@record(frozen=True, slots=True)
class Verdict:
    """All layers, and whether each is within the tolerance."""

    tolerance: Tolerance
    layers: tuple[Difference, ...]

    @property
    def largest(self) -> float:
        """The largest difference of all layers; NaN if any is NaN."""
        return float(np.max([layer.largest for layer in self.layers]))

    @property
    def passed(self) -> bool:
        """Whether every layer is within the tolerance; NaN is not."""
        return bool(self.largest <= self.tolerance.value)

    def fields(self) -> dict[str, object]:
        """Its fields in the JSON object; a difference that is not finite is null."""
        return {
            "tolerance": self.tolerance.value,
            "reason": self.tolerance.reason,
            "largest": _finite(self.largest),
            "layers": [
                {
                    "kind": difference.kind.value,
                    "layer": difference.layer,
                    "weights": _finite(difference.weights),
                    "output": None if difference.output is None else _finite(difference.output),
                }
                for difference in self.layers
            ],
            "passed": self.passed,
        }


def largest_difference(ours: Array, reference: Array) -> float:
    """The largest absolute difference of two arrays; infinite if their shapes differ."""
    return float(np.abs(ours - reference).max()) if ours.shape == reference.shape else float("inf")


def relative_difference(ours: Array, reference: Array) -> float:
    """The largest difference relative to the largest absolute value of `reference` (at least 1e-30)."""
    return largest_difference(ours, reference) / max(float(np.abs(reference).max()), 1e-30)


def tolerance(dtype: DType, rounding: float) -> Tolerance:
    """The tolerance for this format; `rounding` is the reference's own error in it.

    The error is measured against float64 for float32, and against float32 for half precision.
    """
    coarse, fine = (dtype, "float32") if dtype.is_half else ("float32", "float64")
    times, most = (_ROUNDINGS_OF_HALF, _MOST_OF_HALF) if dtype.is_half else (_ROUNDINGS, _MOST)
    measured = f"eager attention in {coarse} differs from {fine} by {rounding:.1e} here"
    if not rounding * times > _LEAST:
        return Tolerance(_LEAST, f"rounding in {coarse}: {measured}")
    if rounding * times > most:
        return Tolerance(most, f"the reference is not accurate enough for less: {measured}")
    return Tolerance(rounding * times, f"{times:.0f} times the rounding error: {measured}")


def largest_by_layer(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """The largest differences of each layer over several texts, in the order of kinds and layers."""
    by_layer: dict[tuple[Kind, int], list[Difference]] = {}
    for difference in differences:
        by_layer.setdefault((difference.kind, difference.layer), []).append(difference)
    return tuple(_largest(group) for _, group in sorted(by_layer.items(), key=_place))


def _largest(differences: Sequence[Difference]) -> Difference:
    outputs = [difference.output for difference in differences if difference.output is not None]
    return Difference(
        kind=differences[0].kind,
        layer=differences[0].layer,
        weights=float(np.max([difference.weights for difference in differences])),
        output=float(np.max(outputs)) if outputs else None,
    )


def _place(item: tuple[tuple[Kind, int], Sequence[Difference]]) -> tuple[int, int]:
    (kind, layer), _ = item
    return list(Kind).index(kind), layer


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def rounding_of(pairs: Iterable[tuple[Mapping[int, Array], Mapping[int, Array]]]) -> float:
    """The largest `relative_difference` over all layers between numbers in two precisions."""
    return max(
        (relative_difference(coarse[layer], fine[layer]) for coarse, fine in pairs for layer in coarse),
        default=0.0,
    )
