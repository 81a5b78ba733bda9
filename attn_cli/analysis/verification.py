"""Our numbers against the judge's: the largest difference of weights and of outputs, layer by layer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attn_cli.vocabulary import DType, Kind

Numbers = npt.NDArray[np.floating]

# Whatever the model, float32 rounds: two sums of a few hundred products in another order differ by 1e-6.
_LEAST = 1e-5
_ROUNDINGS = 10.0  # times the judge's own rounding: ours is as large, and sums come in another order
# Of half precision one rounding of a score of 10 moves a weight by as much (2^-11 and 2^-8 of 10).
_HALF = {DType.FLOAT16: 0.02, DType.BFLOAT16: 0.15}


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one layer is from the judge's."""

    kind: Kind
    layer: int
    weights: float  # the largest difference of any weight, 0 to 1
    output: float | None  # the largest of the layer's output, as a share of its largest number; None: unknown

    @property
    def largest(self) -> float:
        """The larger of the two; NaN where a number is none."""
        return float(np.max([self.weights, 0.0 if self.output is None else self.output]))


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How large a difference may be, and why."""

    value: float
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All layers, and whether each is within the tolerance."""

    tolerance: Tolerance
    layers: tuple[Difference, ...]

    @property
    def largest(self) -> float:
        """The largest difference of all; NaN where a number is none."""
        return float(np.max([each.largest for each in self.layers]))

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
                    "kind": each.kind.value,
                    "layer": each.layer,
                    "weights": _finite(each.weights),
                    "output": None if each.output is None else _finite(each.output),
                }
                for each in self.layers
            ],
            "passed": self.passed,
        }


def apart(ours: Numbers, theirs: Numbers) -> float:
    """The largest difference of two arrays of one shape; infinite where the shapes differ."""
    return float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else float("inf")


def share_apart(ours: Numbers, theirs: Numbers) -> float:
    """The largest difference as a share of the largest of their numbers, which is at least 1e-30."""
    return apart(ours, theirs) / max(float(np.abs(theirs).max()), 1e-30)


def tolerance(dtype: DType, rounding: float) -> Tolerance:
    """What may differ in this format; `rounding`: how far the judge's float32 is from its float64."""
    if dtype in _HALF:
        return Tolerance(_HALF[dtype], f"one rounding of a score of 10 to {dtype} moves a weight by as much")
    measured = f"eager attention in float32 differs from float64 by {rounding:.1e} here"
    if not rounding * _ROUNDINGS > _LEAST:
        return Tolerance(_LEAST, f"float32 rounds: {measured}")
    return Tolerance(rounding * _ROUNDINGS, f"{_ROUNDINGS:.0f} times what rounding does: {measured}")


def worst(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """The largest differences of each layer over several texts, in the order of kinds and layers."""
    by_layer: dict[tuple[Kind, int], list[Difference]] = {}
    for each in differences:
        by_layer.setdefault((each.kind, each.layer), []).append(each)
    return tuple(_worst(each) for _, each in sorted(by_layer.items(), key=_place))


def _worst(found: Sequence[Difference]) -> Difference:
    outputs = [each.output for each in found if each.output is not None]
    return Difference(
        kind=found[0].kind,
        layer=found[0].layer,
        weights=float(np.max([each.weights for each in found])),
        output=float(np.max(outputs)) if outputs else None,
    )


def _place(item: tuple[tuple[Kind, int], Sequence[Difference]]) -> tuple[int, int]:
    (kind, layer), _ = item
    return list(Kind).index(kind), layer


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def rounding_of(pairs: Iterable[tuple[Mapping[int, Numbers], Mapping[int, Numbers]]]) -> float:
    """How far numbers in float32 are from the same in float64, as `share_apart`, over all layers."""
    return max((share_apart(a[layer], b[layer]) for a, b in pairs for layer in a), default=0.0)
