"""Words that tokens cover only partly: the tokens are selected whole, and have more than the word."""

from collections.abc import Iterator

from attn_cli.models.tokens.token import Token
from attn_cli.reading.selection import is_numeric
from attn_cli.reading.token_selection.items import WORDS, items
from attn_cli.reading.token_selection.places import larger_places
from attn_cli.reading.token_selection.text_side import TextSide
from attn_cli.record import record


@record(frozen=True, slots=True)
class LargerPlace:
    """A word of a selection, and tokens that are taken for it though they have more than its characters."""

    word: str
    text: str  # all characters of the tokens
    tokens: tuple[Token, ...]


def find_larger_places(selection: str, side: TextSide) -> Iterator[LargerPlace]:
    """The places of the words in a selection, which is valid, whose tokens have more than the word."""
    for item in items(selection):
        if item.is_text or not (is_numeric(item.typed) or item.typed in WORDS):
            for text, positions in larger_places(item.text, side):
                yield LargerPlace(item.text, text, tuple(side.tokens[position] for position in positions))
