"""Families without a native implementation: transformers' eager model, observed as it runs.

Which attention a model has is found by running a sketch of it (the model without weights) over thirteen
arbitrary tokens. Then only as many layers are loaded as the requested layers need.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch  # 1.7 s: imported only by modules that need it anyway

from attn_cli.errors import AttnError, UsageError
from attn_cli.mapped_files import check_unchanged
from attn_cli.models.backend import Backend, torch_backend
from attn_cli.models.bridge.capture import AttentionRecord, AttentionRecorder, recording
from attn_cli.models.bridge.captured_layer import build_layer
from attn_cli.models.bridge.exact_numbers import exact_numbers
from attn_cli.models.bridge.hf_models import (
    NamedClass,
    RopeTables,
    build_sketch,
    inputs_of,
    is_known,
    is_quantised,
    load_model,
    of_text,
    read_config,
    shorten_config,
)
from attn_cli.models.bridge.plan import (
    AttentionPlan,
    CannotSketchError,
    first_count,
    matrix_shapes,
    no_matrix,
    plan_attention,
    vocabulary_size,
)
from attn_cli.models.bridge.spread import devices_for
from attn_cli.models.bridge.state import adapted_weights, check_layers, unwrapped_weights
from attn_cli.models.bridge.support import read_support
from attn_cli.models.files.claims import (
    FalseClaimError,
    Held,
    bounded_modules,
    check_counts,
    check_files,
    check_sizes,
    held_by,
)
from attn_cli.models.files.config import read_json
from attn_cli.models.files.tensors import Tensor
from attn_cli.models.files.weights import Weights, open_weights
from attn_cli.models.generation.refusal import no_continuation
from attn_cli.models.head_labels import HeadLabel
from attn_cli.models.hf_errors import translated_errors
from attn_cli.models.source import (
    Card,
    Choice,
    Extent,
    Layer,
    ReferenceModel,
    SlidingWindow,
    SourceRequest,
    Texts,
)
from attn_cli.models.tokens.chat.template import ChatTemplate
from attn_cli.models.tokens.fit import Fit
from attn_cli.models.tokens.open import open_tokenizer, tokenizer_directory
from attn_cli.models.tokens.token import Token, TokenColumns, Tokenizer, shift_right
from attn_cli.models.tokens.writing import Writing
from attn_cli.record import record
from attn_cli.vocabulary import DType, Kind

if TYPE_CHECKING:
    from attn_cli.models.bridge.language_head.prediction import BridgePredictor, LanguageModel
    from attn_cli.models.bridge.language_head.watching import WatchedPlaces

_WINDOWS = (
    *("sliding_window", "local_attention", "attention_window", "window_size", "attention_chunk_size"),
    *("local_window_size", "sliding_window_size", "local_radius"),
)


def open_bridge(
    name: str,
    directory: Path,
    kind: str,
    backend: Backend,
    request: SourceRequest,
    *,
    adapter: Path | None = None,
    remarks: tuple[str, ...] = (),
    overrides: Mapping[str, object] | None = None,
    tokenizer: Tokenizer | None = None,
) -> "Bridge":
    """Open the model of type `kind` in `directory` under the name `name`; `tokenizer` replaces its own.

    If the request trusts it, the checkpoint's own Python code may run, for types that transformers lacks.
    `adapter` is the directory of a LoRA adapter to merge; `remarks` tell how the name was understood;
    `overrides` are values that `config.json` lacks.

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
    check_files(directory)
    place = tokenizer_directory(directory, adapter)
    tokenizer = tokenizer or open_tokenizer(place, trusts_code=request.trusts_code)
    on, remarks = torch_backend(backend.device, backend.dtype), (*remarks, *_unmeasured(kind))
    model = Bridge(request, name, directory, tokenizer, on, adapter, remarks, overrides)
    model.check_plan()
    return model


def _unmeasured(kind: str) -> Iterator[str]:
    """A remark if the tests have not measured this model type: a newer transformers has it, or own code."""
    served = {each.type: each.served for each in read_support().families}
    if served.get(kind, "untried") == "untried":
        yield f"model type '{kind}' was not tested; attn verify compares its numbers with transformers"


@record(frozen=True, slots=True, eq=False)
class _Loaded:
    """A model that stays in memory."""

    model: Any
    tables: RopeTables


@record(frozen=True, eq=False)
class Bridge:
    """A `Source` over a transformers model: its sketch, its plan, and the layers that are loaded."""

    request: SourceRequest
    name: str
    directory: Path
    tokenizer: Tokenizer
    backend: Backend
    adapter: Path | None = None  # the directory of the adapter that is merged
    place_remarks: tuple[str, ...] = ()  # how the model's name and its type were understood
    overrides: Mapping[str, object] | None = None  # of what config.json says
    engine: str = "transformers"
    is_causal: bool = False
    keeps_model: bool = False  # whether what was loaded for a text stays for the next one
    _models: dict[object, "_Loaded"] = field(default_factory=dict, init=False)
    _language_models: dict[object, "LanguageModel"] = field(default_factory=dict, init=False)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know of its files and its tokenizer."""
        of_tokens = (*self.tokenizer.remarks, *self._fit.remarks(self.tokenizer))
        return (*self.place_remarks, *self.weights.remarks, *of_tokens)

    def check_plan(self) -> None:
        """Check that the model has an attention matrix over its tokens.

        Raises:
            AttnError: it has none.
        """
        assert self.plan.kinds, "a plan without any kind of attention raises an error"

    @property
    def paths(self) -> tuple[Path, ...]:
        """The directories of the model, of the adapter that is merged, and of the tokenizer."""
        places = (self.directory, self.adapter, self.tokenizer.directory)
        return tuple(dict.fromkeys(path for path in places if path))

    @property
    def weight_paths(self) -> tuple[Path, ...]:
        """Those of `paths` whose weights are read."""
        return (self.directory,) if self.adapter is None else (self.directory, self.adapter)

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

    @property
    def narrowest_window(self) -> SlidingWindow | None:
        """The narrowest window that the configuration names, which may be of any layer."""
        config = self.config.get_text_config()
        given = [getattr(config, name, None) for name in _WINDOWS]
        sizes = [size for each in given for size in (each if isinstance(each, list) else [each])]
        known = [size for size in sizes if isinstance(size, int) and size > 0]
        last = max(layer for extent in self.kinds.values() for layer in extent.layers)
        return SlidingWindow(last, min(known) + 1) if known else None

    @cached_property
    def _room(self) -> tuple[int | None, bool]:
        return _room(self.config, self.whole)

    def head_labels(self) -> tuple[HeadLabel, ...]:
        """None: only `attn train` writes head labels."""
        return ()

    def effects(self, _texts: Texts) -> NoReturn:
        """Never: the capture records what enters an attention, not what leaves it.

        Raises:
            AttnError: always.
        """
        problem = f"what heads of {self.name} write is not known: it is read through transformers"
        raise AttnError(problem, "use a model of a native type: attn models --families lists them")

    def decomposed_input(
        self, _texts: Texts, _kind: Kind, _layer: int, _queries: Sequence[int], _keys: Sequence[int]
    ) -> NoReturn:
        """Never: the capture records what enters an attention, not what wrote it.

        Raises:
            AttnError: always.
        """
        known = f"{self.name} is read through transformers, where only its sum is seen"
        problem = f"what each component wrote into the residual stream is not known: {known}"
        raise AttnError(problem, "use a model of a native type: attn models --families lists them")

    def predictor(self, texts: Texts) -> "BridgePredictor":
        """What the model's own head expects after each token, or in its place; the layers run once.

        Raises:
            AttnError: the model has no such head, or its files lack it.
        """
        from attn_cli.models.bridge.language_head.prediction import BridgePredictor  # few commands predict

        found = BridgePredictor(self._language_model, texts, self._is_exact)
        found.check_order()
        return found

    def check_generation(self, *, is_watched: bool = False) -> None:
        """Check that transformers has a class of this type that goes on with texts.

        Raises:
            AttnError: it has none, or a layer is to be watched.
        """
        from attn_cli.models.bridge.language_head.prediction import (
            language_class,  # few commands go on with a text
        )

        chosen = language_class(self.name, self.config)
        if not chosen.is_next:
            raise no_continuation(self.name, "it fills in masked tokens")
        if is_watched:
            whole = build_sketch(self.config, trusts_code=self.trusts_code, builder=NamedClass(chosen.named))
            for kind, extent in self.kinds.items():
                self._watched_places(kind, extent.layers[0]).part_of(of_text(whole))

    def generate(
        self, texts: Texts, most: int, choose: Choice, watched: tuple[Kind, int] | None = None
    ) -> tuple[int, ...]:
        """The ids of at most `most` tokens that follow the text, or the decoder's.

        Raises:
            AttnError: the model does not go on with texts, or its files lack its head.
        """
        from attn_cli.models.bridge.language_head.generation import (
            generated,  # few commands go on with a text
        )

        places = None if watched is None else self._watched_places(*watched)
        return generated(self._language_model, texts, most, choose, places, is_exact=self._is_exact)

    def _watched_places(self, kind: Kind, layer: int) -> "WatchedPlaces":
        """Where the attention of a layer runs that is watched."""
        from attn_cli.models.bridge.language_head.watching import WatchedPlaces

        keys = frozenset(key for key, at in self.plan.places.items() if at == (kind, layer))
        return WatchedPlaces(self.name, kind, layer, keys, self.whole, self.card.kv_heads)

    @property
    def devices(self) -> tuple[str, ...]:
        """Where the model is, if it stays in memory; else where it will be: all GPUs, if one is too small."""
        kept = next(iter(self._models.values()), None)
        if kept is not None:  # what it takes is free no longer
            return tuple(sorted({str(parameter.device) for parameter in kept.model.parameters()}))
        device = self.backend.device
        return (device,) if is_quantised(self.config) else devices_for(device, self.weights_held)

    @property
    def weights_held(self) -> int:
        """Bytes of the weights: the model is loaded as a whole."""
        return self.generation_weights

    @property
    def generation_weights(self) -> int:
        """Bytes of the weights: the model is loaded as a whole."""
        numbers = sum(int(parameter.numel()) for parameter in self.whole.parameters())
        return self.backend.dtype.size * numbers

    @property
    def generation_remarks(self) -> Sequence[str]:
        """None: transformers applies the rules of the checkpoint."""
        return ()

    def writing(self, texts: Texts, text: str) -> Writing:
        """What `text`, the last of the texts, becomes token by token; its tokens are those of the decoder."""
        if not self.has_decoder:
            return Writing(self.tokenizer, texts.tokens, text)
        return Writing(self.tokenizer.target_tokenizer(), texts.target, text)

    @property
    def _language_model(self) -> "LanguageModel":
        """The model with its head, loaded once for each device and number format."""
        from attn_cli.models.bridge.language_head.prediction import load_language_model

        backend = self.backend
        key = (backend.device, backend.dtype, backend.rounded)
        if key not in self._language_models:
            self._language_models[key] = load_language_model(
                *(self.name, self.directory, self.config, backend),
                trusts_code=self.trusts_code,
                state=self._state,
                adapter=self.adapter,
            )
        return self._language_models[key]

    def reference_model(self) -> ReferenceModel:
        """transformers' eager attention on the same files."""
        from attn_cli.models.bridge.reference import EagerModel

        layers = {kind: extent.layers for kind, extent in self.plan.kinds.items()}
        return EagerModel(
            self.directory,
            self.tokenizer.directory,
            layers,
            {},
            trusts_code=self.trusts_code,
            has_template=self.request.has_template,
            state=self._state,
            overrides=self.overrides,
        )

    def with_backend(self, backend: Backend) -> "Bridge":
        """The same model on the backend's device; transformers always computes with PyTorch."""
        other = replace(self, backend=torch_backend(backend.device, backend.dtype, backend.rounded))
        vars(other).update(vars(self) | vars(other))  # keeps the sketch, its plan and other cached values
        return other

    def for_many_texts(self, room: float) -> "Bridge":  # noqa: ARG002  it is loaded as a whole anyway
        """The same model, which stays in memory with all of its layers."""
        other = replace(self, keeps_model=True)
        vars(other).update(vars(self) | vars(other))  # as above
        return other

    @cached_property
    def config(self) -> Any:
        """The configuration as transformers reads it."""
        check_counts(read_json(self.directory / "config.json"), self._held)
        return read_config(self.directory, trusts_code=self.trusts_code, overrides=self.overrides)

    @cached_property
    def whole(self) -> Any:
        """All modules of the model that read text, without weights if it can be built without them."""
        return of_text(self._sketch)

    @cached_property
    def _sketch(self) -> Any:
        with bounded_modules(self._held):
            sketch = self._built()
        check_sizes(sketch, self._held)
        return sketch

    def _built(self) -> Any:
        try:
            return build_sketch(self.config, trusts_code=self.trusts_code)
        except FalseClaimError:
            raise
        except AttnError:  # an activation of Apertus reads its parameters, in some versions of transformers
            assert self._files, "they are checked before transformers opens them"
            return load_model(self.directory, self.config, self.backend, trusts_code=self.trusts_code)

    @cached_property
    def _files(self) -> Weights:
        """The tensors of the files, without an adapter."""
        return open_weights(self.directory)

    @cached_property
    def _held(self) -> Held:
        """What the files hold; where they are missing or damaged, that is said when they are read."""
        try:
            return held_by(self._files)
        except AttnError:
            return Held(self.directory)

    @cached_property
    def plan(self) -> AttentionPlan:
        """The attention the model computes."""
        try:
            return plan_attention(self.name, self.whole)
        except CannotSketchError:  # its control flow depends on values
            return plan_attention(self.name, self._load(self.config))

    @cached_property
    def weights(self) -> Weights:
        """The tensors of the files; their numbers are read by transformers, if it can."""
        if self.adapter is not None:
            return adapted_weights(self._files, self.adapter, self._sketch)
        return unwrapped_weights(self._files, self._sketch)

    @property
    def _state(self) -> Mapping[str, Tensor] | None:
        """The tensors that transformers would not read so from the files."""
        return self.weights.renamed if self.weights.is_changed else None

    def _load(self, config: Any) -> Any:
        trusts_code, state = self.trusts_code, self._state
        with exact_numbers(is_wanted=self._is_exact):
            return load_model(self.directory, config, self.backend, trusts_code=trusts_code, state=state)

    @property
    def _is_exact(self) -> bool:
        """Whether everything is float64, also what transformers casts to float32."""
        return self.backend.dtype is DType.FLOAT64

    def attentions(self, texts: Texts, kind: Kind, layers: Sequence[int]) -> Iterator[Layer]:
        """The attention of `layers`, recorded in one run of the model; no other layer is kept."""
        short = shorten_config(self.config, kind, 1 + max(layers), self.whole, trusts_code=self.trusts_code)
        records, error = self._recorded(short or self.config, texts, kind, layers)
        if error is not None and short is not None:  # the count may be of layers or of attentions
            records, error = self._recorded(self.config, texts, kind, layers)
        check_unchanged(self._files.files)
        if error is not None:
            raise error
        kv_heads = self.card.kv_heads
        for layer in layers:
            yield build_layer(records.pop(layer), kv_heads)

    def _recorded(
        self, config: Any, texts: Texts, kind: Kind, layers: Sequence[int]
    ) -> tuple[dict[int, AttentionRecord], AttnError | None]:
        """The records of those layers from one run, and an error if a layer is missing."""
        model = self._model(config)
        wanted = {key: at[1] for key, at in self.plan.places.items() if at[0] is kind and at[1] in layers}
        ids, segments = ([getattr(token, name) for token in texts.tokens] for name in ("id", "segment"))
        target = [token.id for token in texts.target] or [self._start_id() or 0]
        watch = AttentionRecorder(matrix_shapes(model, len(ids), len(target)), wanted.__contains__)
        inputs = inputs_of(model, ids, segments, target)
        with (
            translated_errors(f"transformers cannot run {self.name}"),
            recording(model, watch),
            exact_numbers(is_wanted=self._is_exact),
        ):
            model(**inputs)
        records = {wanted[attention.key]: attention for attention in watch.records if attention.is_kept}
        missing = next((layer for layer in layers if layer not in records), None)
        if missing is None:
            return records, None
        return records, no_matrix(f"layer {missing} of {self.name}", model, len(ids), watch)

    def _model(self, config: Any) -> Any:
        """The model of this configuration, as it was when it was loaded."""
        if not self.keeps_model:
            return self._load(config)
        key = config.to_json_string()
        if key not in self._models:
            self._models.clear()  # one of other layers would take as much memory
            model = self._load(config)
            self._models[key] = _Loaded(model, RopeTables.of(model))
        loaded = self._models[key]
        loaded.tables.restore()
        return loaded.model

    def tokens(self, text: str, pair: str | None, *, is_chat: bool = False) -> tuple[Token, ...]:
        """The tokens; their ids are checked against the size of the vocabulary.

        Raises:
            AttnError: an id is out of range, or the model does not have the token's segment.
        """
        splitter = self._splitter_of(is_chat=is_chat)
        return self._fit.checked(splitter(text, pair))

    def count(
        self, text: str, pair: str | None = None, *, is_chat: bool = False, is_target: bool = False
    ) -> int:
        """How many tokens `tokens`, or `target_tokens`, would make of a text; none of them is made.

        Raises:
            AttnError: the text cannot be tokenized.
        """
        return self._splitter_of(is_chat=is_chat, is_target=is_target).count(text, pair)

    def token_columns(self, text: str) -> TokenColumns | None:
        """The tokens of a long text in columns; None if it must be split as a whole.

        Raises:
            AttnError: as `tokens`.
        """
        columns = self._splitter.columns(text)
        if columns is not None:
            self._fit.checked(columns.kinds)
        return columns

    def chat_template(self) -> ChatTemplate | None:
        """The template that writes messages as one text; None if the tokenizer has none.

        Raises:
            AttnError: its file is damaged.
        """
        return self.tokenizer.chat_template()

    @property
    def _splitter(self) -> Tokenizer:
        """The tokenizer, with or without its template as requested."""
        return self.tokenizer if self.request.has_template else self.tokenizer.without_template()

    def _splitter_of(self, *, is_chat: bool = False, is_target: bool = False) -> Tokenizer:
        """The tokenizer that splits a text, a chat, or the text that the decoder reads."""
        if is_target:
            return self._splitter.target_tokenizer()
        return self.tokenizer.without_template() if is_chat else self._splitter

    @property
    def _fit(self) -> Fit:
        """What the tokens must fit."""
        size, segments = vocabulary_size(self.config), getattr(self.config, "type_vocab_size", None) or 0
        return Fit(size, segments, self.directory, self.request.tokenizer is not None)

    def target_tokens(self, text: str) -> tuple[Token, ...]:
        """The decoder's input tokens; without a start token the last token is moved to the front.

        That is what mBART does with the language token (`modeling_mbart.py`, `shift_tokens_right`).
        """
        tokenizer, start = self._splitter_of(is_target=True), self._start_id()
        tokens = self._fit.checked(tokenizer(text))
        return shift_right(tokens[-1] if start is None else self._fit.start(start, tokenizer), tokens)

    def plain_tokens(self, text: str, kind: Kind) -> tuple[Token, ...]:
        """The tokens of a text as this kind of attention reads them, without special tokens."""
        tokenizer = self._target_tokenizer if kind is Kind.DECODER else self.tokenizer
        return tuple(token for token in tokenizer(text, None) if not token.special)

    def vocabulary(self, kind: Kind) -> dict[int, str]:
        """The text of every token that this kind of attention can read, by id, without special tokens."""
        tokenizer, size = self.tokenizer, vocabulary_size(self.config)
        if kind is Kind.DECODER:
            tokenizer = tokenizer.target_tokenizer()
        return {index: text for index, text in tokenizer.vocabulary().items() if index < size}

    def token_text(self, index: int, kind: Kind) -> str:
        """The text of the token with this id, in the vocabulary of this kind; empty if it has none."""
        return (self._target_tokenizer if kind is Kind.DECODER else self.tokenizer).text(index)

    @cached_property
    def _target_tokenizer(self) -> Tokenizer:
        return self.tokenizer.target_tokenizer()

    @cached_property
    def mask_pieces(self) -> frozenset[str]:
        """What may stand for a masked token in the text."""
        from attn_cli.models.tokens.mask import mask_pieces  # few commands need it

        return mask_pieces(self.tokenizer)

    def check(self) -> None:
        """Check that there are weights of every layer, in floating point unless the model is quantised.

        Raises:
            AttnError: they are missing or damaged, or the adapter does not fit.
        """
        if not is_quantised(self.config):
            self.weights.check_floats()
        elif self.adapter is not None and self.weights.has_integers:
            problem = f"the adapter {self.adapter} cannot be merged: the weights of its base are quantised"
            raise AttnError(problem, "name a base that is not quantised as its base_model_name_or_path")
        check_layers(self.weights, self.whole)

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
        width = first.width or first_count(text, "hidden_size") or 1
        attending = 1 + max(self.plan.kinds[kind].layers)
        return Card(
            name=self.name,
            type=self.config.model_type,
            layers=max(attending, first_count(text, "num_hidden_layers") or 0)
            if kind is Kind.SELF
            else attending,
            heads=heads,
            kv_heads=first.kv_heads or _kv_heads(text) or heads,
            head_size=first.head_size or first_count(text, "head_dim", "d_head") or max(1, width // heads),
            width=width,
        )


def _kv_heads(config: Any) -> int | None:
    """How many key/value heads the configuration names; Falcon's older ones have one, whatever they name."""
    is_older = not getattr(config, "new_decoder_architecture", False)
    if getattr(config, "multi_query", False) and is_older:
        return 1
    return first_count(config, "num_key_value_heads", "num_kv_heads")


def _room(config: Any, whole: Any) -> tuple[int | None, bool]:
    """The number of tokens the model was made for, and whether it has learned position embeddings."""
    longest = first_count(config.get_text_config(), "max_position_embeddings")
    for name, module in whole.named_modules():
        is_table = isinstance(module, torch.nn.Embedding) and re.search(r"position|wpe|pos_emb", name)
        if is_table and longest is not None and longest <= module.num_embeddings <= longest + 2:
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            return min(longest, module.num_embeddings - first), True
    return longest, False
