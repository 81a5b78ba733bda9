"""Which model a mistyped name stands for, and which name an address on the hub has."""

import re
from collections.abc import Collection
from pathlib import Path

from attn_cli.spelling import edits, nearest
from attn_cli.vocabulary import EMBEDDED, RANDOM

BUILT_IN = (EMBEDDED, RANDOM)
"""The names that no hub is asked for."""

_MOST_EDITS = 2  # letters of a built-in name that may be wrong; of a cached one a single letter
_SHORTEST = 5  # letters: of shorter names one letter makes another model (bert, bart)
_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.\-]+(?:/[\w.\-]+)?)(?:[/?#].*)?", re.ASCII
)


def slip(name: str, cached: Collection[str]) -> str | None:
    """The built-in or cached model that was meant; None where the name may well be one of its own.

    Models are told apart by a digit (`albert-base-v1` and `-v2`) or by two letters (`-cased` and `-uncased`),
    so those are no slips; nor is what has an organisation before it, but for capitals, which the hub ignores.
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
    """The built-in or cached model whose name is close, or the same but for the organisation."""
    last = name.rpartition("/")[2].casefold()
    same = next((known for known in cached if known.rpartition("/")[2].casefold() == last), None)
    return same or nearest(name, (*BUILT_IN, *cached))


def name_at(address: str) -> str | None:
    """The model's name in the address of its page; None where it is no such address."""
    matched = _ADDRESS.fullmatch(address)
    return None if matched is None else matched[1]


def directory_with_model(path: Path) -> Path | None:
    """Where a model lies near a file or a directory that is none: beside the file, or a floor below."""
    places = (path.parent,) if path.is_file() else (*path.glob("*"), *path.glob("snapshots/*"))
    return next((place for place in sorted(places) if (place / "config.json").is_file()), None)


def _is_slip(name: str, known: str, most: int) -> bool:
    digits, known_digits = re.sub(r"\D", "", name), re.sub(r"\D", "", known)
    return len(name) >= _SHORTEST and digits == known_digits and 0 < edits(name, known) <= most
