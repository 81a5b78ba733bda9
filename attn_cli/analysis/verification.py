"""Compares our numbers with the reference model's: the largest difference of every step of every layer."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from attn_cli.core.arrays import Array
from attn_cli.record import record
from attn_cli.vocabulary import Check, DType, Kind

_ROUNDINGS = 10.0  # times the reference's rounding error: ours is as large, and the order of sums differs
_ROUNDINGS_OF_HALF = 4.0  # in half precision every step rounds, not only the sums

# Float32 rounds in any model: sums of a few hundred products in another order differ by 1e-6.
_LEAST = {DType.FLOAT32: 1e-5, DType.FLOAT64: 1e-10}
_MOST = {DType.FLOAT32: 1e-3, DType.FLOAT64: 1e-8}  # a less accurate reference proves nothing
_MOST_OF_HALF = 0.5  # weights are from 0 to 1
_PER_FLOAT32 = 2.0**-29  # a rounding error in float64, of one in float32

_AXES = {
    Check.INPUT: ("row", "feature"),
    Check.OUTPUT: ("row", "feature"),
    **dict.fromkeys((Check.KEYS, Check.VALUES), ("head", "key", "feature")),
    **dict.fromkeys((Check.QUERIES, Check.CONTEXT, Check.HEAD_OUTPUTS), ("head", "row", "feature")),
    **dict.fromkeys((Check.SCORES, Check.MASK, Check.LOGITS, Check.WEIGHTS), ("head", "row", "key")),
}


@record(frozen=True, slots=True)
class Difference:
    """How far one step of a layer is from the reference model's, and where it first differs too much."""

    value: float  # relative to the step's largest value; absolute for weights; of a mask, the number of cells
    first: tuple[int, ...] | None = None  # head, row and key or feature; None: nowhere by more than rounding


@record(frozen=True, slots=True)
class LayerDifferences:
    """The differences of one layer, and why the other steps could not be compared."""

    kind: Kind
    layer: int
    steps: Mapping[Check, Difference]
    unknown: Mapping[Check, str]


@record(frozen=True, slots=True)
class Tolerance:
    """The largest allowed difference, and the reason for it."""

    value: float
    reason: str


@record(frozen=True, slots=True)
class Failure:
    """A step that differs by more than its tolerance."""

    kind: Kind
    layer: int
    check: Check
    difference: Difference

    @property
    def place(self) -> str:
        """Where it differs first: `head 0, row 1, key 2`."""
        axes = zip(_AXES[self.check], self.difference.first or (), strict=False)
        return ", ".join(f"{axis} {number}" for axis, number in axes)


@record(frozen=True, slots=True)
class HalfRounding:
    """How far weights in half precision are from float32 with the same rounded weights of the model."""

    ours: float
    reference: float

    @property
    def is_explained(self) -> bool:
        """Whether ours differ about as much as the reference's."""
        return self.ours <= min(_MOST_OF_HALF, max(_ROUNDINGS_OF_HALF * self.reference, 1e-2))


@record(frozen=True, slots=True)
class Verdict:
    """All layers, and whether every step is within its tolerance."""

    tolerances: Mapping[Check, Tolerance]
    layers: tuple[LayerDifferences, ...]
    untokenized: str = ""  # why the tokens could not be compared; empty if they agree
    half: HalfRounding | None = None

    def exceeds(self, check: Check, difference: Difference) -> bool:
        """Whether a difference is more than rounding explains; NaN is."""
        return not difference.value <= self.tolerances[check].value

    @property
    def failure(self) -> Failure | None:
        """The first step of the first layer that differs too much; None if all agree."""
        for layer in self.layers:
            for check, difference in layer.steps.items():
                if self.exceeds(check, difference):
                    return Failure(layer.kind, layer.layer, check, difference)
        return None

    @property
    def passed(self) -> bool:
        """Whether every step is within its tolerance; NaN is not."""
        return self.failure is None and (self.half is None or self.half.is_explained)

    @property
    def largest(self) -> Failure:
        """The step that is largest beside its tolerance; a mask that differs comes first, as does NaN."""
        return max(
            (
                Failure(layer.kind, layer.layer, check, difference)
                for layer in self.layers
                for check, difference in layer.steps.items()
            ),
            key=self._share,
        )

    def _share(self, found: Failure) -> float:
        if found.check is Check.MASK:
            return float("inf") if found.difference.value else -1.0
        share = found.difference.value / self.tolerances[found.check].value
        return float("inf") if np.isnan(share) else share

    def fields(self) -> dict[str, object]:
        """Its fields in the JSON object; a difference that is unknown or not finite is null."""
        numbers = [
            difference.value
            for layer in self.layers
            for check, difference in layer.steps.items()
            if check is not Check.MASK
        ]
        allowed = {check: each.value for check, each in self.tolerances.items()}
        return {
            "tolerance": max(allowed.values()),
            "tolerances": {check.value: value for check, value in allowed.items()},
            "reason": self.tolerances[self.largest.check].reason,
            "largest": _finite(float(np.max(numbers))),
            "layers": [_layer_fields(layer) for layer in self.layers],
            "ids": {"compared": not self.untokenized}
            | ({"unknown": self.untokenized} if self.untokenized else {}),
            **_half_fields(self.half),
            "passed": self.passed,
        }


def _layer_fields(layer: LayerDifferences) -> dict[str, object]:
    values = {check: layer.steps.get(check) for check in Check}
    unknown = {check.value: why for check, why in layer.unknown.items()}
    return {
        "kind": layer.kind.value,
        "layer": layer.layer,
        **{check.value: None if each is None else _finite(each.value) for check, each in values.items()},
        **({"unknown": unknown} if unknown else {}),
    }


def _half_fields(half: HalfRounding | None) -> dict[str, object]:
    if half is None:
        return {}
    return {"half": {"ours": _finite(half.ours), "reference": _finite(half.reference)}}


def difference_of(check: Check, ours: Array, reference: Array, mask: Array, allowed: float) -> Difference:
    """How far a step is from the reference's; `mask` (H, T, S) is true where both may look.

    `allowed` is the tolerance: the difference names the first place where it is exceeded.
    """
    if ours.shape != reference.shape:
        return Difference(float("inf"))
    if check is Check.MASK:
        differs = ours != reference
        return Difference(float(differs.sum()), _first(differs))
    apart = np.abs(np.where(mask, ours - reference, 0.0) if check is Check.LOGITS else ours - reference)
    apart = apart / scale_of(check, reference, mask)
    return Difference(float(apart.max(initial=0.0)), _first(~(apart <= allowed)))


def scale_of(check: Check, reference: Array, mask: Array) -> float:
    """What a difference is relative to: the step's largest absolute value (at least 1e-30); 1 for weights."""
    if check is Check.WEIGHTS:
        return 1.0
    size = np.abs(np.where(mask, reference, 0.0) if check is Check.LOGITS else reference)
    return max(float(size.max(initial=0.0)), 1e-30)


def _first(differs: Array) -> tuple[int, ...] | None:
    places = np.argwhere(differs)
    return tuple(int(number) for number in places[0]) if len(places) else None


def tolerances(dtype: DType, rounding: Mapping[Check, float]) -> dict[Check, Tolerance]:
    """The tolerance of every step; `rounding` is the reference's own error in float32, against float64."""
    return {check: _tolerance(check, dtype, rounding.get(check, 0.0)) for check in Check}


def _tolerance(check: Check, dtype: DType, rounding: float) -> Tolerance:
    if check is Check.MASK:
        return Tolerance(0.0, "a mask has no rounding")
    least, most = _LEAST[dtype], _MOST[dtype]
    measured = f"eager attention in float32 differs from float64 by {rounding:.1e} here"
    wanted = _ROUNDINGS * rounding * (_PER_FLOAT32 if dtype is DType.FLOAT64 else 1.0)
    if not wanted > least:
        return Tolerance(least, f"rounding in {dtype}: {measured}")
    if wanted > most:
        return Tolerance(most, f"the reference is not accurate enough for less: {measured}")
    return Tolerance(wanted, f"{_ROUNDINGS:.0f} times the rounding error: {measured}")


def is_too_coarse(check: Check, dtype: DType, rounding: float) -> bool:
    """Whether the reference's rounding error asks for more than the largest tolerance of this format."""
    factor = _PER_FLOAT32 if dtype is DType.FLOAT64 else 1.0
    return check is not Check.MASK and not _ROUNDINGS * rounding * factor <= _MOST[dtype]


def largest_by_layer(differences: Iterable[LayerDifferences]) -> tuple[LayerDifferences, ...]:
    """The largest differences of each layer over several texts, in the order of kinds and layers."""
    by_layer: dict[tuple[Kind, int], list[LayerDifferences]] = {}
    for difference in differences:
        by_layer.setdefault((difference.kind, difference.layer), []).append(difference)
    return tuple(_largest(group) for _, group in sorted(by_layer.items(), key=_place))


def _largest(texts: Sequence[LayerDifferences]) -> LayerDifferences:
    """The largest of each step; a step that no text could compare is unknown."""
    steps = {
        check: max((text.steps[check] for text in texts if check in text.steps), key=_size)
        for check in Check
        if any(check in text.steps for text in texts)
    }
    unknown = {check: why for text in texts for check, why in text.unknown.items() if check not in steps}
    return LayerDifferences(texts[0].kind, texts[0].layer, steps, unknown)


def _size(difference: Difference) -> float:
    return float("inf") if np.isnan(difference.value) else difference.value


def _place(item: tuple[tuple[Kind, int], Sequence[LayerDifferences]]) -> tuple[int, int]:
    (kind, layer), _ = item
    return list(Kind).index(kind), layer


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
