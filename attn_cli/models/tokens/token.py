"""A token, the interface of a tokenizer, and the shifted tokens that a decoder reads."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from attn_cli.record import record
from attn_cli.vocabulary import WRITTEN

if TYPE_CHECKING:
    from attn_cli.models.tokens.chat.template import ChatTemplate


@record(frozen=True, slots=True)
class Token:
    """One piece of a text."""

    position: int
    id: int
    piece: str  # as in the vocabulary
    text: str  # without word-piece markers
    start: int  # in characters of the text as given, the second one for its own tokens
    end: int
    special: bool
    segment: int  # the token type that the model is told, 0 where it is told none
    generated: bool = False  # whether the model wrote it

    @property
    def name(self) -> str:
        """Its text, marked with + if the model wrote it."""
        return f"{WRITTEN}{self.text.removeprefix(' ') or ' '}" if self.generated else self.text


class Tokenizer(Protocol):
    """Splits texts into the tokens of one vocabulary."""

    def __call__(self, text: str, pair: str | None = None) -> tuple[Token, ...]:
        """The tokens of `text`, and of `pair` as a second segment, with the model's special tokens."""

    def token(self, index: int) -> Token:
        """The token with this id, as a special token at the start of a text."""

    def text(self, index: int) -> str:
        """The text of the token with this id; empty if there is none, as where a vocabulary is padded."""

    def text_token(self, index: int) -> Token:
        """The token with this id as it stands in a text; its piece is empty if there is none."""

    def decode(self, indices: Sequence[int]) -> str:
        """The text of these tokens together; bytes that are no whole character become U+FFFD."""

    def target_tokenizer(self) -> "Tokenizer":
        """The tokenizer for the decoder's text."""

    def vocabulary(self) -> Mapping[int, str]:
        """The text of every token by its id, without special and added tokens."""

    def without_template(self) -> "Tokenizer":
        """The same tokenizer, which adds no special tokens to a text."""

    def chat_template(self) -> "ChatTemplate | None":
        """The template that writes messages as one text; None if there is none."""

    @property
    def size(self) -> int:
        """The number of tokens: the largest id is one less."""

    @property
    def directory(self) -> Path | None:
        """Where `AutoTokenizer` reads the same tokenizer; None: nowhere."""

    @property
    def remarks(self) -> Sequence[str]:
        """What to know of the tokenizer, as sentences."""


def shift_right(start: Token, tokens: Sequence[Token]) -> tuple[Token, ...]:
    """The decoder's input: its start token, then the tokens without the last one, as in training."""
    return tuple(replace(token, position=place) for place, token in enumerate((start, *tokens[:-1])))


def doubled_start(tokens: Sequence[Token]) -> Token | None:
    """The start token that stands in the text though one was added before it, if so.

    In the decoder's text it may follow the decoder's own start token.
    """
    for added, written in list(pairwise(tokens))[:2]:
        is_added = added.special and added.start == added.end == 0
        if is_added and written.special and written.id == added.id and written.end > written.start:
            return written
    return None


def decode_byte_name(piece: str) -> str:
    r"""`<0x0A>` as the character of that byte, or as `\xf0` if the byte is part of a longer character."""
    named = re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", piece)
    return bytes.fromhex(named[1]).decode("utf-8", "backslashreplace") if named else piece
