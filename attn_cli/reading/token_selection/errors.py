"""The errors of a selection of tokens whose words are found, but not as they are needed."""

import re
from collections.abc import Sequence

from attn_cli.errors import UsageError
from attn_cli.models.tokens.token import Token
from attn_cli.reading.selection import Numbered, as_number, is_numeric
from attn_cli.reading.token_selection.items import Item, as_item, items, quoted
from attn_cli.reading.token_selection.places import find_places, is_in_text
from attn_cli.reading.token_selection.text_side import TextSide

_FEW = 3  # tokens named in an error
_LONGEST = 40  # characters of a text in an error
_NUMBERS = re.compile(r"\d+(,\d+)+")


def check_number(item: Item, following: Item, side: TextSide, option: str) -> None:
    """Check that `=1,000` is not meant as one number: a comma separates items.

    Raises:
        UsageError: 1,000 stands in the text.
    """
    both = f"{item.typed[1:]},{following.typed}"
    if item.typed.startswith("=") and _NUMBERS.fullmatch(both) and find_places(both, side):
        problem = f"'={both}' is either the text {both}, or the text {item.text} and token {following.typed}"
        raise UsageError(problem, f"{option} {as_item(both)}, or {option} {following.typed},{item.typed}")


def empty_item(selection: str, side: TextSide, numbered: Numbered) -> UsageError:
    """The error for nothing between two commas, or for a comma alone."""
    error = numbered.nothing(selection)
    if selection.strip() == "," and find_places(",", side):
        return UsageError(error.problem, f"{numbered.option} {quoted('=,')} for the comma")
    typed = [item.typed for item in items(selection) if item.typed]
    if all(map(is_numeric, typed)):
        return error
    return UsageError(error.problem, f"{numbered.option} {quoted(','.join(typed))}")


def or_as_text(error: UsageError, item: Item, side: TextSide, option: str) -> UsageError:
    """The error of a position; if the text has this number, with how to select that: `=1930`."""
    if not find_places(item.typed, side):
        return error
    return UsageError(error.problem, f"{option} {quoted(f'={item.typed}')} for the text {item.typed}")


def no_special_tokens(side: TextSide, numbered: Numbered) -> UsageError:
    """The error for `special` if every token is text."""
    problem = f"'special' selects no {numbered.what}: {side.name} has no special tokens"
    is_word = bool(find_places("special", side))
    return UsageError(problem, f"{numbered.option} {quoted('=special') if is_word else 'first'}")


def no_such_place(item: Item, places: int, side: TextSide, option: str) -> UsageError:
    """The error for `it@3` if the word stands twice."""
    typed, nth = shortened(item.text), as_number(item.place or "0")
    times = {1: "once", 2: "twice"}.get(places, f"{places:,} times")
    problem = f"'{typed}' has no place {nth}: it stands {times} in {side.name}"
    hint = f"{option} {as_item(item.text, places)}"
    with_sign = f"{item.text}@{item.place}"
    if is_in_text(with_sign, side):
        hint += f", or {option} {as_item(with_sign)} for the text {shortened(with_sign)}"
    return UsageError(problem, hint)


def several_tokens(selection: str, tokens: Sequence[Token], side: TextSide, option: str) -> UsageError:
    """The error for several tokens where one is needed."""
    named = ", ".join(
        f"{token.position} '{shortened(token.text.strip() or token.text)}'" for token in tokens[:_FEW]
    )
    rest = f" and {len(tokens) - _FEW:,} more" if len(tokens) > _FEW else ""
    problem = f"{option} takes one token, and '{shortened(selection)}' selects {len(tokens):,}"
    hint = f"{option} {tokens[0].position}"
    item, *others = items(selection)
    places = [] if others or item.place else find_places(item.text, side)
    if len(places) > 1 and places[0] == (tokens[0].position,):
        hint += f", or {option} {as_item(item.text, 1)}"
    return UsageError(f"{problem}: {named}{rest}", hint)


def shortened(text: str) -> str:
    """The text as it is quoted in an error."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
