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
        self._pending = 0  # how many characters are not certain yet
        self._begun: list[int] = []  # the new tokens that they belong to

    @property
    def tokens(self) -> tuple[Token, ...]:
        """All tokens, those of the text first."""
        return (*self._before, *self._new)

    def add(self, index: int) -> str:
        """Write one more token; what that adds to the text, which is empty within a character."""
        token, place, pending = self._tokenizer.text_token(index), len(self.text), self._pending
        added = self.finish() if token.special else self._extended(index)
        broken = min(pending, len(added) - len(added.lstrip(_INCOMPLETE)))  # bytes that became no character
        start = place + (len(added) if token.special else broken)
        if added and not token.special:
            self._complete(place + max(broken, 1))
        last = self.tokens[-1] if self.tokens else None
        segment, position = (0, 0) if last is None else (last.segment, last.position + 1)
        token = replace(token, position=position, segment=segment, generated=True)
        self._new.append(replace(token, start=start, end=len(self.text)))
        if self._pending and not token.special:
            self._begun.append(len(self._new) - 1)
        return added

    def finish(self) -> str:
        """End the text: bytes of a character that is not complete become replacement characters."""
        added = self._decoded()[len(self._seen) :]
        self._extend(added)
        self._pending = 0
        self._complete(len(self.text))
        return added

    def _extended(self, index: int) -> str:
        """The text with another token; what is certain of it."""
        if len(self._window) > _LONGEST and not self._begun:
            self._window = self._window[-_CONTEXT:]
            self._seen = self._decoded()
        self._window.append(index)
        whole = self._decoded()
        certain = whole.rstrip(_INCOMPLETE)
        self._pending = len(whole) - len(certain)
        added = certain[len(self._seen) :]
        self._extend(added)
        return added

    def _extend(self, added: str) -> None:
        self._seen += added
        self.text += added

    def _complete(self, end: int) -> None:
        """Let the tokens whose character has come to this end have it as their place."""
        for number in self._begun:
            self._new[number] = replace(self._new[number], end=max(end, self._new[number].end))
        self._begun = []

    def _decoded(self) -> str:
        return self._tokenizer.decode(self._window)
