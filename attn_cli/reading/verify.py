"""Checks the layers of readings against the reference model, one kind of attention at a time."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from attn_cli.analysis.verification import (
    Difference,
    Verdict,
    largest_by_layer,
    largest_difference,
    relative_difference,
    rounding_of,
    tolerance,
)
from attn_cli.core.arrays import to_numpy
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.source import Layer, ReferenceAttention, ReferenceModel, Source, Texts
from attn_cli.reading.reading import Reading, check_kind
from attn_cli.vocabulary import DType, Kind, Step

_quiet_overflow = np.errstate(
    over="ignore", invalid="ignore", divide="ignore"
)  # such a layer differs, and says so


@_quiet_overflow
def verify_readings(
    readings: Sequence[Reading], *, only_kind: Kind | None = None, only_layers: Collection[int] | None = None
) -> Verdict:
    """The layers of the readings' model against the reference model: of every kind or one, all or some.

    A decoder reads the text itself where no text was given for it.

    Raises:
        AttnError: nobody knows what the numbers must be, or the reference model cannot tell.
        UsageError: the model is not read as it is.
    """
    source = readings[0].source
    model = _reference_model(source)
    if only_kind is not None:
        check_kind(only_kind, source)
    kinds = list(source.kinds) if only_kind is None else [only_kind]
    differences: list[Difference] = []
    rounding = 0.0
    for reading in readings:
        texts = _with_target(reading)
        reference = model.attention_of(texts, kinds, DType.FLOAT32)
        rounding = max(rounding, _rounding(model, texts, reference, source.backend.dtype))
        for kind in kinds:
            differences += _differences(reading, texts, kind, reference[kind], only_layers)
    return Verdict(tolerance(source.backend.dtype, rounding), largest_by_layer(differences))


def _reference_model(source: Source) -> ReferenceModel:
    """Who else computes the same numbers.

    Raises:
        AttnError: nobody does.
        UsageError: the model is not read as it is.
    """
    model = source.reference_model()
    if model is None:
        problem = f"{source.card.name} has no reference: nobody else computes it"
        raise AttnError(problem, "attn verify -m MODEL")
    if source.request.is_causal is not None:
        raise UsageError("a model whose mask is overruled has no reference", "leave --causal out")
    return model


def _rounding(
    model: ReferenceModel, texts: Texts, float32: Mapping[Kind, ReferenceAttention], dtype: DType
) -> float:
    """How far the reference in float32 is from the same in another format: `dtype` if half, or float64."""
    others = model.attention_of(texts, list(float32), dtype if dtype.is_half else DType.FLOAT64)
    by_kind = [
        rounding_of([(a.weights, others[kind].weights), (a.outputs, others[kind].outputs)])
        for kind, a in float32.items()
    ]
    return max(0.0, *by_kind)  # 0 first: what is no number is never the largest


def _with_target(reading: Reading) -> Texts:
    """The texts of the reading, the first one for the decoder too where it was given none."""
    texts, source = reading.texts, reading.source
    if texts.target or not source.has_decoder:
        return texts
    return replace(texts, target=source.target_tokens(reading.request.text))


def _differences(
    reading: Reading,
    texts: Texts,
    kind: Kind,
    reference: ReferenceAttention,
    only_layers: Collection[int] | None,
) -> Iterator[Difference]:
    """How far the layers of one kind, or some of them, are from the reference."""
    source = reading.source
    layers = [layer for layer in source.kinds[kind].layers if only_layers is None or layer in only_layers]
    for layer, attention in zip(layers, source.attentions(texts, kind, layers), strict=True):
        yield _difference(kind, layer, attention, reference)


def _difference(kind: Kind, layer: int, attention: Layer, reference: ReferenceAttention) -> Difference:
    steps = attention.steps(range(attention.heads), {Step.WEIGHTS})
    output = None
    if layer in reference.outputs and Step.OUTPUT not in attention.absent:
        output = relative_difference(to_numpy(attention.result()), reference.outputs[layer])
    return Difference(
        kind, layer, largest_difference(to_numpy(steps[Step.WEIGHTS]), reference.weights[layer]), output
    )
