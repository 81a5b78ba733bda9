"""Families without a file of their own: transformers' own eager model, observed as it runs.

Which attention a model has is found by running a sketch of it, a model without weights, over thirteen
tokens that are no text. Then as many of its layers are loaded as the layers that were asked for need.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch  # 1.7 s: whoever imports this file wants it

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

_LENGTH, _TARGET_LENGTH = 13, 7  # of the sketch's texts: unequal, and no number of heads or features
_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_MOST_SHAPES = 3


@record(frozen=True, slots=True, eq=False)
class AttentionPlan:
    """Which attention a model runs, as its sketch showed."""

    places: Mapping[ModulePlace, tuple[Kind, int]]  # where it runs to what it is called: a kind and a layer
    kinds: Mapping[Kind, Extent]
    first: AttentionRecord  # of the first kind


def open_bridge(name: str, directory: Path, kind: str, backend: Backend, request: SourceRequest) -> "Bridge":
    """The model in `directory`, called `name`, of the model type `kind`.

    Where the request trusts it, the checkpoint's own Python code may run, which knows types that nobody
    else does.

    Raises:
        AttnError: transformers does not know the type or cannot read the files, or the model has no
            attention that is a matrix of tokens.
        UsageError: its mask is to be overruled.
    """
    if not directory.is_dir():
        problem = f"the model type '{kind}' is read from a directory, and {directory} is a file"
        raise AttnError(problem, "give the directory that the file was made from")
    if not is_known(kind) and not request.trusts_code:
        problem = f"the model type '{kind}' is not known: {directory / 'config.json'}"
        raise AttnError(problem, "attn models --families lists the types that are")
    if request.is_causal is not None:
        problem = f"{name} is computed by transformers, and its mask cannot be overruled"
        raise UsageError(problem, "leave --causal and --no-causal out")
    tokenizer = open_tokenizer(directory, trusts_code=request.trusts_code)
    model = Bridge(request, name, directory, tokenizer, torch_backend(backend.device, backend.dtype))
    model.check_plan()
    return model


@record(frozen=True, eq=False)
class Bridge:
    """A `Source` that is one model of transformers: its sketch, its plan, and as much of it as is loaded."""

    request: SourceRequest
    name: str
    directory: Path
    tokenizer: Tokenizer
    backend: Backend
    engine: str = "transformers"
    is_causal: bool = False

    def check_plan(self) -> None:
        """Raise `AttnError` where the model has no attention that is a matrix of tokens.

        Raises:
            AttnError: it has none.
        """
        assert self.plan.kinds, "a plan has a kind of attention, or is an error"

    @property
    def trusts_code(self) -> bool:
        """Whether the checkpoint's own Python code may run."""
        return self.request.trusts_code

    @property
    def kinds(self) -> Mapping[Kind, Extent]:
        """The kinds of attention that its sketch showed."""
        return self.plan.kinds

    @property
    def has_decoder(self) -> bool:
        """Whether it has a decoder."""
        return Kind.DECODER in self.plan.kinds or Kind.CROSS in self.plan.kinds

    @property
    def longest(self) -> int | None:
        """How many tokens it was made for."""
        return self._room[0]

    @property
    def is_bounded(self) -> bool:
        """Whether it cannot read more: it has a vector for each position."""
        return self._room[1]

    @cached_property
    def _room(self) -> tuple[int | None, bool]:
        return _room(self.config, self.whole)

    def head_labels(self) -> tuple[HeadLabel, ...]:
        """Nobody has measured its heads."""
        return ()

    def reference_model(self) -> ReferenceModel:
        """transformers' eager attention over the same files."""
        from attn_cli.models.bridge.reference import EagerModel

        layers = {kind: extent.layers for kind, extent in self.plan.kinds.items()}
        return EagerModel(self.directory, layers, {}, self.trusts_code)

    def with_backend(self, backend: Backend) -> "Bridge":
        """The same model; whatever the library, transformers computes with PyTorch."""
        other = replace(self, backend=torch_backend(backend.device, backend.dtype))
        vars(other).update(vars(self) | vars(other))  # with the sketch, its plan and what else is cached
        return other

    @cached_property
    def config(self) -> Any:
        """As transformers reads it."""
        return read_config(self.directory, trusts_code=self.trusts_code)

    @cached_property
    def whole(self) -> Any:
        """All modules of the model, without weights."""
        return build_sketch(self.config, trusts_code=self.trusts_code)

    @cached_property
    def plan(self) -> AttentionPlan:
        """Which attention it runs."""
        try:
            return plan_attention(self.name, self.whole)
        except CannotSketchError:  # it looks at numbers to decide what to compute
            return plan_attention(self.name, self._load(self.config))

    def _load(self, config: Any) -> Any:
        return load_model(self.directory, config, self.backend, trusts_code=self.trusts_code)

    def attentions(self, texts: Texts, kind: Kind, layers: Sequence[int]) -> Iterator[Layer]:
        """The attention of those layers, after one run of the model; it keeps no other."""
        short = shorten_config(self.config, kind, 1 + max(layers), self.whole, trusts_code=self.trusts_code)
        records, error = self._recorded(short or self.config, texts, kind, layers)
        if error is not None and short is not None:  # some count two attentions as a layer, some one
            records, error = self._recorded(self.config, texts, kind, layers)
        if error is not None:
            raise error
        kv_heads = self.card.kv_heads
        for layer in layers:
            yield build_layer(records.pop(layer), kv_heads)

    def _recorded(
        self, config: Any, texts: Texts, kind: Kind, layers: Sequence[int]
    ) -> tuple[dict[int, AttentionRecord], AttnError | None]:
        """What was seen of those layers in one run; and where some did not show, the reason."""
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
        """The tokens, whose ids are checked against the size of the vocabulary.

        Raises:
            AttnError: a token is beyond it, or of a segment that the model has not.
        """
        return self._checked(self.tokenizer(text, pair))

    def _checked(self, tokens: tuple[Token, ...]) -> tuple[Token, ...]:
        hint = f"check that tokenizer.json and config.json in {self.directory} belong to the same model"
        size, segments = _vocabulary(self.config), getattr(self.config, "type_vocab_size", None) or 0
        for token in tokens:
            if token.id >= size:
                problem = f"the token '{token.piece}' is number {token.id} of a vocabulary of {size}"
                raise AttnError(problem, hint)
            if 0 < segments <= token.segment:
                problem = f"the token '{token.piece}' is of segment {token.segment} of {segments}"
                raise AttnError(problem, hint)
        return tokens

    def target_tokens(self, text: str) -> tuple[Token, ...]:
        """What the decoder reads; without a start token of its own the last one stands first.

        That is how mBART moves the language to the front (`modeling_mbart.py`, `shift_tokens_right`).
        """
        tokenizer, start = self.tokenizer.target_tokenizer(), self._start_id()
        tokens = self._checked(tokenizer(text))
        return shift_right(tokens[-1] if start is None else tokenizer.token(start), tokens)

    def check(self) -> None:
        """Raise `AttnError` unless there are weights.

        Raises:
            AttnError: there are none.
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
        """Whether the tokenizer puts a mark between two texts."""
        tokens = self.tokenizer("a", "a")
        ordinary = [token.position for token in tokens if not token.special]
        return any(token.special for token in tokens[ordinary[0] : ordinary[-1]]) if ordinary else False

    @cached_property
    def card(self) -> Card:
        """What the model is, in numbers."""
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


class CannotSketchError(AttnError):
    """A model without numbers does not run."""


def plan_attention(name: str, model: Any) -> AttentionPlan:
    """Which attention `model`, called `name`, runs.

    Raises:
        AttnError: none that is a matrix of tokens, or it cannot be run on tokens alone.
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
        numbered = dict(zip(_layer_numbers(by_kind[kind]), by_kind[kind], strict=True))
        shown = {layer: attention for layer, attention in numbered.items() if attention.fits}
        if shown:
            kinds[kind] = _extent(numbered, shown)
            places |= {attention.key: (kind, layer) for layer, attention in shown.items()}
    first = next(attention for attention in by_kind[next(iter(kinds))] if attention.fits)
    return AttentionPlan(places, kinds, first)


def _watch_sketch(name: str, model: Any) -> AttentionRecorder:
    """Every attention that runs over tokens that are no text; none is kept.

    Raises:
        AttnError: the model cannot be run on tokens alone.
        CannotSketchError: it needs numbers to run, and has none.
    """
    watch = AttentionRecorder(_fits(model, _LENGTH, _TARGET_LENGTH), lambda _: False)
    size = _vocabulary(model.config)
    ids = [index % size for index in range(5, 5 + _LENGTH)]
    try:
        with translated_errors(f"{name} cannot be run on tokens alone"), recording(model, watch):
            model(**inputs_of(model, ids, [0] * _LENGTH, ids[:_TARGET_LENGTH]))
    except AttnError as error:
        if is_sketch(model):
            raise CannotSketchError(error.problem, error.hint) from error
        raise
    return watch


def _extent(numbered: Mapping[int, AttentionRecord], shown: Mapping[int, AttentionRecord]) -> Extent:
    """The layers of one kind: those that are `shown`, and why the others are not."""
    others = {layer: _other_shape(attention) for layer, attention in numbered.items() if not attention.fits}
    return Extent(tuple(shown), max(attention.size[0] for attention in shown.values()), others)


def _other_shape(attention: AttentionRecord) -> str:
    """The true shape of what is no matrix of tokens."""
    return f"of {_LENGTH} tokens its softmax is over {' × '.join(map(str, attention.size))}"


def _layer_numbers(records: Sequence[AttentionRecord]) -> tuple[int, ...]:
    """The numbers of their layers, by the modules' names; where those do not go up, by their order.

    ALBERT runs one layer many times, Funnel numbers its layers anew in each block.
    """
    numbers = [_layer_number(attention.key[0]) for attention in records]
    named = [number for number in numbers if number is not None]
    goes_up = len(named) == len(records) and all(a < b for a, b in pairwise(named))
    return tuple(named) if goes_up else tuple(range(len(records)))


def _layer_number(trail: Sequence[str]) -> int | None:
    """The number of the outermost module that has one: 3 of `encoder.layer.3`."""
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
    """The shapes (T, S) that a matrix of attention has."""
    square = [(length, length)]
    return [*square, (target, target), (target, length)] if model.config.is_encoder_decoder else square


def _no_matrix(what: str, model: Any, length: int, watch: AttentionRecorder) -> AttnError:
    """Why there is nothing to show: what the model is, or the true shape of what it has."""
    hint = "attn models --families lists what can be shown"
    shapes = list(dict.fromkeys(watch.misfits))
    if shapes:
        shown = ", ".join(" × ".join(map(str, shape)) for shape in shapes[:_MOST_SHAPES])
        more = " and others" if len(shapes) > _MOST_SHAPES else ""
        problem = f"{what} has no matrix of {length} × {length} tokens: its softmax is over {shown}{more}"
        return AttnError(problem, hint)
    classes = [type(module).__name__ for module in model.modules()]
    attending = " and ".join(name for name in dict.fromkeys(classes) if "Attention" in name)
    if attending:
        return AttnError(f"{what} has no matrix of tokens: no softmax over them runs in {attending}", hint)
    return AttnError(f"{what} has no attention: its layers are {' and '.join(_classes(model))}", hint)


def _classes(model: Any) -> Iterator[str]:
    """What the layers are: the classes in the longest list of modules."""
    lists = [module for module in model.modules() if isinstance(module, torch.nn.ModuleList) and len(module)]
    longest = max(lists, key=len, default=())
    yield from dict.fromkeys(type(layer).__name__ for layer in longest)


def _room(config: Any, whole: Any) -> tuple[int | None, bool]:
    """How many tokens the model was made for, and whether it has a learned vector for each place."""
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
    """The first of the settings that is a whole number of at least 1."""
    settings = (getattr(config, name, None) for name in names)
    return next((setting for setting in settings if isinstance(setting, int) and setting > 0), None)
