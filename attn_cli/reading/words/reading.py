"""A reading whose queries and keys are words."""

from dataclasses import replace
from typing import TYPE_CHECKING

from attn_cli.errors import AttnError
from attn_cli.reading.words.forming import form_words
from attn_cli.reading.words.words import Words, WordSide
from attn_cli.vocabulary import Kind

if TYPE_CHECKING:
    from attn_cli.reading.reading import Reading
    from attn_cli.reading.token_selection.text_side import TextSide


def in_words(reading: "Reading") -> "Reading":
    """The same reading with words as queries and keys.

    Raises:
        AttnError: the model does not tell where in the text its tokens stand.
    """
    queries, keys = word_side(reading.query_side), word_side(reading.key_side)
    return replace(reading, words=Words(queries if reading.kind is Kind.CROSS else keys, keys))


def word_side(side: "TextSide") -> WordSide:
    """The words of a text.

    Raises:
        AttnError: the model does not tell where in the text its tokens stand.
    """
    of_text = [token for token in side.tokens if not token.special]
    has_letters = any(text.strip() for text in side.texts)
    if has_letters and of_text and all(token.end <= token.start for token in of_text):
        problem = f"--words needs to know where tokens stand in {side.name}: its tokenizer does not tell"
        raise AttnError(problem, "leave out --words")
    return WordSide.of(form_words(side))
