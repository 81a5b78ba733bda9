"""Finds which attention a model computes, by running a sketch of it: the model without weights."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any

import torch  # 1.7 s: imported only by modules that need it anyway

from attn_cli.errors import AttnError
from attn_cli.models.bridge.capture import AttentionRecord, AttentionRecorder, ModulePlace, recording
from attn_cli.models.bridge.hf_models import has_decoder, inputs_of, is_encoder_alone, is_sketch
from attn_cli.models.hf_errors import translated_errors
from attn_cli.models.source import Extent
from attn_cli.record import record
from attn_cli.vocabulary import Kind

_LENGTHS = (13, 7, 17, 11, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61)
"""The possible lengths of the sketch's texts: those that are no number of the model's own."""
_MOST_SHAPES = 3
_OTHER_INPUTS = re.compile(
    r"pixel|image|video|audio|speech|input_(features|values)|past_values|hidden_states"
)
_LISTED = "attn models --families lists what can be shown"
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
    lengths = _sketch_lengths(model)
    watch = _watch_sketch(name, model, lengths)
    by_kind: dict[Kind, list[AttentionRecord]] = {}
    for attention in _attentions(watch.records):
        by_kind.setdefault(_kind(model, attention, lengths), []).append(attention)
    places: dict[ModulePlace, tuple[Kind, int]] = {}
    kinds: dict[Kind, Extent] = {}
    for kind in (kind for kind in Kind if kind in by_kind):
        numbered = _by_layer(by_kind[kind])
        shown = {layer: attention for layer, attention in numbered.items() if attention.is_matrix}
        if shown:
            kinds[kind] = _extent(numbered, shown, lengths[0])
            places |= {attention.key: (kind, layer) for layer, attention in shown.items()}
    if not kinds and any(attention.fits for attention in watch.records):
        problem = f"{name} changes the result of its softmax before it multiplies the values"
        raise AttnError(problem, _LISTED)
    if not kinds:
        raise no_matrix(name, model, lengths[0], watch)
    first = next(attention for attention in by_kind[next(iter(kinds))] if attention.is_matrix)
    return AttentionPlan(places, kinds, first)


def _sketch_lengths(model: Any) -> tuple[int, int]:
    """The lengths of the sketch's texts: unequal, and neither a number of the config nor a size of a tensor.

    So a softmax over as many experts as there are tokens is never taken for attention.
    """
    own = set(_numbers(model.config.to_dict()))
    own |= {size for tensor in (*model.parameters(), *model.buffers()) for size in tensor.shape}
    length, target = [*(length for length in _LENGTHS if length not in own), *_LENGTHS][:2]
    return max(length, target), min(length, target)


def _numbers(settings: Any) -> Iterator[int]:
    """Every integer in the settings, the nested ones included."""
    if isinstance(settings, dict):
        settings = list(settings.values())
    if isinstance(settings, list | tuple):
        for setting in settings:
            yield from _numbers(setting)
    elif isinstance(settings, int):
        yield settings


def _attentions(records: Sequence[AttentionRecord]) -> Iterator[AttentionRecord]:
    """Of each call of a module one softmax: its attention, if it has one.

    A softmax that multiplies nothing is a router's or a gate's, unless it is over the tokens: then the module
    changes its weights before it uses them.
    """
    by_call: dict[int, list[AttentionRecord]] = {}
    for attention in records:
        if attention.fits or attention.multiplies:
            by_call.setdefault(id(attention.frame), []).append(attention)
    for each in by_call.values():
        yield min(each, key=lambda attention: (not attention.is_matrix, not attention.fits))


def _watch_sketch(name: str, model: Any, lengths: tuple[int, int]) -> AttentionRecorder:
    """Record every attention in a run over arbitrary tokens, without its numbers.

    Raises:
        AttnError: the model cannot be run on tokens alone.
        CannotSketchError: it needs weights to run, and has none.
    """
    length, target = lengths
    watch = AttentionRecorder(matrix_shapes(model, length, target))
    size = vocabulary_size(model.config)
    ids = [index % size for index in range(5, 5 + length)]
    try:
        with translated_errors(f"{name} cannot be run on tokens alone"), recording(model, watch):
            model(**inputs_of(model, ids, [0] * length, ids[:target]))
    except AttnError as error:
        needs = _other_inputs(model)
        if needs and " meta" not in error.problem:  # an error that names the meta device is the sketch's own
            raise AttnError(f"{name} reads {needs}, not text alone", _READS_TEXT) from error
        if is_sketch(model):
            raise CannotSketchError(error.problem, error.hint) from error
        raise
    return watch


def _other_inputs(model: Any) -> str:
    """What the model reads besides text or instead of it, as transformers declares; empty if nothing."""
    if not any(_OTHER_INPUTS.search(name) for name in inspect.signature(model.forward).parameters):
        return ""
    declared = getattr(model, "input_modalities", None) or ()
    names = (declared,) if isinstance(declared, str) else tuple(declared)
    return " and ".join(name for name in names if name != "text")


def _extent(
    numbered: Mapping[int, AttentionRecord], shown: Mapping[int, AttentionRecord], length: int
) -> Extent:
    """The layers of one kind: those that can be shown, and why the others cannot."""
    others = {
        layer: _why_not(attention, length) for layer, attention in numbered.items() if layer not in shown
    }
    heads = max(attention.size[0] for attention in shown.values())
    return Extent(tuple(shown), heads, others, any(attention.has_sink for attention in shown.values()))


def _why_not(attention: AttentionRecord, length: int) -> str:
    """Why this attention is no matrix over the tokens that multiplies the values."""
    if attention.fits:
        return "it changes the result of its softmax before it multiplies the values"
    return f"for {length} tokens its softmax is over {' × '.join(map(str, attention.size))}"


def _by_layer(records: Sequence[AttentionRecord]) -> dict[int, AttentionRecord]:
    """The records by layer, numbered by the modules' names; if those do not increase, by order of execution.

    ALBERT runs one layer many times, and Funnel restarts its numbering in each block.
    """
    fitting = [attention for attention in records if attention.is_matrix]
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


def _kind(model: Any, attention: AttentionRecord, lengths: tuple[int, int]) -> Kind:
    if not has_decoder(model):
        return Kind.ENCODER if is_encoder_alone(model) else Kind.SELF
    parts = (part for name in attention.key[0] for part in name.split("."))
    side = next((part for part in parts if part in {"encoder", "decoder"}), "encoder")
    if side == "encoder":
        return Kind.ENCODER
    return Kind.CROSS if attention.size[:0:-1] == lengths else Kind.DECODER


def matrix_shapes(model: Any, length: int, target: int) -> list[tuple[int, int]]:
    """The shapes (T, S) an attention matrix can have."""
    square = [(length, length)]
    return [*square, (target, target), (target, length)] if has_decoder(model) else square


def no_matrix(what: str, model: Any, length: int, watch: AttentionRecorder) -> AttnError:
    """The error for a model without an attention matrix: what it computes instead."""
    shapes = list(dict.fromkeys(watch.misfits))
    if shapes:
        shown = ", ".join(" × ".join(map(str, shape)) for shape in shapes[:_MOST_SHAPES])
        more = " and others" if len(shapes) > _MOST_SHAPES else ""
        problem = f"{what} has no {length} × {length} attention matrix: its softmax is over {shown}{more}"
        return AttnError(problem, _LISTED)
    classes = [type(module).__name__ for module in model.modules()]
    attending = " and ".join(name for name in dict.fromkeys(classes) if "Attention" in name)
    if attending:
        return AttnError(
            f"{what} has no attention matrix: no softmax over tokens runs in {attending}", _LISTED
        )
    return AttnError(f"{what} has no attention: its layers are {' and '.join(_classes(model))}", _LISTED)


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
