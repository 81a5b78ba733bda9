"""The tokens along one side of a matrix, with the texts that they were split from."""

from collections.abc import Sequence
from itertools import pairwise

from attn_cli.models.tokens.token import Token
from attn_cli.record import record


@record(frozen=True, slots=True)
class TextSide:
    """The tokens that are queries or keys, and their text, or two with `--pair`."""

    tokens: Sequence[Token]
    texts: Sequence[str]
    name: str = "the text"

    @property
    def count(self) -> int:
        """The number of tokens."""
        return len(self.tokens)

    @property
    def parts(self) -> Sequence[tuple[str, Sequence[Token]]]:
        """Each text with its own tokens: offsets count from the start of the text that a token belongs to."""
        if len(self.texts) == 1:
            return [(self.texts[0], self.tokens)]
        first, second = self.texts
        border = _second_start(self.tokens, first)
        return [(first, self.tokens[:border]), (second, self.tokens[border:])]


def _second_start(tokens: Sequence[Token], first_text: str) -> int:
    """The index of the first token of the second text.

    Some models are told which text a token belongs to. Without that, the second text begins after a special
    token at the end of the first, or where the offsets start again; if all of the first text starts at 0,
    after the token that reaches its end.
    """
    if not first_text:
        return 0
    numbers = [token.segment for token in tokens if token.end > token.start]
    if len(set(numbers)) > 1:
        return next(
            place
            for place, token in enumerate(tokens)
            if token.end > token.start and token.segment != numbers[0]
        )
    for place, (before, token) in enumerate(pairwise(tokens), 1):
        if token.start < before.start or _closes(before, first_text):
            return place
    length = len(first_text.rstrip())
    return next((1 + place for place, token in enumerate(tokens) if token.end >= length), len(tokens))


def _closes(token: Token, text: str) -> bool:
    """Whether it is a token that the template adds after the text."""
    return token.special and token.start == token.end == len(text)
