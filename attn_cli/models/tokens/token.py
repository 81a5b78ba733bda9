"""A token, what a tokenizer does, and the shifted tokens that a decoder reads."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from attn_cli.record import record


@record(frozen=True, slots=True)
class Token:
    """One piece of a text."""

    position: int
    id: int
    piece: str  # as the vocabulary spells it
    text: str  # as a reader would: without word-piece markers
    start: int  # characters of the text as given; of the second text in segment 1
    end: int
    special: bool
    segment: int


class Tokenizer(Protocol):
    """Whatever cuts texts into the tokens of one vocabulary."""

    def __call__(self, text: str, pair: str | None = None) -> tuple[Token, ...]:
        """The tokens of `text`, and of `pair` as a second segment, with the model's special tokens."""

    def token(self, index: int) -> Token:
        """The token of a number, standing before any text."""

    def target_tokenizer(self) -> "Tokenizer":
        """What cuts the decoder's text."""


def shift_right(start: Token, tokens: Sequence[Token]) -> tuple[Token, ...]:
    """What a decoder reads: its start token, then the tokens, the last one left off, as in training."""
    return tuple(replace(token, position=place) for place, token in enumerate((start, *tokens[:-1])))


def decode_byte_name(piece: str) -> str:
    r"""`<0x0A>` as the byte's own character, or `\xf0` where it is a part of one."""
    named = re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", piece)
    return bytes.fromhex(named[1]).decode("utf-8", "backslashreplace") if named else piece
