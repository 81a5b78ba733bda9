"""Our numbers against the reference model's: the largest difference in weights and outputs, by layer."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from attn_cli.core.arrays import Array
from attn_cli.record import record
from attn_cli.vocabulary import DType, Kind

# Whatever the model, float32 rounds: two sums of a few hundred products in another order differ by 1e-6.
_LEAST = 1e-5
_ROUNDINGS = 10.0  # times the reference's rounding: ours is as large, and sums come in another order
_ROUNDINGS_OF_HALF = 4.0  # its rounding is that of every step, not that of the sums alone
_MOST = 1e-2  # in float32: a reference that is less sure proves nothing
_MOST_OF_HALF = 0.5  # likewise: weights go from 0 to 1


@record(frozen=True, slots=True)
class Difference:
    """How far one layer is from the reference model's."""

    kind: Kind
    layer: int
    weights: float  # the largest difference of any weight, 0 to 1
    output: float | None  # the largest of the layer's output, as a share of its largest number; None: unknown

    @property
    def largest(self) -> float:
        """The larger of the two; NaN where a number is none."""
        return float(np.max([self.weights, 0.0 if self.output is None else self.output]))


@record(frozen=True, slots=True)
class Tolerance:
    """How large a difference may be, and why."""

    value: float
    reason: str


@record(frozen=True, slots=True)
class Verdict:
    """All layers, and whether each is within the tolerance."""

    tolerance: Tolerance
    layers: tuple[Difference, ...]

    @property
    def largest(self) -> float:
        """The largest difference of all; NaN where a number is none."""
        return float(np.max([layer.largest for layer in self.layers]))

    @property
    def passed(self) -> bool:
        """Whether no layer differs by more; a number that is none differs."""
        return bool(self.largest <= self.tolerance.value)

    def fields(self) -> dict[str, object]:
        """What the JSON object holds of it; a difference that is no finite number is null."""
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
    """The largest difference of two arrays of one shape; infinite where the shapes differ."""
    return float(np.abs(ours - reference).max()) if ours.shape == reference.shape else float("inf")


def relative_difference(ours: Array, reference: Array) -> float:
    """The largest difference as a share of the largest of their numbers, which is at least 1e-30."""
    return largest_difference(ours, reference) / max(float(np.abs(reference).max()), 1e-30)


def tolerance(dtype: DType, rounding: float) -> Tolerance:
    """What may differ in this format; `rounding`: how far the reference's numbers in it are from finer ones.

    Finer is float64 for float32, and float32 for half precision.
    """
    coarse, fine = (dtype, "float32") if dtype.is_half else ("float32", "float64")
    times, most = (_ROUNDINGS_OF_HALF, _MOST_OF_HALF) if dtype.is_half else (_ROUNDINGS, _MOST)
    measured = f"eager attention in {coarse} differs from {fine} by {rounding:.1e} here"
    if not rounding * times > _LEAST:
        return Tolerance(_LEAST, f"{coarse} rounds: {measured}")
    if rounding * times > most:
        return Tolerance(most, f"no more can be proved: {measured}")
    return Tolerance(rounding * times, f"{times:.0f} times what rounding does: {measured}")


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
    """How far numbers in float32 are from the same in float64, as `relative_difference`, over all layers."""
    return max(
        (relative_difference(coarse[layer], fine[layer]) for coarse, fine in pairs for layer in coarse),
        default=0.0,
    )
