"""Families without a native implementation: transformers' eager model, observed as it runs.

Which attention a model has is found by running a sketch of it (the model without weights) over thirteen
arbitrary tokens. Then only as many layers are loaded as the requested layers need.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch  # 1.7 s: imported only by modules that need it anyway

from attn_cli.errors import AttnError, UsageError
from attn_cli.models.backend import Backend, torch_backend
from attn_cli.models.bridge.capture import AttentionRecord, AttentionRecorder, ModulePlace, recording
from attn_cli.models.bridge.captured_layer import build_layer
from attn_cli.models.bridge.hf_models import (
    build_sketch,
    inputs_of,
    is_known,
    is_sketch,
    load_model,
    read_config,
    shorten_config,
)
from attn_cli.models.head_labels import HeadLabel
from attn_cli.models.hf_errors import translated_errors
from attn_cli.models.source import Card, Extent, Layer, ReferenceModel, SourceRequest, Texts
from attn_cli.models.tokens.open import open_tokenizer
from attn_cli.models.tokens.token import Token, Tokenizer, shift_right
from attn_cli.record import record
from attn_cli.vocabulary import Kind

_LENGTH, _TARGET_LENGTH = 13, 7  # of the sketch's texts: unequal, and unlike any head count or width
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_MOST_SHAPES = 3


@record(frozen=True, slots=True, eq=False)
class AttentionPlan:
    """The attention a model computes, as found by running its sketch."""

    places: Mapping[ModulePlace, tuple[Kind, int]]  # where attention runs: which kind, which layer
    kinds: Mapping[Kind, Extent]
    first: AttentionRecord  # of the first kind


def open_bridge(name: str, directory: Path, kind: str, backend: Backend, request: SourceRequest) -> "Bridge":
    """Open the model of type `kind` in `directory` under the name `name`.

    If the request trusts it, the checkpoint's own Python code may run, for types that transformers lacks.

    Raises:
        AttnError: transformers does not support the type or cannot read the files, or the model has no
            attention matrix over its tokens.
        UsageError: the request overrides the mask.
    """
    if not directory.is_dir():
        problem = f"model type '{kind}' can only be read from a directory: {directory} is a file"
        raise AttnError(problem, "the directory that the file was converted from")
    if not is_known(kind) and not request.trusts_code:
        problem = f"unknown model type '{kind}': {directory / 'config.json'}"
        raise AttnError(problem, "attn models --families lists the supported types")
    if request.is_causal is not None:
        problem = f"{name} is computed by transformers, and its mask cannot be overridden"
        raise UsageError(problem, "leave out --causal and --no-causal")
    tokenizer = open_tokenizer(directory, trusts_code=request.trusts_code)
    model = Bridge(request, name, directory, tokenizer, torch_backend(backend.device, backend.dtype))
    model.check_plan()
    return model


@record(frozen=True, eq=False)
class Bridge:
    """A `Source` over a transformers model: its sketch, its plan, and the layers that are loaded."""

    request: SourceRequest
    name: str
    directory: Path
    tokenizer: Tokenizer
    backend: Backend
    engine: str = "transformers"
    remarks: tuple[str, ...] = ()
    is_causal: bool = False

    def check_plan(self) -> None:
        """Check that the model has an attention matrix over its tokens.

        Raises:
            AttnError: it has none.
        """
        assert self.plan.kinds, "a plan without any kind of attention raises an error"

    @property
    def trusts_code(self) -> bool:
        """Whether the checkpoint's own Python code may run."""
        return self.request.trusts_code

    @property
    def kinds(self) -> Mapping[Kind, Extent]:
        """The kinds of attention found in the sketch."""
        return self.plan.kinds

    @property
    def has_decoder(self) -> bool:
        """Whether it has a decoder."""
        return Kind.DECODER in self.plan.kinds or Kind.CROSS in self.plan.kinds

    @property
    def longest(self) -> int | None:
        """The number of tokens the model was made for; None if its configuration does not say."""
        return self._room[0]

    @property
    def is_bounded(self) -> bool:
        """Whether `longest` is a hard limit: there is one learned embedding per position."""
        return self._room[1]

    @cached_property
    def _room(self) -> tuple[int | None, bool]:
        return _room(self.config, self.whole)

    def head_labels(self) -> tuple[HeadLabel, ...]:
        """None: only `attn train` writes head labels."""
        return ()

    def reference_model(self) -> ReferenceModel:
        """transformers' eager attention on the same files."""
        from attn_cli.models.bridge.reference import EagerModel

        layers = {kind: extent.layers for kind, extent in self.plan.kinds.items()}
        return EagerModel(self.directory, layers, {}, self.trusts_code)

    def with_backend(self, backend: Backend) -> "Bridge":
        """The same model on the backend's device; transformers always computes with PyTorch."""
        other = replace(self, backend=torch_backend(backend.device, backend.dtype))
        vars(other).update(vars(self) | vars(other))  # keeps the sketch, its plan and other cached values
        return other

    @cached_property
    def config(self) -> Any:
        """The configuration as transformers reads it."""
        return read_config(self.directory, trusts_code=self.trusts_code)

    @cached_property
    def whole(self) -> Any:
        """All modules of the model, without weights."""
        return build_sketch(self.config, trusts_code=self.trusts_code)

    @cached_property
    def plan(self) -> AttentionPlan:
        """The attention the model computes."""
        try:
            return plan_attention(self.name, self.whole)
        except CannotSketchError:  # its control flow depends on values
            return plan_attention(self.name, self._load(self.config))

    def _load(self, config: Any) -> Any:
        return load_model(self.directory, config, self.backend, trusts_code=self.trusts_code)

    def attentions(self, texts: Texts, kind: Kind, layers: Sequence[int]) -> Iterator[Layer]:
        """The attention of `layers`, recorded in one run of the model; no other layer is kept."""
        short = shorten_config(self.config, kind, 1 + max(layers), self.whole, trusts_code=self.trusts_code)
        records, error = self._recorded(short or self.config, texts, kind, layers)
        if error is not None and short is not None:  # the count may be of layers or of attentions
            records, error = self._recorded(self.config, texts, kind, layers)
        if error is not None:
            raise error
        kv_heads = self.card.kv_heads
        for layer in layers:
            yield build_layer(records.pop(layer), kv_heads)

    def _recorded(
        self, config: Any, texts: Texts, kind: Kind, layers: Sequence[int]
    ) -> tuple[dict[int, AttentionRecord], AttnError | None]:
        """The records of those layers from one run, and an error if a layer is missing."""
        model = self._load(config)
        wanted = {key: at[1] for key, at in self.plan.places.items() if at[0] is kind and at[1] in layers}
        ids, segments = ([getattr(token, name) for token in texts.tokens] for name in ("id", "segment"))
        target = [token.id for token in texts.target] or [self._start_id() or 0]
        watch = AttentionRecorder(_fits(model, len(ids), len(target)), wanted.__contains__)
        with translated_errors(f"transformers cannot run {self.name}"), recording(model, watch):
            model(**inputs_of(model, ids, segments, target))
        records = {wanted[attention.key]: attention for attention in watch.records if attention.is_kept}
        missing = next((layer for layer in layers if layer not in records), None)
        if missing is None:
            return records, None
        return records, _no_matrix(f"layer {missing} of {self.name}", model, len(ids), watch)

    def tokens(self, text: str, pair: str | None) -> tuple[Token, ...]:
        """The tokens; their ids are checked against the size of the vocabulary.

        Raises:
            AttnError: an id is out of range, or the model does not have the token's segment.
        """
        return self._checked(self.tokenizer(text, pair))

    def _checked(self, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        hint = f"check that tokenizer.json and config.json in {self.directory} belong to the same model"
        size, segments = _vocabulary(self.config), getattr(self.config, "type_vocab_size", None) or 0
        for token in tokens:
            if token.id >= size:
                problem = f"the token '{token.piece}' has id {token.id}, but the vocabulary has {size}"
                raise AttnError(problem, hint)
            if 0 < segments <= token.segment:
                problem = f"the token '{token.piece}' is in segment {token.segment}, but there are {segments}"
                raise AttnError(problem, hint)
        return tokens

    def target_tokens(self, text: str) -> tuple[Token, ...]:
        """The decoder's input tokens; without a start token the last token is moved to the front.

        That is what mBART does with the language token (`modeling_mbart.py`, `shift_tokens_right`).
        """
        tokenizer, start = self.tokenizer.target_tokenizer(), self._start_id()
        tokens = self._checked(tokenizer(text))
        return shift_right(tokens[-1] if start is None else tokenizer.token(start), tokens)

    def check(self) -> None:
        """Check that there is a file of weights.

        Raises:
            AttnError: there is none.
        """
        if not any((self.directory / file).exists() for file in _WEIGHTS):
            problem = f"{self.directory} has no weights: neither model.safetensors nor pytorch_model.bin"
            raise AttnError(problem, "download the model again")

    def _start_id(self) -> int | None:
        for config in (self.config, getattr(self.config, "decoder", None), self.config.get_text_config()):
            start = getattr(config, "decoder_start_token_id", None)
            if isinstance(start, int):
                return start
        return None

    @cached_property
    def takes_pairs(self) -> bool:
        """Whether the tokenizer puts a separator between two texts."""
        tokens = self.tokenizer("a", "a")
        ordinary = [token.position for token in tokens if not token.special]
        return any(token.special for token in tokens[ordinary[0] : ordinary[-1]]) if ordinary else False

    @cached_property
    def card(self) -> Card:
        """The name, the type and the dimensions of the model."""
        first, text = self.plan.first, self.config.get_text_config()
        kind = next(iter(self.plan.kinds))
        heads = first.size[0]
        width = first.width or _count(text, "hidden_size") or 1
        attending = 1 + max(self.plan.kinds[kind].layers)
        return Card(
            name=self.name,
            type=self.config.model_type,
            layers=max(attending, _count(text, "num_hidden_layers") or 0) if kind is Kind.SELF else attending,
            heads=heads,
            kv_heads=first.kv_heads or _count(text, "num_key_value_heads", "num_kv_heads") or heads,
            head_size=first.head_size or _count(text, "head_dim", "d_head") or max(1, width // heads),
            width=width,
        )


_READS_TEXT = "use a model that reads text alone: attn models --families lists them"


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
        raise _no_matrix(name, model, _LENGTH, watch)
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
    watch = AttentionRecorder(_fits(model, _LENGTH, _TARGET_LENGTH), lambda _: False)
    size = _vocabulary(model.config)
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
    return Extent(tuple(shown), max(attention.size[0] for attention in shown.values()), others)


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


def _fits(model: Any, length: int, target: int) -> list[tuple[int, int]]:
    """The shapes (T, S) an attention matrix can have."""
    square = [(length, length)]
    return [*square, (target, target), (target, length)] if model.config.is_encoder_decoder else square


def _no_matrix(what: str, model: Any, length: int, watch: AttentionRecorder) -> AttnError:
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


def _room(config: Any, whole: Any) -> tuple[int | None, bool]:
    """The number of tokens the model was made for, and whether it has learned position embeddings."""
    longest = _count(config.get_text_config(), "max_position_embeddings")
    for name, module in whole.named_modules():
        is_table = isinstance(module, torch.nn.Embedding) and re.search(r"position|wpe|pos_emb", name)
        if is_table and longest is not None and longest <= module.num_embeddings <= longest + 2:
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            return min(longest, module.num_embeddings - first), True
    return longest, False


def _vocabulary(config: Any) -> int:
    return _count(config.get_text_config(), "vocab_size") or 2**63


def _count(config: Any, *names: str) -> int | None:
    """The first of the settings that is an integer of at least 1."""
    settings = (getattr(config, name, None) for name in names)
    return next((setting for setting in settings if isinstance(setting, int) and setting > 0), None)
