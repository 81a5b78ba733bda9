"""Compares the layers of readings with the reference model, one kind of attention at a time."""

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

_SLACK = 1e-2  # of a sum of weights: half precision rounds each of them

_quiet_overflow = np.errstate(
    over="ignore", invalid="ignore", divide="ignore"
)  # such a layer is reported as a difference


@_quiet_overflow
def verify_readings(
    readings: Sequence[Reading], *, only_kind: Kind | None = None, only_layers: Collection[int] | None = None
) -> Verdict:
    """Compare the layers of the readings' model with the reference model; by default all kinds and layers.

    A decoder without a text of its own reads the same text.

    Raises:
        AttnError: there is no reference model, or it fails.
        UsageError: the request overrides the model's mask.
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
        _check_reference(source.card.name, reference, DType.FLOAT32)
        rounding = max(rounding, _rounding(model, source, texts, reference))
        for kind in kinds:
            differences += _differences(reading, texts, kind, reference[kind], only_layers)
    return Verdict(tolerance(source.backend.dtype, rounding), largest_by_layer(differences))


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


def _check_reference(name: str, reference: Mapping[Kind, ReferenceAttention], dtype: DType) -> None:
    """Raise `AttnError` if eager attention itself has no weights to compare with."""
    for kind, attention in reference.items():
        for layer, weights in attention.weights.items():
            if not np.isfinite(weights).all():
                problem = f"eager attention itself is not finite: {kind} layer {layer} of {name} in {dtype}"
                hint = "--dtype float32" if dtype.is_half else "check the weights for NaN and infinities"
                raise AttnError(problem, hint)
            sums = weights.sum(axis=-1)
            if weights.min() < -_SLACK or sums.max() > 1 + _SLACK:
                wrong = f"a row of {kind} layer {layer} sums to {float(sums.max()):.3g}"
                problem = f"what transformers calls attentions of {name} are not softmax weights: {wrong}"
                raise AttnError(problem, "attn inspect shows this model, and verify cannot check it")


def _rounding(
    model: ReferenceModel, source: Source, texts: Texts, float32: Mapping[Kind, ReferenceAttention]
) -> float:
    """The rounding error of the reference: float32 against the format if that is half, else float64."""
    dtype = source.backend.dtype if source.backend.dtype.is_half else DType.FLOAT64
    others = model.attention_of(texts, list(float32), dtype)
    _check_reference(source.card.name, others, dtype)
    by_kind = [
        rounding_of([(a.weights, others[kind].weights), (a.outputs, others[kind].outputs)])
        for kind, a in float32.items()
    ]
    return max(0.0, *by_kind)  # 0 first: max() then ignores NaN


def _with_target(reading: Reading) -> Texts:
    """The texts of the reading; a decoder without a text of its own reads the same text."""
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
    """The differences between the layers of one kind, all or some, and the reference."""
    source = reading.source
    layers = [layer for layer in source.kinds[kind].layers if only_layers is None or layer in only_layers]
    for layer, attention in zip(layers, source.attentions(texts, kind, layers), strict=True):
        yield _difference(kind, layer, attention, reference)


def _difference(kind: Kind, layer: int, attention: Layer, reference: ReferenceAttention) -> Difference:
    steps = attention.steps(range(attention.heads), {Step.WEIGHTS})
    output = None
    if layer in reference.outputs and Step.OUTPUT not in attention.absent:
        output = relative_difference(to_numpy(attention.result()), reference.outputs[layer])
    sink = attention.sink(range(attention.heads))
    ours = steps[Step.WEIGHTS] if sink is None else sink.as_returned(steps[Step.WEIGHTS])
    return Difference(kind, layer, largest_difference(to_numpy(ours), reference.weights[layer]), output)
