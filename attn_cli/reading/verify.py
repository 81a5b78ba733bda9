"""Compares the layers of readings with the reference model, one kind of attention at a time."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from attn_cli.analysis.verification import (
    Difference,
    HalfRounding,
    LayerDifferences,
    Tolerance,
    Verdict,
    difference_of,
    is_too_coarse,
    largest_by_layer,
    tolerances,
)
from attn_cli.core.arrays import Array, to_numpy
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.backend import Backend, torch_backend
from attn_cli.models.source import Layer, Precision, ReferenceLayer, ReferenceModel, Source, Texts
from attn_cli.reading.judged_tokens import check_tokens
from attn_cli.reading.reading import Reading, check_kind
from attn_cli.vocabulary import Check, DType, Kind, Step

Reference = Mapping[Kind, Mapping[int, ReferenceLayer]]
"""What the reference computes for one text."""

_SLACK = 1e-2  # of a sum of weights: half precision rounds each of them

_STEPS = {
    Check.QUERIES: Step.QUERIES,
    Check.KEYS: Step.KEYS,
    Check.VALUES: Step.VALUES,
    Check.SCORES: Step.SCORES,
    Check.MASK: Step.MASK,
    Check.LOGITS: Step.LOGITS,
    Check.WEIGHTS: Step.WEIGHTS,
    Check.CONTEXT: Step.CONTEXT,
    Check.HEAD_OUTPUTS: Step.OUTPUT,
}
"""The checks that are a step of every head."""

_NOT_SHOWN = "attn does not show it for this model"

_quiet_overflow = np.errstate(
    over="ignore", invalid="ignore", divide="ignore"
)  # such a layer is reported as a difference


@_quiet_overflow
def verify_readings(
    readings: Sequence[Reading], *, only_kind: Kind | None = None, only_layers: Collection[int] | None = None
) -> Verdict:
    """Compare the layers of the readings' model with the reference model; by default all kinds and layers.

    A decoder without a text of its own reads the same text. Half precision is compared in float32, with the
    weights of the model rounded to the half format in both.

    Raises:
        AttnError: there is no reference model, or it fails, or is not accurate enough.
        DifferenceError: the tokens of a text differ from the reference's.
        UsageError: the request overrides the model's mask.
    """
    source = readings[0].source
    model = _reference_model(source)
    if only_kind is not None:
        check_kind(only_kind, source)
    kinds = list(source.kinds) if only_kind is None else [only_kind]
    readings = [replace(reading, texts=_with_target(reading)) for reading in readings]
    tokens = check_tokens(model, readings)
    judged, plain = _judged(source), source.backend.dtype
    precision, finer = _precisions(judged.backend)
    references = [_reference(model, reading, kinds, precision) for reading in readings]
    rounding: dict[Check, float] = {}
    for reading, reference in zip(readings, references, strict=True):
        other = _reference(model, reading, kinds, finer)
        _note_rounding(
            rounding, *((other, reference) if finer.dtype is DType.FLOAT32 else (reference, other))
        )
    _check_accurate(source, judged.backend.dtype, rounding)
    allowed = tolerances(judged.backend.dtype, rounding)
    differences = [
        difference
        for reading, reference in zip(readings, references, strict=True)
        for kind in kinds
        for difference in _differences(judged, reading.texts, kind, reference[kind], allowed, only_layers)
    ]
    half = _half_rounding(model, readings[0], kinds, references[0], only_layers) if plain.is_half else None
    return Verdict(allowed, largest_by_layer(differences), tokens, half)


def _reference_model(source: Source) -> ReferenceModel:
    """The reference model.

    Raises:
        AttnError: there is none.
        UsageError: the request overrides the model's mask.
    """
    model = source.reference_model()
    if model is None:
        problem = f"{source.card.name} cannot be verified: there is no other implementation to compare with"
        raise AttnError(problem, "attn verify -m MODEL")
    if source.request.is_causal is not None:
        problem = "a model whose mask is overridden cannot be verified: transformers uses the model's own"
        raise UsageError(problem, "leave out --causal and --no-causal")
    return model


def _judged(source: Source) -> Source:
    """The source in the number format that is compared: float32 with rounded weights for half precision."""
    backend = source.backend
    if not backend.dtype.is_half:
        return source
    return source.with_backend(torch_backend(backend.device, DType.FLOAT32, backend.dtype))


def _precisions(backend: Backend) -> tuple[Precision, Precision]:
    """The number format of the comparison, and the one that shows how far float32 rounds."""
    other = DType.FLOAT32 if backend.dtype is DType.FLOAT64 else DType.FLOAT64
    return Precision(backend.dtype, backend.rounded), Precision(other, backend.rounded)


def _reference(
    model: ReferenceModel, reading: Reading, kinds: Collection[Kind], precision: Precision
) -> Reference:
    """What the reference computes for the reading.

    Raises:
        AttnError: it is not finite, or has no softmax weights.
    """
    reference = model.attention_of(reading.texts, kinds, precision)
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


def _note_rounding(rounding: dict[Check, float], coarse: Reference, fine: Reference) -> None:
    """Raise each step's entry of `rounding` to the largest difference between two precisions of a text."""
    for kind, layers in coarse.items():
        for layer, attention in layers.items():
            exact = fine[kind][layer]
            mask = exact.steps.get(Check.MASK, np.True_)
            for check in Check:
                ours, other = attention.of(check), exact.of(check)
                if check is not Check.MASK and ours is not None and other is not None:
                    found = difference_of(check, ours, other, mask, np.inf).value
                    rounding[check] = max(found, rounding.get(check, 0.0))


def _check_accurate(source: Source, dtype: DType, rounding: Mapping[Check, float]) -> None:
    """Raise `AttnError` if the reference rounds too much for any difference to mean something."""
    for check, found in rounding.items():
        if is_too_coarse(check, dtype, found):
            name = check.replace("_", " ")
            problem = (
                f"eager attention of {source.card.name} is not accurate enough to compare with: "
                f"its {name} in float32 differ from float64 by {found:.1e}"
            )
            raise AttnError(problem, "--dtype float64" if dtype is DType.FLOAT32 else "another text")


def _with_target(reading: Reading) -> Texts:
    """The texts of the reading; a decoder without a text of its own reads the same text."""
    texts, source = reading.texts, reading.source
    if texts.target or not source.has_decoder:
        return texts
    return replace(texts, target=source.target_tokens(reading.request.text))


def _differences(
    source: Source,
    texts: Texts,
    kind: Kind,
    reference: Mapping[int, ReferenceLayer],
    allowed: Mapping[Check, Tolerance],
    only_layers: Collection[int] | None,
) -> Iterator[LayerDifferences]:
    """The differences between the layers of one kind, all or some, and the reference."""
    layers = [layer for layer in source.kinds[kind].layers if only_layers is None or layer in only_layers]
    for layer, attention in zip(layers, source.attentions(texts, kind, layers), strict=True):
        expected = reference[layer]
        ours = our_steps(attention, expected)
        mask = ours[Check.MASK] & expected.steps.get(Check.MASK, np.True_)
        steps: dict[Check, Difference] = {}
        unknown = dict(expected.unknown)
        for check in (check for check in Check if check not in unknown):
            if check in ours:
                theirs = expected.of(check)
                found = difference_of(check, ours[check], theirs, mask, allowed[check].value)
                steps[check] = _in_text(check, found, expected.rows)
            else:
                unknown[check] = _NOT_SHOWN
        yield LayerDifferences(kind, layer, steps, unknown)


def our_steps(attention: Layer, reference: ReferenceLayer) -> dict[Check, Array]:
    """The steps of our layer that the reference has, in NumPy, with the same rows."""
    heads = range(attention.heads)
    shown = attention if reference.rows is None else attention.at(reference.rows)
    wanted = {step for check, step in _STEPS.items() if check not in reference.unknown} | {Step.MASK}
    steps = shown.steps(heads, wanted)
    sink = shown.sink(heads)
    if sink is not None and Step.WEIGHTS in steps:
        steps[Step.WEIGHTS] = sink.as_returned(steps[Step.WEIGHTS])
    ours = {check: to_numpy(steps[step]) for check, step in _STEPS.items() if step in steps}
    if Check.INPUT not in reference.unknown and Step.INPUT not in attention.absent:
        ours[Check.INPUT] = to_numpy(attention.steps([0], {Step.INPUT})[Step.INPUT])[0]
    if Check.OUTPUT not in reference.unknown and Step.OUTPUT not in attention.absent:
        ours[Check.OUTPUT] = to_numpy(attention.result())
    return ours


def _in_text(check: Check, found: Difference, rows: Sequence[int] | None) -> Difference:
    """The difference, with its row numbered as in the text if only some rows were compared."""
    if found.first is None or rows is None or check.is_of_keys or check in {Check.INPUT, Check.OUTPUT}:
        return found
    head, row, last = found.first
    return replace(found, first=(head, rows[row], last))


def _half_rounding(
    model: ReferenceModel,
    reading: Reading,
    kinds: Collection[Kind],
    exact: Reference,
    only_layers: Collection[int] | None,
) -> HalfRounding:
    """How far the weights in half precision are from float32, ours and the reference's."""
    source = reading.source
    coarse = _reference(model, reading, kinds, Precision(source.backend.dtype))
    ours = theirs = 0.0
    for kind in kinds:
        layers = [layer for layer in source.kinds[kind].layers if only_layers is None or layer in only_layers]
        for layer, attention in zip(layers, source.attentions(reading.texts, kind, layers), strict=True):
            expected = exact[kind][layer]
            weights = expected.steps[Check.WEIGHTS]
            shown = attention if expected.rows is None else attention.at(expected.rows)
            found = to_numpy(shown.steps(range(attention.heads), {Step.WEIGHTS})[Step.WEIGHTS])
            ours = float(np.max([ours, np.abs(found - weights).max()]))
            theirs = max(theirs, float(np.abs(coarse[kind][layer].steps[Check.WEIGHTS] - weights).max()))
    return HalfRounding(ours, theirs)
