"""What the reference model computes for one text, and how far it rounds."""

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from attn_cli.analysis.verification import difference_of, is_too_coarse
from attn_cli.core.arrays import Array
from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend
from attn_cli.models.source import Precision, ReferenceLayer, ReferenceModel
from attn_cli.reading.reading import Reading
from attn_cli.record import record
from attn_cli.vocabulary import Check, DType, Kind

Reference = Mapping[Kind, Mapping[int, ReferenceLayer]]
"""What the reference computes for one text."""

_SLACK = 1e-2  # of a sum of weights: half precision rounds each of them


@record(frozen=True, slots=True, eq=False)
class JudgedText:
    """A text, what the reference computes for it, and how far each step is from another precision."""

    reading: Reading
    reference: Reference
    rounding: Mapping[Check, float]


def judge_text(
    model: ReferenceModel, reading: Reading, kinds: Collection[Kind], backend: Backend, first: int | None
) -> JudgedText:
    """Run the reference in the backend's number format, and in float32 and float64 to see how far it rounds.

    Raises:
        AttnError: it is not finite, has no softmax weights, or rounds too much to compare with.
    """
    other = DType.FLOAT32 if backend.dtype is DType.FLOAT64 else DType.FLOAT64
    formats = (Precision(backend.dtype, backend.rounded), Precision(other, backend.rounded))
    reference, second = (run_reference(model, reading, kinds, each, first) for each in formats)
    pair = (reference, second) if other is DType.FLOAT64 else (second, reference)
    rounding = _rounding(*pair)
    _check_accurate(reading.source.card.name, backend.dtype, rounding)
    return JudgedText(reading, reference, rounding)


def run_reference(
    model: ReferenceModel,
    reading: Reading,
    kinds: Collection[Kind],
    precision: Precision,
    first: int | None = None,
) -> Reference:
    """What the reference computes for the reading, in all layers or the first.

    Raises:
        AttnError: it is not finite, or has no softmax weights.
    """
    reference = model.attention_of(reading.texts, kinds, precision, first)
    _check_reference(reading.source.card.name, reference, precision.rounded or precision.dtype)
    return reference


def _check_reference(name: str, reference: Reference, dtype: DType) -> None:
    """Raise `AttnError` if eager attention itself has no numbers to compare with."""
    for kind, layers in reference.items():
        for layer, attention in layers.items():
            for check, values in attention.steps.items():
                _check_finite(f"{kind} layer {layer} of {name} in {dtype}", check, values, attention, dtype)
            weights = attention.steps[Check.WEIGHTS]
            sums = weights.sum(axis=-1)
            if weights.min() < -_SLACK or sums.max() > 1 + _SLACK:
                wrong = f"a row of {kind} layer {layer} sums to {float(sums.max()):.3g}"
                problem = f"what transformers calls attentions of {name} are not softmax weights: {wrong}"
                raise AttnError(problem, "attn inspect shows this model, and verify cannot check it")


def _check_finite(where: str, check: Check, values: Array, attention: ReferenceLayer, dtype: DType) -> None:
    seen = values[attention.steps[Check.MASK]] if check is Check.LOGITS else values
    if not np.isfinite(seen).all():
        problem = f"eager attention itself is not finite: {where}"
        hint = "--dtype float32" if dtype.is_half else "check the weights for NaN and infinities"
        raise AttnError(problem, hint)


def _rounding(coarse: Reference, fine: Reference) -> dict[Check, float]:
    """The largest difference of each step between two precisions."""
    found: dict[Check, float] = {}
    for kind, layers in coarse.items():
        for layer, attention in layers.items():
            for check, value in _apart(attention, fine[kind][layer]):
                found[check] = max(value, found.get(check, 0.0))
    return found


def _apart(coarse: ReferenceLayer, fine: ReferenceLayer) -> Iterator[tuple[Check, float]]:
    mask = fine.steps.get(Check.MASK, np.True_)
    for check in (check for check in Check if not check.is_counted):
        ours, other = coarse.of(check), fine.of(check)
        if ours is not None and other is not None:
            yield check, difference_of(check, ours, other, mask, np.inf).value


def _check_accurate(name: str, dtype: DType, rounding: Mapping[Check, float]) -> None:
    """Raise `AttnError` if the reference rounds too much for any difference to mean something."""
    for check, found in rounding.items():
        if is_too_coarse(check, dtype, found):
            verb = "differ" if check.is_plural else "differs"
            problem = (
                f"eager attention of {name} is not accurate enough to compare with: "
                f"its {check.of_layer} in float32 {verb} from float64 by {found:.1e}"
            )
            raise AttnError(problem, "--dtype float64" if dtype is DType.FLOAT32 else "another text")
