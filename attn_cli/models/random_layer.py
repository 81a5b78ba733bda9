"""The model `random`: a single untrained attention layer, initialised from a seed."""

import re
import zlib
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, NoReturn, overload

import numpy as np
import numpy.typing as npt

from attn_cli.core.masks import causal, everywhere
from attn_cli.core.multihead import Attention, Linear, MultiHeadAttention
from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend
from attn_cli.models.generation.refusal import no_continuation
from attn_cli.models.head_labels import HeadLabel
from attn_cli.models.source import Card, Choice, Extent, SourceRequest, Texts
from attn_cli.models.tokens.token import Token, TokenColumns
from attn_cli.record import record
from attn_cli.vocabulary import RANDOM, ComponentType, Kind, OrderSource

if TYPE_CHECKING:
    from attn_cli.core.decomposition import DecomposedInput

MOST_TOKENS = 40_000
"""Tokens that the layer reads: its time grows with their square, and takes 30 s for so many."""
_LONG = 100_000  # characters: of a shorter text, all tokens can be listed by `attn tokens`
_MATRICES = 4  # W^Q, W^K, W^V and W^O
_FLOAT32, _FLOAT64 = 4, 8  # bytes
_SMALL = 1 << 29  # bytes that are not worth checking
_ROOM = 0.9  # of the free memory, as in `reading/memory.py`
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


@record(frozen=True)
class RandomLayer:
    """A `Source` with a single layer, reproducible from its seed."""

    request: SourceRequest
    backend: Backend
    layer: MultiHeadAttention
    engine: str = "native"
    remarks: tuple[str, ...] = ()
    takes_pairs: bool = False
    has_decoder: bool = False
    longest: None = None
    is_bounded: bool = False
    has_positions: bool = True  # whether sinusoids of the positions are added to the vectors
    paths: tuple[Path, ...] = ()
    weight_paths: tuple[Path, ...] = ()
    mask_pieces: tuple[str, ...] = ()

    @property
    def card(self) -> Card:
        """The name, the type and the dimensions of the layer."""
        width, heads = self.request.width, self.request.heads
        return Card(RANDOM, RANDOM, 1, heads, heads, self.layer.head_size, width)

    @property
    def is_causal(self) -> bool:
        """Whether a token can attend only to itself and to earlier tokens."""
        return bool(self.request.is_causal)

    @property
    def kinds(self) -> dict[Kind, Extent]:
        """One kind of attention, in one layer."""
        return {Kind.SELF: Extent(range(1), self.request.heads)}

    def tokens(self, text: str, _pair: str | None, *, is_chat: bool = False) -> tuple[Token, ...]:
        """Words and punctuation marks; those of a long text are counted first.

        Raises:
            AttnError: the text is long, and there are more than `MOST_TOKENS`.
        """
        assert not is_chat, "it has no chat template"
        if len(text) > _LONG:
            _check_count(self.count(text))
        return words(text)

    def count(
        self, text: str, _pair: str | None = None, *, is_chat: bool = False, is_target: bool = False
    ) -> int:
        """How many tokens `tokens` would make of a text."""
        assert not is_chat, "it has no chat template"
        assert not is_target, "it has no decoder"
        return sum(1 for _ in _WORD.finditer(text))

    def token_columns(self, text: str) -> TokenColumns:
        """Words and punctuation marks in columns."""
        return word_columns(text)

    def chat_template(self) -> None:
        """None: its vectors are random."""

    def target_tokens(self, text: str) -> tuple[Token, ...]:
        """Never called: `has_decoder` is false."""
        raise AssertionError(text)

    def plain_tokens(self, text: str, _kind: Kind) -> tuple[Token, ...]:
        """Words and punctuation marks."""
        return words(text)

    def vocabulary(self, _kind: Kind) -> dict[int, str]:
        """All words of two letters: any word has a vector."""
        return {index: "".join(pair) for index, pair in enumerate(product(ascii_lowercase, repeat=2))}

    def token_text(self, index: int, kind: Kind) -> str:
        """Never called: it predicts nothing."""
        raise AssertionError(index, kind)

    def predictor(self, _texts: Texts) -> NoReturn:
        """Never: an attention layer alone predicts nothing.

        Raises:
            AttnError: always.
        """
        problem = f"{RANDOM} predicts no tokens: it is an attention layer without a language head"
        raise AttnError(problem, "leave out -m random, or name a language model")

    def check_generation(self, *, is_watched: bool = False) -> NoReturn:  # noqa: ARG002  the interface
        """An attention layer alone writes nothing.

        Raises:
            AttnError: always.
        """
        raise no_continuation(RANDOM, "it is an attention layer without a language head")

    def generate(
        self, texts: Texts, most: int, choose: Choice, watched: tuple[Kind, int] | None = None
    ) -> NoReturn:
        """Never called: it writes nothing."""
        raise AssertionError(texts, most, choose, watched)

    weights_held = 0
    generation_weights = 0
    generation_remarks = ()

    def writing(self, texts: Texts, text: str) -> NoReturn:
        """Never called: it writes nothing."""
        raise AssertionError(texts, text)

    @property
    def devices(self) -> tuple[str, ...]:
        """The backend's."""
        return (self.backend.device,)

    def check(self) -> None:
        """Nothing to check: there is no file."""

    def head_labels(self) -> tuple[HeadLabel, ...]:
        """None: the heads are untrained."""
        return ()

    def attentions(self, texts: Texts, _kind: Kind, _layers: Sequence[int]) -> Iterator[Attention]:
        """The attention of the layer over the token and position vectors of the text."""
        x = sum(self._embeddings(texts))
        assert not isinstance(x, int), "there are two terms"
        yield self.layer.attention(self.backend.convert(x.astype(np.float32)))

    def _embeddings(self, texts: Texts) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(T, M) the vectors of the tokens, and of their positions.

        Raises:
            AttnError: there are more than `MOST_TOKENS`.
        """
        _check_count(len(texts.tokens))
        width = self.request.width
        places = sinusoids(len(texts.tokens), width)
        return vectors(texts.tokens, width, self.request.seed), places if self.has_positions else 0 * places

    def effects(self, _texts: Texts) -> NoReturn:
        """Never: one layer predicts nothing.

        Raises:
            AttnError: always.
        """
        raise AttnError(
            "random predicts no tokens: it is one layer without a language head", "leave out -m random"
        )

    def decomposed_input(
        self, texts: Texts, kind: Kind, _layer: int, queries: Sequence[int], keys: Sequence[int]
    ) -> "DecomposedInput":
        """What the layer reads at a few positions: the vectors of the tokens, and of their positions."""
        from attn_cli.core.decomposition import Component, DecomposedInput, written

        (attention,) = self.attentions(texts, kind, range(1))
        components = [Component(which, kind) for which in (ComponentType.EMBEDDING, ComponentType.POSITION)]
        stream = written(components, self._embeddings(texts)).as_computed(attention.input)
        return DecomposedInput(attention, stream.at(queries), stream.at(keys))

    def reference_model(self) -> None:
        """None: there is no other implementation of this layer."""

    @property
    def narrowest_window(self) -> None:
        """None: its layer looks as far as the text goes."""
        return

    def order_sources(self, _kind: Kind, _layers: int, _length: int) -> tuple[OrderSource, ...]:
        """What tells the layer the order of its tokens."""
        return (OrderSource.SINUSOIDS, *((OrderSource.CAUSAL,) if self.is_causal else ()))

    def with_order_from(self, _kind: Kind, kept: Collection[OrderSource]) -> "RandomLayer":
        """The same layer, to which nothing but `kept` tells the order of its tokens."""
        mask = self.layer.mask if OrderSource.CAUSAL in kept else everywhere
        has_positions = OrderSource.SINUSOIDS in kept
        return replace(self, layer=replace(self.layer, mask=mask), has_positions=has_positions)

    def with_backend(self, backend: Backend) -> "RandomLayer":
        """The same layer, computed by another library."""
        return open_random_layer(self.request, backend)

    def for_many_texts(self, room: float) -> "RandomLayer":  # noqa: ARG002  as of other models
        """Itself: its weights are drawn once."""
        return self


def open_random_layer(request: SourceRequest, backend: Backend) -> RandomLayer:
    """A layer of `request.heads` heads over vectors of `request.width` features.

    Raises:
        AttnError: the width is not a multiple of the number of heads, or the weights do not fit into memory.
    """
    _check_fits(request.width)
    mask = causal if request.is_causal else everywhere
    layer = MultiHeadAttention.random(request.width, request.heads, seed=request.seed, mask=mask)
    return RandomLayer(request, backend, _adopted(layer, backend))


def _check_count(tokens: int) -> None:
    """Raise `AttnError` for more tokens than the layer reads."""
    if tokens > MOST_TOKENS:
        size = f"{tokens:,} tokens, and {RANDOM} runs on at most {MOST_TOKENS:,}"
        raise AttnError(f"the text is too long: {size}", "a part of it: head -c 50000 FILE")


def _check_fits(width: int) -> None:
    """Raise `AttnError` if the weights do not fit: drawn in float64, kept in float32 and copied."""
    size = width**2 * (2 * _MATRICES * _FLOAT32 + _FLOAT64)
    if size < _SMALL:
        return
    from attn_cli.models.free_memory import free_bytes  # psutil: 0.03 s, and small layers do without

    free = free_bytes("cpu")
    if free is not None and size > _ROOM * free:
        sizes = f"the weights of width {width} need {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        raise AttnError(f"not enough memory: {sizes}", "a smaller --width")


def words(text: str) -> tuple[Token, ...]:
    """Words and punctuation marks; ids number the distinct ones by first occurrence."""
    ids: dict[str, int] = {}
    return tuple(
        Token(
            position=position,
            id=ids.setdefault(word[0], len(ids)),
            piece=word[0],
            text=word[0],
            start=word.start(),
            end=word.end(),
            special=False,
            segment=0,
        )
        for position, word in enumerate(_WORD.finditer(text))
    )


def word_columns(text: str) -> TokenColumns:
    """The same in columns."""
    ids: dict[str, int] = {}
    which, starts, ends = array("i"), array("i"), array("i")
    for word in _WORD.finditer(text):
        which.append(ids.setdefault(word[0], len(ids)))
        starts.append(word.start())
        ends.append(word.end())
    columns = (np.frombuffer(column, np.int32) for column in (which, starts, ends))
    return TokenColumns(_Words(tuple(ids)), *columns)


class _Words(Sequence[Token]):
    """The tokens of distinct words, each made when it is asked for: a text may have a million."""

    def __init__(self, distinct: Sequence[str]) -> None:
        self._distinct = distinct

    def __len__(self) -> int:
        return len(self._distinct)

    @overload
    def __getitem__(self, place: int) -> Token: ...
    @overload
    def __getitem__(self, place: slice) -> "_Words": ...
    def __getitem__(self, place: int | slice) -> "Token | _Words":
        if isinstance(place, slice):
            return _Words(self._distinct[place])
        word = self._distinct[place]
        return Token(0, place, word, word, start=0, end=0, special=False, segment=0)


def vectors(tokens: Sequence[Token], width: int, seed: int) -> npt.NDArray[np.float64]:
    """(T, M) drawn from N(0, 1); equal pieces have equal vectors."""
    draws = (np.random.default_rng([seed, zlib.crc32(token.piece.encode())]) for token in tokens)
    return np.stack([draw.standard_normal(width) for draw in draws])


def sinusoids(length: int, width: int) -> npt.NDArray[np.float64]:
    """(T, M) sines and cosines of the position, from high to low frequency. arXiv:1706.03762, section 3.5."""
    speeds = 1e4 ** (-2 * (np.arange(width) // 2) / width)
    angles = np.arange(length)[:, None] * speeds
    return np.where(np.arange(width) % 2 == 0, np.sin(angles), np.cos(angles))


def _adopted(layer: MultiHeadAttention, backend: Backend) -> MultiHeadAttention:
    """The layer with its weights converted to the backend's library, device and number format."""

    def moved(linear: Linear) -> Linear:
        return Linear(backend.convert(linear.weight))

    return replace(
        layer,
        query=moved(layer.query),
        key=moved(layer.key),
        value=moved(layer.value),
        output=moved(layer.output),
    )
