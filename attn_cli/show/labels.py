"""Text from outside made harmless and visible: no control sequence, no invisible label."""

import unicodedata

_NAMED = {"\n": "⏎", "\r": "␍", "\t": "⇥"}
_JOINER = "\N{ZERO WIDTH JOINER}"  # holds an emoji together: harmless, and needed
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable(text: str) -> str:
    r"""`text` with every control, format, surrogate or unassigned character spelled out (`\x1b`)."""
    return "".join(_printable_character(character) for character in text)


def label(text: str) -> str:
    """`text` as the label of a row or a column: printable, no space around it, never empty."""
    return printable(text.strip(" ")) or "␣" * max(1, len(text))


def _printable_character(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    if character == _JOINER or unicodedata.category(character) not in _UNPRINTABLE:
        return character
    return character.encode("unicode_escape").decode("ascii")
