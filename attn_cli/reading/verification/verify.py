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
    largest_by_layer,
    largest_of,
    tolerances,
)
from attn_cli.core.arrays import Array, to_numpy
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.backend import torch_backend
from attn_cli.models.source import Layer, Precision, ReferenceLayer, ReferenceModel, Source, Texts
from attn_cli.reading.reading import Reading, check_kind
from attn_cli.reading.verification.judged_text import JudgedText, judge_text, run_reference
from attn_cli.reading.verification.judged_tokens import check_tokens
from attn_cli.vocabulary import Check, DType, Kind, Step

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
    readings: Sequence[Reading],
    *,
    only_kind: Kind | None = None,
    only_layers: Collection[int] | None = None,
    first_layers: int | None = None,
) -> Verdict:
    """Compare the layers of the readings' model with the reference model; by default all kinds and layers.

    Of the last reading only the `first_layers` are compared, if their number is given. A decoder without a
    text of its own reads the same text. Half precision is compared in float32, with the
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
    untokenized = check_tokens(model, readings)
    judged = _judged(source)
    firsts = [*[None] * (len(readings) - 1), first_layers]
    texts = [
        judge_text(model, reading, kinds if first is None else kinds[:1], judged.backend, first)
        for reading, first in zip(readings, firsts, strict=True)
    ]
    allowed = tolerances(judged.backend.dtype, largest_of(text.rounding for text in texts))
    differences = (each for text in texts for each in _differences(judged, text, allowed, only_layers))
    half = _half_rounding(model, texts[0], only_layers) if source.backend.dtype.is_half else None
    return Verdict(allowed, largest_by_layer(differences), untokenized, half)


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


def _with_target(reading: Reading) -> Texts:
    """The texts of the reading; a decoder without a text of its own reads the same text."""
    texts, source = reading.texts, reading.source
    if texts.target or not source.has_decoder:
        return texts
    return replace(texts, target=source.target_tokens(reading.request.text))


def _differences(
    source: Source,
    text: JudgedText,
    allowed: Mapping[Check, Tolerance],
    only_layers: Collection[int] | None,
) -> Iterator[LayerDifferences]:
    """The differences between the layers of all kinds, all or some, and the reference."""
    for kind, layer, ours, reference in _beside(source, text, only_layers):
        yield _layer_differences(kind, layer, our_steps(ours, reference), reference, allowed)


def _beside(
    source: Source, text: JudgedText, only_layers: Collection[int] | None
) -> Iterator[tuple[Kind, int, Layer, ReferenceLayer]]:
    """Our layers of all kinds, each with the reference's."""
    for kind, by_layer in text.reference.items():
        layers = [layer for layer in by_layer if only_layers is None or layer in only_layers]
        ours = source.attentions(text.reading.texts, kind, layers)
        for layer, attention in zip(layers, ours, strict=True):
            yield kind, layer, attention, by_layer[layer]


def _layer_differences(
    kind: Kind,
    layer: int,
    ours: Mapping[Check, Array],
    reference: ReferenceLayer,
    allowed: Mapping[Check, Tolerance],
) -> LayerDifferences:
    """The differences of one layer; steps that only one of the two has are unknown."""
    mask = ours[Check.MASK] & reference.steps.get(Check.MASK, np.True_)
    unknown = dict(reference.unknown)
    unknown |= {check: _NOT_SHOWN for check in Check if check not in ours and check not in unknown}
    steps: dict[Check, Difference] = {}
    for check in (check for check in Check if check not in unknown):
        found = difference_of(check, ours[check], reference.of(check), mask, allowed[check].value)
        steps[check] = _in_text(check, found, reference.rows)
    return LayerDifferences(
        kind, layer, steps, {check: unknown[check] for check in Check if check in unknown}
    )


def our_steps(attention: Layer, reference: ReferenceLayer) -> dict[Check, Array]:
    """The steps of our layer that the reference has, in NumPy, with the same rows."""
    wanted = {step for check, step in _STEPS.items() if check not in reference.unknown} | {Step.MASK}
    steps = _head_steps(attention, reference, wanted)
    ours = {check: to_numpy(steps[step]) for check, step in _STEPS.items() if step in steps}
    ours[Check.KV_HEADS] = np.asarray([attention.kv_head(head) for head in range(attention.heads)])
    if Check.INPUT not in reference.unknown and Step.INPUT not in attention.absent:
        ours[Check.INPUT] = to_numpy(attention.steps([0], {Step.INPUT})[Step.INPUT])[0]
    if Check.OUTPUT not in reference.unknown and Step.OUTPUT not in attention.absent:
        ours[Check.OUTPUT] = to_numpy(attention.result())
    return ours


def _head_steps(attention: Layer, reference: ReferenceLayer, wanted: Collection[Step]) -> dict[Step, Array]:
    """The wanted steps of all heads, with the reference's rows, as transformers computes them."""
    heads = range(attention.heads)
    shown = attention if reference.rows is None else attention.at(reference.rows)
    steps = shown.steps(heads, wanted)
    sink = shown.sink(heads)
    if sink is not None:
        late = (step for step in (Step.WEIGHTS, Step.CONTEXT) if step in steps)
        steps |= {step: sink.as_computed(steps[step]) for step in late}
    return steps


def _in_text(check: Check, found: Difference, rows: Sequence[int] | None) -> Difference:
    """The difference, with its row numbered as in the text if only some rows were compared."""
    if (
        found.first is None
        or rows is None
        or check.is_of_keys
        or check in {Check.INPUT, Check.KV_HEADS, Check.OUTPUT}
    ):
        return found
    head, row, last = found.first
    return replace(found, first=(head, rows[row], last))


def _half_rounding(
    model: ReferenceModel, text: JudgedText, only_layers: Collection[int] | None
) -> HalfRounding:
    """How far the weights in half precision are from float32, ours and the reference's."""
    reading = text.reading
    source = reading.source
    coarse = run_reference(model, reading, list(text.reference), Precision(source.backend.dtype))
    ours = theirs = 0.0
    for kind, layer, attention, reference in _beside(source, text, only_layers):
        weights = reference.steps[Check.WEIGHTS]
        found = to_numpy(_head_steps(attention, reference, {Step.WEIGHTS})[Step.WEIGHTS])
        ours = float(np.max([ours, np.abs(found - weights).max()]))
        theirs = max(theirs, float(np.abs(coarse[kind][layer].steps[Check.WEIGHTS] - weights).max()))
    return HalfRounding(ours, theirs)
