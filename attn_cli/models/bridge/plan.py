"""Finds which attention a model computes, by running a sketch of it: the model without weights."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any

import torch  # 1.7 s: imported only by modules that need it anyway

from attn_cli.errors import AttnError
from attn_cli.models.bridge.capture import AttentionRecord, AttentionRecorder, ModulePlace, recording
from attn_cli.models.bridge.hf_models import inputs_of, is_sketch
from attn_cli.models.hf_errors import translated_errors
from attn_cli.models.source import Extent
from attn_cli.record import record
from attn_cli.vocabulary import Kind

_LENGTH, _TARGET_LENGTH = 13, 7  # of the sketch's texts: unequal, and unlike any head count or width
_MOST_SHAPES = 3
_READS_TEXT = "use a model that reads text alone: attn models --families lists them"


@record(frozen=True, slots=True, eq=False)
class AttentionPlan:
    """The attention a model computes, as found by running its sketch."""

    places: Mapping[ModulePlace, tuple[Kind, int]]  # where attention runs: which kind, which layer
    kinds: Mapping[Kind, Extent]
    first: AttentionRecord  # of the first kind


class CannotSketchError(AttnError):
    """The model cannot run without weights."""


def plan_attention(name: str, model: Any) -> AttentionPlan:
    """Find the attention that `model`, called `name`, computes.

    Raises:
        AttnError: it has no attention matrix over its tokens, or cannot be run on tokens alone.
    """
    watch = _watch_sketch(name, model)
    by_kind: dict[Kind, list[AttentionRecord]] = {}
    for attention in watch.records:
        by_kind.setdefault(_kind(model, attention), []).append(attention)
    if not any(attention.fits for attention in watch.records):
        raise no_matrix(name, model, _LENGTH, watch)
    places: dict[ModulePlace, tuple[Kind, int]] = {}
    kinds: dict[Kind, Extent] = {}
    for kind in (kind for kind in Kind if kind in by_kind):
        numbered = _by_layer(by_kind[kind])
        shown = {layer: attention for layer, attention in numbered.items() if attention.fits}
        if shown:
            kinds[kind] = _extent(numbered, shown)
            places |= {attention.key: (kind, layer) for layer, attention in shown.items()}
    first = next(attention for attention in by_kind[next(iter(kinds))] if attention.fits)
    return AttentionPlan(places, kinds, first)


def _watch_sketch(name: str, model: Any) -> AttentionRecorder:
    """Record every attention in a run over arbitrary tokens, without its numbers.

    Raises:
        AttnError: the model cannot be run on tokens alone.
        CannotSketchError: it needs weights to run, and has none.
    """
    watch = AttentionRecorder(matrix_shapes(model, _LENGTH, _TARGET_LENGTH), lambda _: False)
    size = vocabulary_size(model.config)
    ids = [index % size for index in range(5, 5 + _LENGTH)]
    try:
        with translated_errors(f"{name} cannot be run on tokens alone"), recording(model, watch):
            model(**inputs_of(model, ids, [0] * _LENGTH, ids[:_TARGET_LENGTH]))
    except AttnError as error:
        needs = _other_inputs(model)
        if needs:
            raise AttnError(f"{name} reads {needs}, not text alone", _READS_TEXT) from error
        if is_sketch(model):
            raise CannotSketchError(error.problem, error.hint) from error
        raise
    return watch


def _other_inputs(model: Any) -> str:
    """What the model reads besides text or instead of it, as transformers declares; empty if nothing."""
    declared = getattr(model, "input_modalities", None) or ()
    names = (declared,) if isinstance(declared, str) else tuple(declared)
    return " and ".join(name for name in names if name != "text")


def _extent(numbered: Mapping[int, AttentionRecord], shown: Mapping[int, AttentionRecord]) -> Extent:
    """The layers of one kind: those that can be shown, and why the others cannot."""
    others = {layer: _other_shape(attention) for layer, attention in numbered.items() if not attention.fits}
    heads = max(attention.size[0] for attention in shown.values())
    return Extent(tuple(shown), heads, others, any(attention.has_sink for attention in shown.values()))


def _other_shape(attention: AttentionRecord) -> str:
    """The shape of an attention that is not a matrix over the tokens."""
    return f"for {_LENGTH} tokens its softmax is over {' × '.join(map(str, attention.size))}"


def _by_layer(records: Sequence[AttentionRecord]) -> dict[int, AttentionRecord]:
    """The records by layer, numbered by the modules' names; if those do not increase, by order of execution.

    Another softmax in a layer, such as a router's, is none of its attention: it does not count as a layer.
    ALBERT runs one layer many times, and Funnel restarts its numbering in each block.
    """
    fitting = [attention for attention in records if attention.fits]
    if not _increases(fitting):
        return dict(enumerate(records))
    by_layer = {_layer_number(attention.key[0]): attention for attention in reversed(records)}
    by_layer |= {_layer_number(attention.key[0]): attention for attention in fitting}
    named = ((layer, record) for layer, record in by_layer.items() if layer is not None)
    return dict(sorted(named, key=itemgetter(0)))


def _increases(records: Sequence[AttentionRecord]) -> bool:
    """Whether every record has a layer number, larger than the one before it."""
    numbers = [_layer_number(attention.key[0]) for attention in records]
    named = [number for number in numbers if number is not None]
    return len(named) == len(records) and all(a < b for a, b in pairwise(named))


def _layer_number(trail: Sequence[str]) -> int | None:
    """The number of the outermost numbered module: 3 in `encoder.layer.3`."""
    matches = (re.search(r"\.(\d+)$", name) for name in trail)
    return next((int(match[1]) for match in matches if match), None)


def _kind(model: Any, attention: AttentionRecord) -> Kind:
    if not model.config.is_encoder_decoder:
        return Kind.SELF
    parts = (part for name in attention.key[0] for part in name.split("."))
    side = next((part for part in parts if part in {"encoder", "decoder"}), "encoder")
    if side == "encoder":
        return Kind.ENCODER
    return Kind.CROSS if attention.size[1:] == (_TARGET_LENGTH, _LENGTH) else Kind.DECODER


def matrix_shapes(model: Any, length: int, target: int) -> list[tuple[int, int]]:
    """The shapes (T, S) an attention matrix can have."""
    square = [(length, length)]
    return [*square, (target, target), (target, length)] if model.config.is_encoder_decoder else square


def no_matrix(what: str, model: Any, length: int, watch: AttentionRecorder) -> AttnError:
    """The error for a model without an attention matrix: what it computes instead."""
    hint = "attn models --families lists what can be shown"
    shapes = list(dict.fromkeys(watch.misfits))
    if shapes:
        shown = ", ".join(" × ".join(map(str, shape)) for shape in shapes[:_MOST_SHAPES])
        more = " and others" if len(shapes) > _MOST_SHAPES else ""
        problem = f"{what} has no {length} × {length} attention matrix: its softmax is over {shown}{more}"
        return AttnError(problem, hint)
    classes = [type(module).__name__ for module in model.modules()]
    attending = " and ".join(name for name in dict.fromkeys(classes) if "Attention" in name)
    if attending:
        return AttnError(f"{what} has no attention matrix: no softmax over tokens runs in {attending}", hint)
    return AttnError(f"{what} has no attention: its layers are {' and '.join(_classes(model))}", hint)


def _classes(model: Any) -> Iterator[str]:
    """The classes of the layers: those in the longest `ModuleList`."""
    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList) and len(module)]
    longest = max(lists, key=len, default=())
    yield from dict.fromkeys(type(layer).__name__ for layer in longest)


def vocabulary_size(config: Any) -> int:
    """The number of token ids; practically unlimited if the configuration does not say."""
    return first_count(config.get_text_config(), "vocab_size") or 2**63


def first_count(config: Any, *names: str) -> int | None:
    """The first of the settings that is an integer of at least 1."""
    settings = (getattr(config, name, None) for name in names)
    return next((setting for setting in settings if isinstance(setting, int) and setting > 0), None)
