"""A token, those of a long text in columns, the interface of a tokenizer, and what a decoder reads."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from attn_cli.record import record
from attn_cli.vocabulary import WRITTEN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from attn_cli.models.tokens.chat.template import ChatTemplate


Numbers: TypeAlias = "npt.NDArray[np.int32]"
Parts: TypeAlias = tuple[str, ...]
"""What a line says of a token: before its place in the text, and after it."""


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


@record(frozen=True, slots=True, eq=False)
class TokenColumns:
    """The tokens of a long text of T tokens: three numbers for each, and one `Token` for all that are equal.

    `kinds` has each token that occurs, in the order in which they first do; position, start and end of these
    say nothing.
    """

    kinds: Sequence[Token]
    which: Numbers  # (T,) the place in `kinds`
    starts: Numbers  # (T,) in characters of the text as given
    ends: Numbers  # (T,)

    def __len__(self) -> int:
        return len(self.which)

    def first(self, count: int) -> tuple[Token, ...]:
        """The first `count` tokens, or all if there are fewer."""
        columns = (self.which[:count], self.starts[:count], self.ends[:count])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return tuple(
            replace(self.kinds[kind], position=position, start=start, end=end)
            for position, (kind, start, end) in enumerate(rows)
        )


class Tokenizer(Protocol):
    """Splits texts into the tokens of one vocabulary."""

    def __call__(self, text: str, pair: str | None = None) -> tuple[Token, ...]:
        """The tokens of `text`, and of `pair` as a second segment, with the model's special tokens."""

    def columns(self, text: str) -> "TokenColumns | None":
        """The tokens of a long text in columns; None if it must be split as a whole."""

    def count(self, text: str, pair: str | None = None) -> int:
        """How many tokens `self(text, pair)` has, which are not made for it one by one."""

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
    for added, written in pairwise(islice(tokens, 3)):
        is_added = added.special and added.start == added.end == 0
        if is_added and written.special and written.id == added.id and written.end > written.start:
            return written
    return None


def decode_byte_name(piece: str) -> str:
    r"""`<0x0A>` as the character of that byte, or as `\xf0` if the byte is part of a longer character."""
    named = re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", piece)
    return bytes.fromhex(named[1]).decode("utf-8", "backslashreplace") if named else piece
