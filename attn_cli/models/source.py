"""A source: anything that splits a text into tokens and yields attention layer by layer."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from attn_cli.core.arrays import Array, Floats
from attn_cli.core.streaming.pooling import Pooled
from attn_cli.models.backend import Backend
from attn_cli.models.head_labels import HeadLabel
from attn_cli.models.tokens.token import Token
from attn_cli.record import record
from attn_cli.vocabulary import Check, DType, Kind, Metric, Pool, Step

if TYPE_CHECKING:
    from attn_cli.core.attention import LearnedSink
    from attn_cli.core.decomposition import DecomposedInput
    from attn_cli.core.hiding import Hiding
    from attn_cli.core.multihead import Attention
    from attn_cli.core.streaming.key_tokens import KeyTokens
    from attn_cli.core.streaming.row_metrics import RowMetrics
    from attn_cli.core.streaming.stream import RowProgress
    from attn_cli.models.predictions import HeadEffects, Predictor
    from attn_cli.models.tokens.chat.template import ChatTemplate, WrittenChat
    from attn_cli.models.tokens.token import TokenColumns
    from attn_cli.models.tokens.writing import Writing


@record(frozen=True, slots=True)
class SourceRequest:
    """Which model to open and how it computes: plain values that can be sent to another process."""

    model: str | None = None  # None: the bundled model
    revision: str | None = None  # of a model on the hub; None: the cached one, else its main branch
    trusts_code: bool = False  # whether the checkpoint may run its own Python code
    tokenizer: str | None = None  # a directory, a file, or the name of a model; None: the model's own
    has_template: bool = True  # whether the tokenizer's template adds special tokens to a text
    device: str = "auto"
    dtype: DType = DType.FLOAT32
    is_causal: bool | None = None  # None: as the model defines it
    adapter: bool = True  # whether an adapter is merged into its base, or left out
    seed: int = 0  # seed, width and heads apply to a random layer only
    width: int = 64
    heads: int = 4


@record(frozen=True, slots=True)
class Card:
    """The name, the type and the dimensions of a model."""

    name: str
    type: str
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    width: int


@record(frozen=True, slots=True)
class Extent:
    """The layers and heads that one kind of attention has in a model."""

    layers: Sequence[int]  # in ascending order; a hybrid model has layers without attention in between
    heads: int
    others: Mapping[int, str] = field(default_factory=dict)  # what the layers without attention do instead
    has_sinks: bool = False  # whether any of its layers has learned sinks


@record(frozen=True, slots=True)
class SlidingWindow:
    """The narrowest sliding window of a model: the first layer that has it, and when it hides keys."""

    layer: int
    tokens: int  # the shortest text of which it hides anything


@record(frozen=True, slots=True)
class Texts:
    """The tokens a model reads, and those of its decoder if it has one and was given a text."""

    tokens: tuple[Token, ...]
    target: tuple[Token, ...] = ()

    def queries(self, kind: Kind) -> tuple[Token, ...]:
        """The tokens the queries are computed from."""
        return self.target if kind in {Kind.DECODER, Kind.CROSS} else self.tokens

    def keys(self, kind: Kind) -> tuple[Token, ...]:
        """The tokens the keys are computed from."""
        return self.target if kind is Kind.DECODER else self.tokens


class Layer(Protocol):
    """The attention of one layer, as far as its source provides it; H heads, T queries, S keys.

    `core.multihead.Attention` has every step; other sources name in `absent` the steps they lack.
    """

    @property
    def heads(self) -> int:
        """H, how many query heads there are."""

    @property
    def scale(self) -> float | None:
        """The factor of q·k; None if it is unknown."""

    @property
    def mask(self) -> Array:
        """(T, S) true where the query may look."""

    @property
    def opened(self) -> "Attention | None":
        """The layer with its operands; None if only its softmax is known."""

    @property
    def absent(self) -> Mapping[Step, str]:
        """The steps that are missing, each with the reason: how "has no scores: ..." goes on."""

    def kv_head(self, head: int) -> int:
        """Which key/value head the query head `head` reads."""

    def at(self, rows: Sequence[int]) -> "Layer":
        """The same layer with only the queries at those positions: its mask and steps have only those."""

    def pooled(
        self, heads: Sequence[int], most: int, way: Pool = Pool.MEAN, hiding: "Hiding | None" = None
    ) -> Pooled:
        """The weights of `heads` pooled over cells, in at most `most` rows and `most` columns.

        `hiding`: keys without columns.
        """

    def measure(
        self,
        heads: Sequence[int],
        metrics: Collection[Metric],
        tokens: "KeyTokens",
        progress: "RowProgress | None" = None,
        hiding: "Hiding | None" = None,
    ) -> "RowMetrics":
        """The metrics of `heads`, row by row; `tokens` are the tokens of the keys.

        `hiding`: keys that only take weight, as a learned sink does.
        """

    def result(self) -> Array:
        """(T, M) the output of the layer, unless `absent` names it."""

    def steps(self, heads: Sequence[int], wanted: Collection[Step | str]) -> dict[Step, Array]:
        """The `wanted` steps of `heads`, each (H, T, ...) or (H, S, ...), without those in `absent`."""

    def sink(self, heads: Sequence[int]) -> "LearnedSink | None":
        """The learned sinks of `heads`; None if the layer has none."""


@record(frozen=True, slots=True, eq=False)
class WatchedLayer:
    """A layer while a text is written, with the query of the last token alone."""

    layer: Layer
    first_key: int = 0  # the position of its first key: a cache may have forgotten those before a window


@record(frozen=True, slots=True, eq=False)
class NextToken:
    """What a model expects after the tokens that it has read and written so far."""

    logits: Floats  # (V,) in float32 or better, after the rules of the checkpoint
    watched: WatchedLayer | None = None  # the layer that is watched, if any


Choice: TypeAlias = Callable[[NextToken], int]
"""Chooses the id of the next token."""


@record(frozen=True, slots=True)
class Precision:
    """The number format of a run, and the one that the weights are rounded to first, if any."""

    dtype: DType
    rounded: DType | None = None


@record(frozen=True, slots=True)
class AttentionModules:
    """The names, in the reference model, of the modules that a layer's input and its contexts enter."""

    query: str  # W^Q, or one matrix for queries, keys and values
    output: str  # W^O


@record(frozen=True, slots=True, eq=False)
class ReferenceLayer:
    """What a reference implementation computes in one layer for one text, in NumPy.

    Each step is (H, T, ...), keys and values (H, S, D) as each head reads them, input and output (T, M).
    """

    steps: Mapping[Check, Array]
    unknown: Mapping[Check, str] = field(default_factory=dict)  # each with the reason
    rows: Sequence[int] | None = None  # the queries that steps with heads have; None: all
    head_outputs: Callable[[], Array] | None = None  # (H, T, M), computed when they are compared

    def of(self, check: Check) -> Array | None:
        """The step; None if it is unknown."""
        if check is Check.HEAD_OUTPUTS and self.head_outputs is not None:
            return self.head_outputs()
        return self.steps.get(check)


@record(frozen=True, slots=True)
class ReferenceTokens:
    """The tokens of a text by an independent implementation."""

    ids: Sequence[int]
    segments: Sequence[int] | None  # None: the model has no segments
    target: Sequence[int] | None  # the decoder's input; None: there is none


class ReferenceModel(Protocol):
    """An independent implementation that computes the same attention from the same files."""

    def tokens_of(
        self, text: str, pair: str | None, target: str | None, chat: "WrittenChat | None" = None
    ) -> ReferenceTokens:
        """The tokens of a text, or in its place of a chat, of a pair, and of the decoder's text."""

    def attention_of(
        self, texts: Texts, kinds: Collection[Kind], precision: Precision, first: int | None = None
    ) -> Mapping[Kind, Mapping[int, ReferenceLayer]]:
        """The attention of all layers, or only of the `first`, for each of `kinds`."""


class Source(Protocol):
    """Everything the rest of the program knows about a model: it is opened once and reads many texts."""

    @property
    def request(self) -> SourceRequest:
        """The request it was opened for: enough to open the same model in another process."""

    @property
    def card(self) -> Card:
        """The name, the type and the dimensions of the model."""

    @property
    def backend(self) -> Backend:
        """The array library, device and number format that compute."""

    @property
    def devices(self) -> Sequence[str]:
        """Where its weights may be: the backend's device, or several GPUs, over which they are spread."""

    @property
    def weights_held(self) -> int:
        """Bytes of the weights that stay in memory while it is open; 0 if layers are read one by one."""

    @property
    def engine(self) -> str:
        """Whose code computed the operands: "native" is our own, the other is "transformers"."""

    @property
    def takes_pairs(self) -> bool:
        """Whether the model accepts a second text (`--pair`) as a segment of its own."""

    @property
    def has_decoder(self) -> bool:
        """Whether it is an encoder-decoder model, with cross-attention."""

    @property
    def is_causal(self) -> bool:
        """Whether a token can attend only to itself and to earlier tokens."""

    @property
    def longest(self) -> int | None:
        """The number of tokens the model was made for; None if its configuration does not say."""

    @property
    def is_bounded(self) -> bool:
        """Whether `longest` is a hard limit: there is one learned embedding per position."""

    @property
    def kinds(self) -> Mapping[Kind, Extent]:
        """The kinds of attention the model has, the default first."""

    @property
    def narrowest_window(self) -> SlidingWindow | None:
        """The narrowest window of its layers; None if every layer looks as far as the text goes."""

    @property
    def remarks(self) -> Sequence[str]:
        """What to know of the model before trusting its numbers, as sentences."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The directory or file of the model, the directory of its adapter, and that of its tokenizer."""

    @property
    def weight_paths(self) -> tuple[Path, ...]:
        """Those of `paths` whose weights are read."""

    def tokens(self, text: str, pair: str | None, *, is_chat: bool = False) -> tuple[Token, ...]:
        """The tokens of a text, and of a second one if the model takes pairs.

        To a chat, in which the template wrote the special tokens, none are added.
        """

    def token_columns(self, text: str) -> "TokenColumns | None":
        """The tokens of a long text in columns; None if it must be split as a whole."""

    def count(
        self, text: str, pair: str | None = None, *, is_chat: bool = False, is_target: bool = False
    ) -> int:
        """How many tokens `tokens`, or `target_tokens`, would make of a text; none of them is made."""

    def chat_template(self) -> "ChatTemplate | None":
        """The template that writes messages as one text; None if the model has none."""

    def target_tokens(self, text: str) -> tuple[Token, ...]:
        """The tokens the decoder reads for a target text, if there is a decoder."""

    def plain_tokens(self, text: str, kind: Kind) -> tuple[Token, ...]:
        """The tokens of a text as this kind of attention reads them, without special tokens."""

    def vocabulary(self, kind: Kind) -> Mapping[int, str]:
        """The text of every token that this kind of attention can read, by id, without special tokens."""

    def token_text(self, index: int, kind: Kind) -> str:
        """The text of the token with this id, in the vocabulary of this kind; empty if it has none."""

    @property
    def mask_pieces(self) -> Collection[str]:
        """What may stand for a masked token in the text."""

    def predictor(self, texts: Texts) -> "Predictor":
        """What the model expects after each token, or in its place, by its own language head.

        An encoder-decoder model predicts what follows each token that its decoder reads. The layers run once,
        when the first logits are asked for.

        Raises:
            AttnError: the model has no such head, or its files do not say what it is.
        """

    def effects(self, texts: Texts) -> "HeadEffects":
        """What heads do to the predictions of a text: those of the decoder if there are two sides.

        Raises:
            AttnError: the model has no language head, or what its heads write is not known.
        """

    def check(self) -> None:
        """Raise `AttnError` if the weights cannot belong to this model."""

    def head_labels(self) -> tuple[HeadLabel, ...]:
        """The heads with a known pattern, the highest score first."""

    def attentions(self, texts: Texts, kind: Kind, layers: Sequence[int]) -> Iterator[Layer]:
        """The attention of each of `layers`, in ascending order, computed lazily.

        Layers after the last one do not run.
        """

    def decomposed_input(
        self, texts: Texts, kind: Kind, layer: int, queries: Sequence[int], keys: Sequence[int]
    ) -> "DecomposedInput":
        """What one layer reads at a few positions, split by what wrote it; later layers do not run.

        Raises:
            AttnError: the source does not know what wrote into its residual stream.
        """

    def check_generation(self, *, is_watched: bool = False) -> None:
        """Check that the model goes on with texts, and that a layer can be watched.

        Raises:
            AttnError: it does not, or cannot.
        """

    def generate(
        self, texts: Texts, most: int, choose: Choice, watched: tuple[Kind, int] | None = None
    ) -> tuple[int, ...]:
        """The ids of at most `most` tokens after the text, or the decoder's; the last may be an end token.

        `watched` is a kind and a layer of whose attention `choose` is told.

        Call it only after `check_generation`.

        Raises:
            AttnError: the model computes no numbers to choose by.
        """

    @property
    def generation_weights(self) -> int:
        """Bytes of the weights that `generate` holds in memory at the same time."""

    @property
    def generation_remarks(self) -> Sequence[str]:
        """What to know of how the model goes on with a text, as sentences."""

    def writing(self, texts: Texts, text: str) -> "Writing":
        """What `text`, the last of the texts, becomes token by token; its tokens are those of the decoder."""

    def reference_model(self) -> ReferenceModel | None:
        """An independent implementation to compare with; None if there is none."""

    def with_backend(self, backend: Backend) -> "Source":
        """The same model, computed by another library; no file is read again."""

    def for_many_texts(self, room: float) -> "Source":
        """The same model, which keeps what it reads and converts for a text until the next one.

        `room`: so many bytes are free for that; weights that need more are read again for each text.
        """


def of_layers(all_of_them: Iterator[Layer], layers: Sequence[int]) -> Iterator[Layer]:
    """Select `layers`, in ascending order, from the attention of layers 0, 1, 2, ...

    Layers after the last one are never requested from the iterator.
    """
    chosen = set(layers)
    for layer, attention in zip(range(max(chosen) + 1), all_of_them, strict=False):
        if layer in chosen:
            yield attention
