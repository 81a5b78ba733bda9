"""Where words begin and end, and the parts of words that a selection may name.

Words are those of Unicode (UAX #29), with three differences: a colon always separates words, an underscore
joins letters only between them, and signs are joined to nothing. *don't*, *3.14* and *e.g* are words;
*state-of-the-art* is four, and three hyphens. Scripts without spaces have no boundaries that rules could find
without a dictionary: of Chinese, Thai and Japanese (except a run of katakana) each character is a word.

A part is what letters, digits and marks beside each other form: *it* of *it's*, and any characters of a
script without spaces.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from itertools import accumulate

_UNSPACED = (
    *("CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "BOPOMOFO", "IDEOGRAPHIC"),
    *("THAI", "LAO", "KHMER", "MYANMAR", "TAI THAM", "JAVANESE", "BALINESE"),
)
_KATAKANA = ("KATAKANA", "HALFWIDTH KATAKANA")
_IN_NAMES = frozenset(
    "'.\u2018\u2019\u2024\ufe52\uff07\uff0e\u00b7\u0387\u055f\u05f4\u2027"
)  # as in e.g. and l'an
_IN_NUMBERS = frozenset(
    "',.;\u2018\u2019\u2024\ufe52\uff07\uff0e\u2044\u060c\u060d\u066b\u066c\u07f8"
    "\u037e\u0589\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b"
)  # as in 1,000.5
_SIGNS = _IN_NAMES | _IN_NUMBERS | {'"'}
_JOINERS = {"\u200c", "\u200d"}  # inside words of Persian and Hindi, and between pictures
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))  # two of them are a flag
_TAGS = range(0xE0020, 0xE0080)  # after a black flag


def is_inside_character(text: str, place: int) -> bool:
    """Whether `place` is within a letter with its accents, a joined emoji, a flag or a line end."""
    if not 0 < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    if before.isspace():
        return before + after == "\r\n"
    return _extends(after) or before in _JOINERS or _splits_flag(text, place)


def words_of(text: str) -> list[int]:
    """(C,) the number of the word that each character belongs to; white space and signs are words too."""
    starts = (not is_inside_word(text, place) and place > 0 for place in range(len(text)))
    return list(accumulate(starts))


def is_inside_word(text: str, place: int) -> bool:
    """Whether the characters before and at `place` belong to one word, one number or one emoji."""
    if not 0 < place < len(text):
        return False
    pair = text[place - 1 : place + 1]
    return is_inside_part(text, place) or _is_joined(text, place) or _is_katakana(pair) or pair == "\r\n"


def is_inside_part(text: str, place: int) -> bool:
    """The same of a part of a word that a selection may name: *it* of *it's*."""
    if not 0 < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    if _extends(after) or before in _JOINERS:
        return True
    if _splits_flag(text, place):
        return True
    if is_word_character(before) and is_word_character(after):
        return not (_is_unspaced(before) or _is_unspaced(after))
    return _is_inside_name(text, place) or _is_inside_number(text, place)


def enclosing_part(text: str, start: int, end: int) -> str:
    """The part of a word around some of its characters."""
    return _enclosing(text, start, end, is_inside_part)


def enclosing_word(text: str, start: int, end: int) -> str:
    """The word around some of its characters."""
    return _enclosing(text, start, end, is_inside_word)


def _enclosing(text: str, start: int, end: int, is_inside: Callable[[str, int], bool]) -> str:
    while is_inside(text, start):
        start -= 1
    while is_inside(text, end):
        end += 1
    return text[start:end]


def is_word_character(character: str) -> bool:
    """Whether it is a letter, a digit or a mark."""
    return character.isalnum() or _is_mark(character)


def _is_inside_name(text: str, place: int) -> bool:
    """Whether an underscore joins letters, as in `snake_case`; in `_it_` it only marks the word."""
    if "_" not in text[place - 1 : place + 1]:
        return False
    start, end = _runs(text, "_")[place if text[place] == "_" else place - 1]
    is_between = start > 0 and end < len(text)
    return is_between and is_word_character(text[start - 1]) and is_word_character(text[end])


def _is_joined(text: str, place: int) -> bool:
    """Whether a sign between letters, or between digits, is at `place` or before it, as in *don't*."""
    at = place if text[place] in _SIGNS else place - 1
    sign, before, after = text[at], _base(text, at - 1), text[at + 1 : at + 2]
    if sign not in _SIGNS or not before:
        return False
    if sign in "'\"" and _is_hebrew(before):  # a geresh or, between letters, gershayim
        return place == at if sign == "'" and not _is_letter(after) else _is_hebrew(after) or sign == "'"
    if _is_letter(before) and _is_letter(after):
        return sign in _IN_NAMES
    return before.isdecimal() and after.isdecimal() and sign in _IN_NUMBERS


def _base(text: str, place: int) -> str:
    """The character at `place`, or the one that a mark there belongs to; none before the text."""
    while place > 0 and _extends(text[place]):
        place -= 1
    return text[place] if place >= 0 else ""


def _is_inside_number(text: str, place: int) -> bool:
    """Whether a point or a comma between digits is at `place` or before it, as in `3.14` and `1,000`."""
    at = place if text[place] in ".," else place - 1
    is_between = 0 < at < len(text) - 1 and text[at] in ".,"
    return is_between and text[at - 1].isdigit() and text[at + 1].isdigit()


def _extends(character: str) -> bool:
    """Whether it is drawn as a part of the character before it."""
    code = ord(character)
    return character in _JOINERS or code in _SKIN_TONES or code in _TAGS or _is_mark(character)


def _splits_flag(text: str, place: int) -> bool:
    if text[place] not in _FLAG_LETTERS:
        return False
    start, _ = _runs(text, _FLAG_LETTERS)[place]
    return (place - start) % 2 == 1


@lru_cache(maxsize=4)  # a text is asked about at each of its places
def _runs(text: str, characters: str) -> Mapping[int, tuple[int, int]]:
    """Where the run of some of the characters begins and ends that a place of the text is in."""
    spans = (run.span() for run in re.finditer(f"[{characters}]+", text))
    return {place: span for span in spans for place in range(*span)}


def _is_katakana(characters: str) -> bool:
    return all(_is_of(_KATAKANA, character) and character.isalpha() for character in characters)


def _is_letter(character: str) -> bool:
    return character.isalpha() and not _is_unspaced(character)


def _is_hebrew(character: str) -> bool:
    return character.isalpha() and _is_of(("HEBREW",), character)


@cache
def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


@cache
def _is_unspaced(character: str) -> bool:
    return _is_of(_UNSPACED, character)


@cache
def _is_of(scripts: tuple[str, ...], character: str) -> bool:
    return unicodedata.name(character, "").startswith(scripts)
