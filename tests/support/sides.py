"""Texts whose tokens a test spells out."""

from collections.abc import Sequence
from dataclasses import replace

from attn_cli.models.random_layer import words
from attn_cli.models.tokens.token import Token
from attn_cli.reading.token_selection.text_side import TextSide


def side_of(text: str, name: str = "the text") -> TextSide:
    """A text whose tokens are its words and signs."""
    return TextSide(words(text), [text], name)


def side_of_pieces(*pieces: str, begin: Sequence[str] = (), end: Sequence[str] = ()) -> TextSide:
    """A text of these pieces, spaces included, with special tokens that the template adds around it."""
    text, tokens = "", [_special(name, 0) for name in begin]
    for piece in pieces:
        start = len(text)
        text += piece
        tokens.append(Token(0, 0, piece, piece, start, len(text), special=False, segment=0))
    tokens += [_special(name, len(text)) for name in end]
    return TextSide([replace(token, position=place) for place, token in enumerate(tokens)], [text])


def _special(name: str, place: int) -> Token:
    return Token(0, 1, name, name, place, place, special=True, segment=0)
