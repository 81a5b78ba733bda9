"""`random`: one fresh, seeded attention layer. It has learned nothing; its arithmetic is all there."""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from attn_cli.core.masks import causal, everywhere
from attn_cli.core.multihead import Attention, Linear, MultiHeadAttention
from attn_cli.models.backend import Library
from attn_cli.models.source import Card, Extent, Source, Texts
from attn_cli.models.tokens.fast import Token
from attn_cli.vocabulary import RANDOM, Kind

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def fresh(width: int, heads: int, seed: int, library: Library, *, is_causal: bool = False) -> Source:
    """A layer of `heads` heads over vectors of `width` features, the same for the same `seed`.

    Raises:
        AttnError: the features cannot be shared out over the heads.
    """
    layer = MultiHeadAttention.random(width, heads, seed=seed, mask=causal if is_causal else everywhere)
    adopted = _adopted(layer, library)

    def attentions(texts: Texts, _kind: Kind, _layers: Sequence[int]) -> Iterator[Attention]:
        x = vectors(texts.tokens, width, seed) + sinusoids(len(texts.tokens), width)
        yield adopted.attention(library.adopt(x.astype(np.float32)))

    return Source(
        card=Card(RANDOM, RANDOM, 1, heads, heads, layer.head_size, width),
        library=library,
        takes_pairs=False,
        is_causal=is_causal,
        longest=None,
        is_bounded=False,
        kinds={Kind.SELF: Extent(range(1), heads)},
        tokens=lambda text, _pair: words(text),
        check=lambda: None,
        known=tuple,
        attentions=attentions,
        on=lambda other: fresh(width, heads, seed, other, is_causal=is_causal),
    )


def words(text: str) -> tuple[Token, ...]:
    """Words and punctuation marks; the id counts the different ones, in the order of the text."""
    ids: dict[str, int] = {}
    return tuple(
        Token(
            position=position,
            id=ids.setdefault(found[0], len(ids)),
            piece=found[0],
            text=found[0],
            start=found.start(),
            end=found.end(),
            special=False,
            segment=0,
        )
        for position, found in enumerate(_WORD.finditer(text))
    )


def vectors(tokens: Sequence[Token], width: int, seed: int) -> npt.NDArray[np.float64]:
    """(T, M) from N(0, 1), the same for the same piece wherever it stands."""
    draws = (np.random.default_rng([seed, zlib.crc32(token.piece.encode())]) for token in tokens)
    return np.stack([draw.standard_normal(width) for draw in draws])


def sinusoids(length: int, width: int) -> npt.NDArray[np.float64]:
    """(T, M) sines and cosines of the position, from fast to slow. arXiv:1706.03762, section 3.5."""
    speeds = 1e4 ** (-2 * (np.arange(width) // 2) / width)
    angles = np.arange(length)[:, None] * speeds
    return np.where(np.arange(width) % 2 == 0, np.sin(angles), np.cos(angles))


def _adopted(layer: MultiHeadAttention, library: Library) -> MultiHeadAttention:
    """The layer with its weights in the library's number format and place."""

    def moved(linear: Linear) -> Linear:
        return Linear(library.adopt(linear.weight))

    return replace(
        layer,
        query=moved(layer.query),
        key=moved(layer.key),
        value=moved(layer.value),
        output=moved(layer.output),
    )
