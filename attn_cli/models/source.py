"""A source: anything that splits a text into tokens and yields attention layer by layer."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Protocol

from attn_cli.core.arrays import Array
from attn_cli.core.streaming.pooling import Pooled
from attn_cli.models.backend import Backend
from attn_cli.models.head_labels import HeadLabel
from attn_cli.models.tokens.token import Token
from attn_cli.record import record
from attn_cli.vocabulary import DType, Kind, Metric, Step

if TYPE_CHECKING:
    from attn_cli.core.streaming.key_tokens import KeyTokens
    from attn_cli.core.streaming.row_metrics import RowMetrics
    from attn_cli.core.streaming.stream import RowProgress


@record(frozen=True, slots=True)
class SourceRequest:
    """Which model is meant and how it computes: plain values, which another process can be sent."""

    model: str | None = None  # None: the one that ships
    revision: str | None = None  # of a model of the hub; None: what is here, or its main branch
    trusts_code: bool = False  # whether a checkpoint may run Python code of its own
    device: str = "auto"
    dtype: DType = DType.FLOAT32
    is_causal: bool | None = None  # None: as the model says
    seed: int = 0  # of a random layer, like its width and heads
    width: int = 64
    heads: int = 4


@record(frozen=True, slots=True)
class Card:
    """What a model is, in numbers."""

    name: str
    type: str
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    width: int


@record(frozen=True, slots=True)
class Extent:
    """How far one kind of attention reaches in a model."""

    layers: Sequence[int]  # the numbers of those that attend, upwards; a hybrid skips some
    heads: int
    others: Mapping[int, str] = field(default_factory=dict)  # layers that attend otherwise, and how


@record(frozen=True, slots=True)
class Texts:
    """What a model reads: its tokens, and those of the decoder where it has one and was given a text."""

    tokens: tuple[Token, ...]
    target: tuple[Token, ...] = ()

    def queries(self, kind: Kind) -> tuple[Token, ...]:
        """The tokens that look."""
        return self.target if kind in {Kind.DECODER, Kind.CROSS} else self.tokens

    def keys(self, kind: Kind) -> tuple[Token, ...]:
        """The tokens that are looked at."""
        return self.target if kind is Kind.DECODER else self.tokens


class Layer(Protocol):
    """The attention of one layer, as far as its source knows it; H heads, T queries, S keys.

    `core.multihead.Attention` knows every step. Whoever knows less says in `absent` which and why.
    """

    @property
    def heads(self) -> int:
        """H, how many query heads there are."""

    @property
    def scale(self) -> float | None:
        """What the products of queries and keys are multiplied by; None where it is not known."""

    @property
    def mask(self) -> Array:
        """(T, S) true where the query may look."""

    @property
    def absent(self) -> Mapping[Step, str]:
        """The steps that are not there, each with the reason as an ending to "has no scores: "."""

    def kv_head(self, head: int) -> int:
        """Which key/value head the query head `head` reads."""

    def at(self, rows: Sequence[int]) -> "Layer":
        """The same layer for the queries of those places alone: its mask and steps have only these."""

    def pooled(self, heads: Sequence[int], most: int) -> Pooled:
        """The weights of `heads` as the means of cells, at most `most` rows and columns of them."""

    def measure(
        self,
        heads: Sequence[int],
        metrics: Collection[Metric],
        tokens: "KeyTokens",
        progress: "RowProgress | None" = None,
    ) -> "RowMetrics":
        """The metrics of `heads`, row by row; `tokens` are those that are looked at."""

    def result(self) -> Array:
        """(T, M) what the layer returns, where its output is not absent."""

    def steps(self, heads: Sequence[int], wanted: Collection[Step | str]) -> dict[Step, Array]:
        """The `wanted` steps of `heads`, each (H, T, ...), less those that are absent."""


@record(frozen=True, slots=True, eq=False)
class ReferenceAttention:
    """What somebody else's code computes of one text and one kind of attention, by layer, in NumPy."""

    weights: Mapping[int, Array]  # (H, T, S)
    outputs: Mapping[int, Array]  # (T, M) where it is known


class ReferenceModel(Protocol):
    """Whoever computes the same attention from the same files in another way."""

    def attention_of(
        self, texts: Texts, kinds: Collection[Kind], dtype: DType
    ) -> Mapping[Kind, ReferenceAttention]:
        """The attention of all layers of those kinds, in a number format."""


class Source(Protocol):
    """All that the rest of the program knows of a model: it is opened once and reads many texts."""

    @property
    def request(self) -> SourceRequest:
        """What was asked for: enough to open the same model again in another process."""

    @property
    def card(self) -> Card:
        """What the model is, in numbers."""

    @property
    def backend(self) -> Backend:
        """What computes."""

    @property
    def engine(self) -> str:
        """Whose code computed the operands: ours, "native", or that of "transformers"."""

    @property
    def takes_pairs(self) -> bool:
        """Whether it tells a second text from the first."""

    @property
    def has_decoder(self) -> bool:
        """Whether it has a decoder that looks at what its encoder read."""

    @property
    def is_causal(self) -> bool:
        """Whether a token sees only what came before it."""

    @property
    def longest(self) -> int | None:
        """How many tokens it was made for."""

    @property
    def is_bounded(self) -> bool:
        """Whether it cannot read more: it has a vector for each position."""

    @property
    def kinds(self) -> Mapping[Kind, Extent]:
        """The kinds of attention it has; the first is shown where nothing is said."""

    def tokens(self, text: str, pair: str | None) -> tuple[Token, ...]:
        """The tokens of a text, and of a second one where the model takes pairs."""

    def target_tokens(self, text: str) -> tuple[Token, ...]:
        """What the decoder reads of a text, where there is a decoder."""

    def check(self) -> None:
        """Raise `AttnError` where the weights cannot be those of this model."""

    def head_labels(self) -> tuple[HeadLabel, ...]:
        """What its heads are known for, the clearest first."""

    def attentions(self, texts: Texts, kind: Kind, layers: Sequence[int]) -> Iterator[Layer]:
        """The attention of each of the layers, whose numbers go up, as it is asked for.

        What follows the last of them does not run.
        """

    def reference_model(self) -> ReferenceModel | None:
        """Who else computes the same numbers; None: nobody."""

    def with_backend(self, backend: Backend) -> "Source":
        """The same model, computed by another library; no file is read again."""


def of_layers(all_of_them: Iterator[Layer], layers: Sequence[int]) -> Iterator[Layer]:
    """Those of `layers`, whose numbers go up, out of the attention of layer 0, 1, 2, ...

    What follows the last of them is not asked for.
    """
    chosen = set(layers)
    for layer, attention in zip(range(max(chosen) + 1), all_of_them, strict=False):
        if layer in chosen:
            yield attention
