"""A checkpoint run by our own transformer: a directory in Hugging Face layout, or a GGUF file."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cache, cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.core.masks import Rule, narrowed
from attn_cli.mapped_files import check_unchanged
from attn_cli.models.backend import Backend
from attn_cli.models.files.tensors import Tensor
from attn_cli.models.files.weights import Weights
from attn_cli.models.head_labels import HeadLabel, read_head_labels
from attn_cli.models.native.checkpoint_files import open_files
from attn_cli.models.native.spec import Cross, Spec
from attn_cli.models.native.transformer import Inputs, Kept, Memory, Transformer
from attn_cli.models.source import (
    AttentionModules,
    Card,
    Choice,
    Extent,
    Layer,
    ReferenceModel,
    SlidingWindow,
    SourceRequest,
    Texts,
    of_layers,
)
from attn_cli.models.tokens.fit import Fit
from attn_cli.models.tokens.token import Token, Tokenizer, shift_right
from attn_cli.record import record
from attn_cli.vocabulary import DType, Kind, OrderSource

if TYPE_CHECKING:
    from attn_cli.core.decomposition import DecomposedInput
    from attn_cli.models.generation.settings import GenerationSettings
    from attn_cli.models.native.effects.text import NativeEffects
    from attn_cli.models.native.language_head.prediction import NativeHead, NativePredictor
    from attn_cli.models.tokens.chat.template import ChatTemplate
    from attn_cli.models.tokens.token import TokenColumns
    from attn_cli.models.tokens.writing import Writing


_STORED = {DType.FLOAT32: "F32", DType.FLOAT64: "F64"}
"""The number formats of NumPy as files name them; such a tensor is used where it is mapped."""


_VERY_LONG = 1 << 20  # tokens: rotations that depend on the length of a text differ from those of one token


@record(frozen=True)
class Checkpoint:
    """A `Source` over the files of a model; the weights are opened by `check`, or for the first layer."""

    request: SourceRequest
    name: str
    path: Path  # a directory, or a .gguf file
    open_weights: Callable[[], Weights]  # opens them once, whatever the backend
    spec: Spec
    tokenizer: Tokenizer
    backend: Backend
    ignores_code: bool = False  # whether the checkpoint comes with its own model code, which does not run
    adapter: Path | None = None  # the directory of the adapter that is merged
    place_remarks: tuple[str, ...] = ()  # how the model's name and its type were understood
    overrides: Mapping[str, object] = field(default_factory=dict)  # of what config.json says
    engine: str = "native"
    kept: Kept | None = None  # what an encoder, or a decoder alone, keeps between texts; None: nothing

    @property
    def card(self) -> Card:
        """The name, the type and the dimensions of the model."""
        spec = self.spec
        return Card(self.name, spec.type, spec.layers, spec.heads, spec.kv_heads, spec.head_size, spec.width)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know of its files: own code that did not run, a wrapper around the model, an adapter."""
        own = f"{self.name} comes with its own Python code, which was not run; --trust-remote-code runs it"
        return (
            *self.place_remarks,
            *((own,) if self.ignores_code else ()),
            *self.open_weights().remarks,
            *self.tokenizer.remarks,
            *self._fit(self.spec).remarks(self.tokenizer),
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        """The model's directory or file, the directory of a merged adapter, and that of the tokenizer."""
        return tuple(
            dict.fromkeys(path for path in (self.path, self.adapter, self.tokenizer.directory) if path)
        )

    @property
    def weight_paths(self) -> tuple[Path, ...]:
        """Those of `paths` whose weights are read."""
        return (self.path,) if self.adapter is None else (self.path, self.adapter)

    @property
    def takes_pairs(self) -> bool:
        """Whether the model accepts a second text (`--pair`) as a segment of its own."""
        return self.spec.takes_pairs

    @property
    def has_decoder(self) -> bool:
        """Whether it is an encoder-decoder model, with cross-attention."""
        return self.spec.decoder is not None and self.spec.start is not None

    @property
    def is_causal(self) -> bool:
        """Whether a token can attend only to itself and to earlier tokens."""
        return self.spec.is_causal

    @property
    def longest(self) -> int | None:
        """The number of tokens the model was made for; None if its configuration does not say."""
        return self.spec.longest

    @property
    def is_bounded(self) -> bool:
        """Whether `longest` is a hard limit: the position embeddings form a table."""
        return self.spec.embeddings.positions is not None or self.spec.embeddings.has_sinusoids

    @property
    def narrowest_window(self) -> SlidingWindow | None:
        """The narrowest window of the layers."""
        found = [
            SlidingWindow(layer, reach + 2)
            for layer in range(self.spec.layers)
            for reach in _reaches(self.spec.window(layer), is_causal=self.spec.is_causal)
        ]
        return min(found, key=lambda window: window.tokens, default=None)

    @property
    def kinds(self) -> dict[Kind, Extent]:
        """The kinds of attention that the model has."""
        whole, decoder = Extent(range(self.spec.layers), self.spec.heads), self.spec.decoder
        if decoder is None:
            return {Kind.ENCODER if self.spec.is_encoder_alone else Kind.SELF: whole}
        decoding = Extent(range(decoder.layers), decoder.heads)
        return {Kind.ENCODER: whole, Kind.DECODER: decoding, Kind.CROSS: decoding}

    def tokens(self, text: str, pair: str | None, *, is_chat: bool = False) -> tuple[Token, ...]:
        """The tokens of the text; their ids are checked against the size of the vocabulary.

        Raises:
            AttnError: an id is out of range, or the text cannot be tokenized.
        """
        splitter = self._splitter_of(is_chat=is_chat)
        return self._fit(self.spec).checked(splitter(text, pair))

    def count(
        self, text: str, pair: str | None = None, *, is_chat: bool = False, is_target: bool = False
    ) -> int:
        """How many tokens `tokens`, or `target_tokens`, would make of a text; none of them is made.

        Raises:
            AttnError: the text cannot be tokenized.
        """
        return self._splitter_of(is_chat=is_chat, is_target=is_target).count(text, pair)

    def token_columns(self, text: str) -> "TokenColumns | None":
        """The tokens of a long text in columns; None if it must be split as a whole.

        Raises:
            AttnError: as `tokens`.
        """
        columns = self._splitter.columns(text)
        if columns is not None:
            self._fit(self.spec).checked(columns.kinds)
        return columns

    def chat_template(self) -> "ChatTemplate | None":
        """The template that writes messages as one text; None if the tokenizer has none.

        Raises:
            AttnError: its file is damaged.
        """
        return self.tokenizer.chat_template()

    def target_tokens(self, text: str) -> tuple[Token, ...]:
        """The decoder's input: its start token, then the tokens of the text without the last one.

        Raises:
            AttnError: as `tokens`.
        """
        decoder, start = self.spec.decoder, self.spec.start
        assert decoder is not None, "called only for a model with a decoder"
        assert start is not None, "a decoder has a start token"
        tokenizer = self._splitter_of(is_target=True)
        fit = self._fit(decoder)
        return shift_right(fit.start(start, tokenizer), fit.checked(tokenizer(text, None)))

    def plain_tokens(self, text: str, kind: Kind) -> tuple[Token, ...]:
        """The tokens of a text as this kind of attention reads them, without special tokens."""
        tokenizer = self._target_tokenizer if kind is Kind.DECODER else self.tokenizer
        return tuple(token for token in tokenizer(text, None) if not token.special)

    def vocabulary(self, kind: Kind) -> dict[int, str]:
        """The text of every token that this kind of attention can read, by id, without special tokens."""
        spec, tokenizer = self.spec, self.tokenizer
        if kind is Kind.DECODER and spec.decoder is not None:
            spec, tokenizer = spec.decoder, tokenizer.target_tokenizer()
        return {index: text for index, text in tokenizer.vocabulary().items() if index < spec.vocabulary}

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
        """Check that the weights belong to this model.

        Raises:
            AttnError: a file is missing or damaged, or does not match the configuration.
        """
        self._transformer.check()
        if self.spec.decoder is not None:
            replace(self._transformer, spec=self.spec.decoder).check()

    def head_labels(self) -> tuple[HeadLabel, ...]:
        """The heads with a known pattern, the highest score first; with an adapter they are not known."""
        return () if self.adapter else read_head_labels(self.path, self.spec.layers, self.spec.heads)

    def attentions(self, texts: Texts, kind: Kind, layers: Sequence[int]) -> Iterator[Layer]:
        """The attention of each of `layers`, in ascending order, computed lazily."""
        files = self.open_weights().files
        for layer in of_layers(self._every_attention(texts, kind), layers):
            check_unchanged(files)
            yield layer

    def decomposed_input(
        self, texts: Texts, kind: Kind, layer: int, queries: Sequence[int], keys: Sequence[int]
    ) -> "DecomposedInput":
        """What one layer reads at a few positions, split by what wrote it; later layers do not run."""
        from attn_cli.models.native.residual import decomposed_cross_input, decomposed_input

        model, inputs = self._transformer, _inputs(texts.tokens)
        if kind in {Kind.SELF, Kind.ENCODER}:
            return decomposed_input(model, inputs, kind, layer, queries, keys)
        assert self.spec.decoder is not None, "only a model with a decoder has these kinds"
        decoder, target = replace(model, spec=self.spec.decoder), _inputs(texts.target)
        if kind is Kind.CROSS:
            return decomposed_cross_input(model, decoder, inputs, target, layer, queries, keys)
        memory = cache(lambda: model.memory(inputs))
        return decomposed_input(decoder, target, kind, layer, queries, keys, memory)

    def predictor(self, texts: Texts) -> "NativePredictor":
        """What the model's own head expects after each token, or in its place; the layers run once.

        An encoder-decoder model predicts what follows each token that its decoder reads.

        Raises:
            AttnError: the model has no such head, or its files lack it.
        """
        from attn_cli.models.native.language_head.prediction import NativePredictor  # few commands predict

        model, inputs, memory = self._predicting(texts)
        return NativePredictor(self.language_head(), cache(lambda: model.leaving(inputs, memory)))

    def effects(self, texts: Texts) -> "NativeEffects":
        """What heads do to the predictions of a text: those of the decoder if there are two sides.

        Raises:
            AttnError: the model has no language head, or its files lack it.
        """
        from attn_cli.models.native.effects.text import NativeEffects

        _, inputs, memory = self._predicting(texts)
        kind = next(iter(self.kinds)) if memory is None else Kind.DECODER
        return NativeEffects(self.language_head(), inputs, kind, memory)

    def _predicting(self, texts: Texts) -> tuple[Transformer, Inputs, Memory | None]:
        """The transformer that predicts tokens, and what it reads."""
        model, inputs = self._transformer, _inputs(texts.tokens)
        if self.spec.decoder is None:
            return model, inputs, None
        memory = cache(lambda: model.memory(inputs))
        return replace(model, spec=self.spec.decoder), _inputs(texts.target), memory

    def language_head(self) -> "NativeHead":
        """The model's own language head; in an encoder-decoder model it reads what leaves the decoder.

        Raises:
            AttnError: the model has none, or its files do not say what it is.
        """
        from attn_cli.models.native.language_head.known_head import check_mask, known_head  # few predict
        from attn_cli.models.native.language_head.prediction import NativeHead

        kept = self.kept if self.spec.decoder is None else None
        model = replace(self._transformer, spec=self.spec.decoder or self.spec, kept=kept)
        check_mask(self.name, model.spec, asked=self.request.is_causal)
        files = (self.name, self.path, model.spec, self.open_weights(), self.adapter)
        return NativeHead(model, model.once(("language head",), lambda: known_head(*files)))

    def check_generation(self, *, is_watched: bool = False) -> None:  # noqa: ARG002  any layer can be
        """Check that the model has a decoder with a language head.

        Raises:
            AttnError: its tokens see those after them, or its files lack its head.
        """
        if not (self.spec.decoder or self.spec).is_causal:
            from attn_cli.models.generation.refusal import no_continuation  # few commands go on with a text

            raise no_continuation(self.name, "its tokens see those after them")
        self.language_head()

    def generate(
        self, texts: Texts, most: int, choose: Choice, watched: tuple[Kind, int] | None = None
    ) -> tuple[int, ...]:
        """The ids of at most `most` tokens that follow the text, or the decoder's.

        Raises:
            AttnError: the model computes no numbers to choose by.
        """
        from attn_cli.models.native.continuation import NativeContinuation, continued

        _, inputs, memory = self._predicting(texts)
        continuation = NativeContinuation(self.language_head(), inputs, most, memory, watched)
        return continued(continuation, self._generation_settings, most, choose)

    @property
    def devices(self) -> tuple[str, ...]:
        """The backend's: its layers run one after another, so that no device must hold all of them."""
        return (self.backend.device,)

    @property
    def weights_held(self) -> int:
        """None: the files are mapped, and a layer at a time is converted."""
        return 0

    @property
    def generation_weights(self) -> int:
        """Bytes of the weights that `generate` converts and keeps: those that are not used as in the file."""
        size, is_copied = self.backend.dtype.size, self.backend.name != "numpy"
        return sum(
            size * prod(tensor.shape)
            for tensor in self.open_weights().tensors.values()
            if is_copied or tensor.dtype != _STORED[self.backend.dtype]
        )

    @property
    def generation_remarks(self) -> Sequence[str]:
        """Which rules of the checkpoint change what it writes, and which are not applied."""
        return self._generation_settings.remarks

    def writing(self, texts: Texts, text: str) -> "Writing":
        """What `text`, the last of the texts, becomes token by token; its tokens are those of the decoder."""
        from attn_cli.models.tokens.writing import Writing  # few commands go on with a text

        if self.spec.decoder is None:
            return Writing(self.tokenizer, texts.tokens, text)
        return Writing(self.tokenizer.target_tokenizer(), texts.target, text)

    @cached_property
    def _generation_settings(self) -> "GenerationSettings":
        from attn_cli.models.generation.settings import read_settings  # few commands go on with a text

        return read_settings(self.path, open_files(self.path).config)

    def reference_model(self) -> ReferenceModel:
        """transformers' model over the same files; its modules have the names of the tensors."""
        from attn_cli.models.bridge.reference import EagerModel  # transformers and torch: 5 s

        layers = {kind: extent.layers for kind, extent in self.kinds.items()}
        places, decoder = {next(iter(layers)): _places(self.spec)}, self.spec.decoder
        if decoder is not None and decoder.cross is not None:
            places[Kind.DECODER] = _places(decoder)
            places[Kind.CROSS] = _places(decoder, decoder.cross)
        return EagerModel(
            self.path,
            self.tokenizer.directory,
            layers,
            places,
            trusts_code=self.request.trusts_code,
            has_template=self.request.has_template,
            state=self._changed_state(),
            overrides=self.overrides,
        )

    def _changed_state(self) -> Mapping[str, Tensor] | None:
        """The tensors that transformers would not read so from the files."""
        if self.path.is_file():
            return None
        weights = self.open_weights()
        return weights.renamed if weights.is_changed else None

    def with_backend(self, backend: Backend) -> "Checkpoint":
        """The same model, computed by another library; no file is read again."""
        return replace(self, backend=backend, kept=None if self.kept is None else {})

    def for_many_texts(self, room: float) -> "Checkpoint":
        """The same model, which keeps its converted weights if they fit into `room` bytes.

        It does not if they depend on the length of a text.
        """
        from attn_cli.models.native.continuation import turns  # few commands read many texts

        changes = turns(self.spec, 1) != turns(self.spec, _VERY_LONG)
        return self if changes or self._converted_bytes() > room else replace(self, kept={})

    def _converted_bytes(self) -> int:
        """What all weights take once they are converted."""
        tensors = self.open_weights().tensors.values()
        return self.backend.dtype.size * sum(math.prod(tensor.shape) for tensor in tensors)

    def order_sources(self, kind: Kind, layers: int, length: int) -> tuple[OrderSource, ...]:
        """What tells the first `layers` layers of this kind the order of the tokens that the keys are of."""
        from attn_cli.models.native.without_positions import order_sources  # only lessons ask for it

        return order_sources(self._ordered(kind), layers, length)

    def with_order_from(self, kind: Kind, kept: Collection[OrderSource]) -> "Checkpoint":
        """The same model, to which nothing but `kept` tells the order of the tokens that the keys are of."""
        from attn_cli.models.native.without_positions import with_order_from  # as above

        spec = with_order_from(self._ordered(kind), kept)
        return replace(self, spec=replace(self.spec, decoder=spec) if kind is Kind.DECODER else spec)

    def _ordered(self, kind: Kind) -> Spec:
        """The part of the model that reads the tokens of the keys; in cross-attention that is the encoder."""
        if kind is not Kind.DECODER:
            return self.spec
        assert self.spec.decoder is not None, "only a model with a decoder has this kind"
        return self.spec.decoder

    @property
    def _splitter(self) -> Tokenizer:
        """The tokenizer, with or without its template as requested."""
        return self.tokenizer if self.request.has_template else self.tokenizer.without_template()

    def _splitter_of(self, *, is_chat: bool = False, is_target: bool = False) -> Tokenizer:
        """The tokenizer that splits a text, a chat, or the text that the decoder reads."""
        if is_target:
            return self._splitter.target_tokenizer()
        return self.tokenizer.without_template() if is_chat else self._splitter

    @cached_property
    def _transformer(self) -> Transformer:
        return Transformer(self.spec, self.open_weights(), self.backend)

    def _every_attention(self, texts: Texts, kind: Kind) -> Iterator[Layer]:
        """The attention of one kind, layer by layer; the encoder runs only when cross-attention needs it."""
        model, inputs = self._transformer, _inputs(texts.tokens)
        if kind in {Kind.SELF, Kind.ENCODER}:
            return replace(model, kept=self.kept).attentions(inputs)
        assert self.spec.decoder is not None, "only a model with a decoder has these kinds"
        decoder = replace(model, spec=self.spec.decoder)
        memory = cache(lambda: model.memory(inputs))
        run = decoder.attentions if kind is Kind.DECODER else decoder.cross_attentions
        return run(_inputs(texts.target), memory)

    def _fit(self, spec: Spec) -> Fit:
        """What the tokens that `spec` reads must fit."""
        return Fit(spec.vocabulary, spec.segments, self.path, self.request.tokenizer is not None)


def anchor_names(spec: Spec) -> tuple[str, ...]:
    """Tensors that every checkpoint of the model has: the embeddings, and W^O of the first and last layer."""
    outputs = (spec.output.name.format(**spec.numbers(layer)) for layer in (0, spec.layers - 1))
    return tuple(f"{name}.weight" for name in (spec.embeddings.tokens, *outputs))


def _places(spec: Spec, cross: Cross | None = None) -> dict[int, AttentionModules]:
    """The modules of each layer's attention, or cross-attention, that its input and its contexts enter."""
    projections, output = (
        (spec.projections, spec.output) if cross is None else (cross.projections, cross.output)
    )
    entered = projections.fused or projections.query
    assert entered is not None, "a spec names every part that is used"
    named = [spec.tower + part.name for part in (entered, output)]
    return {
        layer: AttentionModules(*(name.format(**spec.numbers(layer)) for name in named))
        for layer in range(spec.layers)
    }


def _reaches(rule: Rule, *, is_causal: bool) -> list[int]:
    """How many positions before and after its own a query may look at."""
    band = narrowed(rule).band
    return [reach for reach in (band.before, None if is_causal else band.after) if reach is not None]


def _inputs(tokens: Sequence[Token]) -> Inputs:
    return Inputs([token.id for token in tokens], [token.segment for token in tokens])
