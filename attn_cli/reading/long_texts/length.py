"""How long a text may be: in characters, and in tokens of a model."""

from typing import TYPE_CHECKING

from attn_cli.errors import AttnError

if TYPE_CHECKING:
    from attn_cli.models.source import Source

LONGEST = 1_000_000
"""Characters of a text that a model runs on, or that a tokenizer splits as a whole: some 250,000 tokens."""

MOST_TOKENS = 1 << 18
"""Tokens that a model runs on: what `LONGEST` characters of prose come to."""

LONG = 100_000
"""Characters of a text; of longer ones the tokens are kept in columns, or counted before they are made."""

AS_A_WHOLE = "one that the tokenizer cannot split piece by piece has at most"
"""What to say of the length of a text whose tokenizer is not local."""

_PART = "a part of it: head -c 100000 FILE"


def check_length(text: str | None, name: str, what: str = "a model runs on at most") -> None:
    """Check the length of a text, which `name` names; None: there is none.

    Raises:
        AttnError: it is too long; `what` says for what.
    """
    if text is not None and len(text) > LONGEST:
        raise AttnError(f"{name} is too long: {len(text):,} characters, and {what} {LONGEST:,}", _PART)


def check_positions(count: int, name: str, source: "Source") -> None:
    """Check that there are tokens, and that the model has a position for each.

    Raises:
        AttnError: there are none, or too many.
    """
    if not count:
        raise AttnError(f"{name} has no tokens", "a text with words")
    if source.is_bounded and source.longest is not None and count > source.longest:
        size = f"{count:,} tokens, but {source.card.name} has {source.longest:,} positions"
        problem = f"{name} is too long: {size}"
        raise AttnError(problem, "shorten the text, or use a model with more positions")


def check_tokens(count: int, name: str) -> None:
    """Check that a model may run on so many tokens.

    Raises:
        AttnError: they are too many.
    """
    if count > MOST_TOKENS:
        problem = f"{name} is too long: {count:,} tokens, and a model runs on at most {MOST_TOKENS:,}"
        raise AttnError(problem, _PART)
