"""Where words begin and end: letters, digits and marks beside each other are one word.

Scripts without spaces between words, such as Chinese, Japanese and Thai, have no such boundaries: there, a
word is any occurrence of its characters.
"""

import unicodedata
from functools import cache
from itertools import takewhile

_UNSPACED = (
    *("CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "BOPOMOFO", "IDEOGRAPHIC"),
    *("THAI", "LAO", "KHMER", "MYANMAR", "TAI THAM", "JAVANESE", "BALINESE"),
)
_JOINERS = {"\u200c", "\u200d"}  # inside words of Persian and Hindi, and between pictures
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)  # two of them are a flag
_TAGS = range(0xE0020, 0xE0080)  # after a black flag


def is_inside_character(text: str, place: int) -> bool:
    """Whether `place` is within a letter with its accents, a joined emoji, a flag or a line end."""
    if not 0 < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    if before.isspace():
        return before + after == "\r\n"
    return _extends(after) or before in _JOINERS or _splits_flag(text, place)


def is_inside_word(text: str, place: int) -> bool:
    """Whether the characters before and at `place` belong to one word, one number or one emoji."""
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


def enclosing_word(text: str, start: int, end: int) -> str:
    """The word around a part of it."""
    while is_inside_word(text, start):
        start -= 1
    while is_inside_word(text, end):
        end += 1
    return text[start:end]


def is_word_character(character: str) -> bool:
    """Whether it is a letter, a digit or a mark."""
    return character.isalnum() or _is_mark(character)


def _is_inside_name(text: str, place: int) -> bool:
    """Whether an underscore joins letters, as in `snake_case`; in `_it_` it only marks the word."""
    start, end = place, place
    while start and text[start - 1] == "_":
        start -= 1
    while end < len(text) and text[end] == "_":
        end += 1
    return (
        start < end
        and start > 0
        and end < len(text)
        and is_word_character(text[start - 1])
        and is_word_character(text[end])
    )


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
    if ord(text[place]) not in _FLAG_LETTERS:
        return False
    letters = takewhile(lambda letter: ord(letter) in _FLAG_LETTERS, reversed(text[:place]))
    return sum(1 for _ in letters) % 2 == 1


@cache
def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


@cache
def _is_unspaced(character: str) -> bool:
    return unicodedata.name(character, "").startswith(_UNSPACED)
