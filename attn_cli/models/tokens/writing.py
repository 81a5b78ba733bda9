"""A text that grows token by token: what each new token adds to it, and where.

A token need not be text of its own: a character may be spread over several tokens, and what a token stands
for may depend on those before it. So the last tokens are decoded together, as transformers' streamers do.
"""

from collections.abc import Sequence
from dataclasses import replace

from attn_cli.models.tokens.token import Token, Tokenizer

_INCOMPLETE = "\ufffd"  # how a decoder writes bytes that are no whole character
_CONTEXT = 6  # tokens that are decoded before a new one; a character has at most four bytes
_LONGEST = 4 * _CONTEXT  # tokens that are decoded together


class Writing:
    """The tokens that are written after a text, and the text with them."""

    def __init__(self, tokenizer: Tokenizer, tokens: Sequence[Token], text: str) -> None:
        self.text = text
        self._tokenizer, self._before, self._new = tokenizer, tuple(tokens), list[Token]()
        self._window = [token.id for token in tokens if not token.special][-_CONTEXT:]
        self._seen = self._decoded()
        self._begun: list[int] = []  # the new tokens whose character is not complete

    @property
    def tokens(self) -> tuple[Token, ...]:
        """All tokens, those of the text first."""
        return (*self._before, *self._new)

    def add(self, index: int) -> str:
        """Write one more token; what that adds to the text, which is empty within a character."""
        token, place = self._tokenizer.text_token(index), len(self.text)
        last = self.tokens[-1] if self.tokens else None
        segment, position = (0, 0) if last is None else (last.segment, last.position + 1)
        added = self.finish() if token.special else self._extended(index)
        start = place + (len(added) if token.special else 0)
        self._new.append(
            replace(
                token, position=position, segment=segment, start=start, end=len(self.text), generated=True
            )
        )
        if not token.special and self._decoded().endswith(_INCOMPLETE):
            self._begun.append(len(self._new) - 1)
        elif added:
            self._complete()
        return added

    def finish(self) -> str:
        """End the text: bytes of a character that is not complete become replacement characters."""
        added = self._decoded()[len(self._seen) :]
        self._seen += added
        self.text += added
        self._complete()
        return added

    def _extended(self, index: int) -> str:
        """The text with another token; what is certain of it."""
        if len(self._window) > _LONGEST and not self._begun:
            self._window = self._window[-_CONTEXT:]
            self._seen = self._decoded()
        self._window.append(index)
        certain = self._decoded().rstrip(_INCOMPLETE)
        added = certain[len(self._seen) :]
        self._seen += added
        self.text += added
        return added

    def _complete(self) -> None:
        """Let the tokens whose character has come to an end have it as their place."""
        for number in self._begun:
            token = self._new[number]
            self._new[number] = replace(token, end=min(max(token.end, token.start) + 1, len(self.text)))
        self._begun = []

    def _decoded(self) -> str:
        return self._tokenizer.decode(self._window)
