"""The items of a list of tokens, as typed: `special,it@2,4-7,=7,"Paris, France"`."""

import re
from collections.abc import Iterator

from attn_cli.reading.selection import is_numeric
from attn_cli.record import record

WORDS = ("special", "first")
"""What selects tokens by their kind."""

_NEEDS_NO_QUOTES = re.compile(r"(?!=)[\w@%+:./,…-]+")
_IN_QUOTES = r'=?"((?:[^"]|"")+)"(?:@(-?\d+))?'
_QUOTED = re.compile(_IN_QUOTES)
_ITEM = re.compile(rf"\s*((?:{_IN_QUOTES})(?=\s*(?:,|\Z))|=,[^,]*|[^,]*)\s*(,|\Z)")
_PLACED = re.compile(r"(.+?)(?:@(-?\d+))?", re.DOTALL)


@record(frozen=True, slots=True)
class Item:
    """One item of a list."""

    typed: str
    text: str  # the word or the phrase, without what marks it as such
    place: str | None  # the number after `@`
    is_text: bool  # whether it is marked as text: in quotation marks, or after `=`


def items(selection: str) -> Iterator[Item]:
    """The items between the commas; empty ones too.

    A comma in quotation marks or right after `=` is text; in quotation marks, `""` is one of them, as in CSV.
    """
    start, separator = 0, ","
    while separator:
        matched = _ITEM.match(selection, start)
        assert matched is not None, "an item may be empty"
        yield _item(matched[1].strip())
        start, separator = matched.end(), matched[4]


def _item(typed: str) -> Item:
    in_quotes = _QUOTED.fullmatch(typed)
    if in_quotes is not None:
        return Item(typed, in_quotes[1].replace('""', '"'), in_quotes[2], is_text=True)
    is_marked = typed.startswith("=")
    placed = _PLACED.fullmatch(typed[1:].strip() if typed[1:].strip() and is_marked else typed)
    text, place = ("", None) if placed is None else placed.groups()
    return Item(typed, text.strip(), place, is_marked)


def as_item(text: str, place: int | None = None) -> str:
    """How to type a word or a phrase of the text in a shell."""
    return quoted(_as_text(" ".join(text.split()) or text) + ("" if place is None else f"@{place}"))


def quoted(selection: str) -> str:
    """The selection in quotation marks, if a shell needs them (zsh also for a `=` at the start)."""
    if _NEEDS_NO_QUOTES.fullmatch(selection):
        return selection
    if not any(sign in selection for sign in '"$`\\!'):
        return f'"{selection}"'
    return "'" + selection.replace("'", "'\\''") + "'"


def _as_text(text: str) -> str:
    """The text, marked as such if it could mean something else."""
    is_one = list(items(text)) == [Item(text, text, None, is_text=False)]
    if is_one and not is_numeric(text) and text not in WORDS:
        return text
    return '"' + text.replace('"', '""') + '"'
