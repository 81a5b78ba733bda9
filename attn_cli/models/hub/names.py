"""Guesses the model meant by a mistyped name, and reads a model's name from its URL on the hub."""

import re
from collections.abc import Collection

from attn_cli.spelling import edits, nearest
from attn_cli.vocabulary import EMBEDDED, RANDOM

BUILT_IN = (EMBEDDED, RANDOM)
"""The names that never refer to a model on the hub."""

_MOST_EDITS = 2  # wrong letters allowed in a built-in name; in a cached one only one
_SHORTEST = 5  # letters: in shorter names one letter makes another model (bert, bart)
_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/"
    r"([\w.\-]+(?:/(?!(?:tree|blob|resolve|raw|commits?|discussions)/)[\w.\-]+)?)(?:[/?#].*)?",
    re.ASCII,
)
"""A page of a model; names without an organisation are followed by the words of its other pages."""


def slip(name: str, cached: Collection[str]) -> str | None:
    """The built-in or cached model that was meant; None if the name may be another model's.

    A digit (`albert-base-v1` and `-v2`) or two letters (`-cased` and `-uncased`) can make another model, so
    these are not slips. A name with an organisation may differ only in case, which the hub ignores.
    """
    for known in (*BUILT_IN, *cached):
        if known != name and known.casefold() == name.casefold():
            return known
    if "/" in name:
        return None
    for known in (*BUILT_IN, *cached):
        if _is_slip(name.casefold(), known.casefold(), _MOST_EDITS if known in BUILT_IN else 1):
            return known
    return None


def suggestion(name: str, cached: Collection[str]) -> str | None:
    """The built-in or cached model whose name is close, or equal apart from the organisation."""
    last = name.rpartition("/")[2].casefold()
    same = next((known for known in cached if known.rpartition("/")[2].casefold() == last), None)
    return same or nearest(name, (*BUILT_IN, *cached))


def name_at(address: str) -> str | None:
    """The model's name in the URL of its page; None if it is not such a URL."""
    matched = _ADDRESS.fullmatch(address)
    return None if matched is None else matched[1]


def _is_slip(name: str, known: str, most: int) -> bool:
    digits, known_digits = re.sub(r"\D", "", name), re.sub(r"\D", "", known)
    return len(name) >= _SHORTEST and digits == known_digits and 0 < edits(name, known) <= most
