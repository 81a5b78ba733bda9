"""A tokenizer whose file gives the ids of `AutoTokenizer` for most texts, but not for all."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.models.tokens.fast import FastTokenizer
from attn_cli.models.tokens.token import Token, Tokenizer
from attn_cli.record import record

if TYPE_CHECKING:
    from attn_cli.models.tokens.chat.template import ChatTemplate
    from attn_cli.models.tokens.token import TokenColumns


@record(frozen=True, slots=True)
class PartialTokenizer:
    """Reads the texts to which the file applies; transformers, opened if it is needed, reads the others."""

    file: FastTokenizer
    applies: Callable[[str], bool]
    open_whole: Callable[[], Tokenizer]

    def __call__(self, text: str, pair: str | None = None) -> tuple[Token, ...]:
        """The tokens of `text`, and of `pair` as a second segment, with the model's special tokens.

        Raises:
            AttnError: the text cannot be tokenized.
        """
        return self._of(text, pair)(text, pair)

    def columns(self, text: str) -> "TokenColumns | None":
        """The tokens of a long text in columns; None if it must be split as a whole.

        Raises:
            AttnError: the text cannot be tokenized.
        """
        return self.file.columns(text) if self.applies(text) else None

    def count(self, text: str, pair: str | None = None) -> int:
        """How many tokens `self(text, pair)` has, which are not made for it one by one.

        Raises:
            AttnError: the text cannot be tokenized.
        """
        return self._of(text, pair).count(text, pair)

    def _of(self, text: str, pair: str | None) -> Tokenizer:
        """The tokenizer that reads these texts."""
        is_plain = self.applies(text) and (pair is None or self.applies(pair))
        return self.file if is_plain else self.open_whole()

    def token(self, index: int) -> Token:
        """The token with this id, as a special token at the start of a text.

        Raises:
            AttnError: the vocabulary has no such id.
        """
        return self.file.token(index)

    def text(self, index: int) -> str:
        """The text of the token with this id; empty if there is none, as where a vocabulary is padded."""
        return self.file.text(index)

    def text_token(self, index: int) -> Token:
        """The token with this id as it stands in a text; its piece is empty if there is none."""
        return self.file.text_token(index)

    def decode(self, indices: Sequence[int]) -> str:
        """The text of these tokens together; bytes that are no whole character become U+FFFD."""
        return self.file.decode(indices)

    def target_tokenizer(self) -> "PartialTokenizer":
        """The tokenizer for the decoder's text: the same one."""
        return self

    def vocabulary(self) -> dict[int, str]:
        """The text of every token by its id, without special and added tokens."""
        return self.file.vocabulary()

    def without_template(self) -> "PartialTokenizer":
        """The same tokenizer, which adds no special tokens to a text."""
        bare = cache(lambda: self.open_whole().without_template())
        return replace(self, file=self.file.without_template(), open_whole=bare)

    def chat_template(self) -> "ChatTemplate | None":
        """The template that writes messages as one text; None if there is none.

        Raises:
            AttnError: its file is damaged.
        """
        return self.file.chat_template()

    @property
    def size(self) -> int:
        """The number of tokens: the largest id is one less."""
        return self.file.size

    @property
    def directory(self) -> Path | None:
        """Where `AutoTokenizer` reads the same tokenizer."""
        return self.file.directory

    @property
    def remarks(self) -> tuple[str, ...]:
        """What to know of the tokenizer."""
        return ()
