"""Whether a tokenizer fits a model: its ids and segments are rows of the embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from attn_cli.errors import AttnError
from attn_cli.models.tokens.token import Token, Tokenizer
from attn_cli.record import record

Tokens = TypeVar("Tokens", bound=Sequence[Token])
_IDS = 1 << 32
"""The ids that tokenizers have."""


@record(frozen=True, slots=True)
class Fit:
    """The sizes of a model's embeddings, and where its tokenizer comes from."""

    vocabulary: int
    segments: int  # 0: the model has no embeddings of segments
    path: Path
    is_chosen: bool  # whether the tokenizer was chosen in place of the model's own

    def checked(self, tokens: Tokens) -> Tokens:
        """The tokens, if the model has an embedding for each.

        Raises:
            AttnError: an id or a segment is out of range.
        """
        for token in tokens:
            if token.id >= self.vocabulary:
                size = f"id {token.id}, but the vocabulary has {self.vocabulary}"
                raise AttnError(f"the token '{token.piece}' has {size}", self._hint)
            if self.segments and token.segment >= self.segments:
                segment = f"segment {token.segment}, but there are {self.segments}"
                raise AttnError(f"the token '{token.piece}' is in {segment}", self._hint)
        return tokens

    def start(self, index: int, tokenizer: Tokenizer) -> Token:
        """The token with which the decoder starts.

        Raises:
            AttnError: its id is out of range.
        """
        if not 0 <= index < min(self.vocabulary, _IDS):
            size = f"decoder_start_token_id {index}, but the vocabulary has {self.vocabulary}"
            raise AttnError(f"{self.path} has {size}", "download the model again, or repair config.json")
        return tokenizer.token(index)

    def remarks(self, tokenizer: Tokenizer) -> tuple[str, ...]:
        """A remark if a chosen tokenizer has more tokens than the model has embeddings."""
        if not self.is_chosen or tokenizer.size <= self.vocabulary:
            return ()
        sizes = f"{tokenizer.size:,} tokens, and the model embeddings for {self.vocabulary:,}"
        return (f"the tokenizer has {sizes}: they may not belong together",)

    @property
    def _hint(self) -> str:
        if self.is_chosen:
            return "--tokenizer with the tokenizer that the model was trained with"
        return f"check that tokenizer.json and config.json in {self.path} belong to the same model"
