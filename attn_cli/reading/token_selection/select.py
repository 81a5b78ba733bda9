"""Selects tokens by position, by kind, or by words of the text.

A list may mix them: `3`, `-1`, `4-7`, `4-`, `all` are positions; `special` is every special token and `first`
the first token; anything else is a word or a phrase of the text, at every place where it stands, or with `@2`
at its second. `=7`, `=first` and `"Paris, France"` are always text.
"""

from collections.abc import Iterable

from attn_cli.errors import UsageError
from attn_cli.reading.selection import Numbered, as_number, is_numeric
from attn_cli.reading.token_selection.errors import (
    check_number,
    empty_item,
    no_special_tokens,
    no_such_place,
    or_as_text,
    several_tokens,
)
from attn_cli.reading.token_selection.items import Item, items
from attn_cli.reading.token_selection.places import find_places
from attn_cli.reading.token_selection.text_side import TextSide
from attn_cli.reading.token_selection.unknown_word import no_such_word


def select_tokens(selection: str, side: TextSide, what: str, option: str = "") -> tuple[int, ...]:
    """The positions of the selected tokens, in ascending order, each once.

    `what` is selected: "row" or "column"; `option` selects it: by default, `--rows` or `--columns`.

    Raises:
        UsageError: the selection is malformed, out of range, or names text that is not there.
    """
    unit = " token" if side.count == 1 else " tokens"
    numbered = Numbered(what, side.count, side.name, unit, option or f"--{what}s")
    positions: set[int] = set()
    listed = list(items(selection))
    for item, following in zip(listed, [*listed[1:], None], strict=True):
        if not item.typed:
            raise empty_item(selection, side, numbered)
        if following is not None:
            check_number(item, following, side, numbered.option)
        positions.update(_positions(item, side, numbered))
    return tuple(sorted(positions))


def select_token(selection: str, side: TextSide, what: str, option: str = "") -> int:
    """The position of the one token that is selected; the option is `--query` if `what` is "query".

    Raises:
        UsageError: as `select_tokens`; or several tokens are selected.
    """
    option = option or f"--{what}"
    chosen = select_tokens(selection, side, what, option)
    if len(chosen) > 1:
        raise several_tokens(selection, [side.tokens[position] for position in chosen], side, option)
    return chosen[0]


def _positions(item: Item, side: TextSide, numbered: Numbered) -> Iterable[int]:
    """The positions that one item selects."""
    if item.is_text:
        return _of_word(item, side, numbered)
    if is_numeric(item.typed):
        return _of_number(item, side, numbered)
    if item.typed == "special":
        return _special(side, numbered)
    return range(1) if item.typed == "first" else _of_word(item, side, numbered)


def _of_number(item: Item, side: TextSide, numbered: Numbered) -> Iterable[int]:
    try:
        return numbered.part(item.typed)
    except UsageError as error:
        raise or_as_text(error, item, side, numbered.option) from None


def _special(side: TextSide, numbered: Numbered) -> Iterable[int]:
    special = [token.position for token in side.tokens if token.special]
    if not special:
        raise no_special_tokens(side, numbered)
    return special


def _of_word(item: Item, side: TextSide, numbered: Numbered) -> Iterable[int]:
    """The tokens of the word's places, or of the one that `@2` names."""
    places = find_places(item.text, side)
    if not places:
        raise no_such_word(item, side, numbered)
    if item.place is None:
        return [position for place in places for position in place]
    nth = as_number(item.place)
    if not 0 < abs(nth) <= len(places):
        raise no_such_place(item, len(places), side, numbered.option)
    return places[nth - 1 if nth > 0 else nth]
