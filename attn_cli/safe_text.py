"""Makes text from outside harmless and visible: no control sequences, no invisible labels."""

import codecs
import re
import unicodedata

LEFT_TO_RIGHT = "\N{LEFT-TO-RIGHT MARK}"
_RIGHT_TO_LEFT = {"R", "AL", "AN"}  # letters, and Arabic digits
# compiled when first needed: most runs have no such text
_OF_SUCH_SCRIPTS = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]"
_WORD = r"\S+"
_PLAIN = "[ -~\u00a1-\u00ac\u00ae-\u024f]*"  # Latin letters and signs: as tokens of GPT-2 write bytes, too
_NAMED = {"\n": "⏎", "\r": "␍", "\t": "⇥"}
_JOINER = "\N{ZERO WIDTH JOINER}"  # harmless inside an emoji, invisible elsewhere
_EMOJI_ENDS = {"So", "Sk"}  # pictures and skin tones
_EMOJI_STARTS = {"So", "Sm"}  # pictures and arrows
_PICTURE = "\N{VARIATION SELECTOR-16}"  # requests the emoji form of the preceding character
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BLANK_LETTERS = set("\u115f\u1160\u2800\u3164\uffa0")  # letters and symbols that are blank
_BLANK_MARKS = (  # default ignorable code points of category Mn
    *(range(0x034F, 0x0350), range(0x17B4, 0x17B6), range(0x180B, 0x1810)),
    *(range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0)),
)
_SELECTORS = "\N{VARIATION SELECTOR-15}\N{VARIATION SELECTOR-16}"  # the text or emoji form of a character
_SELECTED = {"So", "Sm", "Po", "Sk"}
_MARK_CATEGORIES = {"Mn", "Me"}
MOST_MARKS = 10
"""Marks on one letter that are shown; written languages have up to four."""
LONGEST_LABEL = 200
"""Characters of a label: more than a line has room for."""
_KOREAN_ENDS = {*map(chr, range(0x1160, 0x1200)), *map(chr, range(0xD7B0, 0xD800))}
_NOTHING = "\N{DOTTED CIRCLE}"  # the base of a combining mark without a letter, Unicode 7.9

_FORMULAS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last four of full width
"""What a spreadsheet may take for the beginning of a formula; a tab before it is written as `⇥`."""


_LONGEST_WORD = 320  # characters of a sentence: paths in a cache have 200, names of files up to 255
_LONGEST_SENTENCE = 600
_CUT = "…"

_IN_ADDRESS = r"//(?:\S*|[^/\n]*)@"  # the user and the password of a URL
_IN_ADDRESS_ALONE = r"(?<![\w/])[\w.~%+\-]+:[^\s/]+@"  # without the scheme before them
_IN_HEADER = r"(?i)\b(bearer|basic)\s+[^\s'\"]+"

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SKIN_TONES = range(0x1F3FB, 0x1F400)  # modify the picture before them, and draw nothing of known width alone


def text_encoding(beginning: bytes) -> str:
    """The encoding of a text by its byte order mark: UTF-8 without one. PowerShell 5 writes UTF-16."""
    return next((name for mark, name in _MARKS if beginning.startswith(mark)), "utf-8-sig")


def printable(text: str) -> str:
    r"""`text` with every control, format, invisible, surrogate or unassigned character escaped (`\x1b`).

    Of many marks on one letter only the first are kept.
    """
    if re.fullmatch(_PLAIN, text):
        return text
    neighbours = zip(" " + text, text, text[1:] + " ", strict=False)
    shown = "".join(_printable_character(*three) for three in neighbours)
    return shown if len(shown) <= MOST_MARKS else _with_few_marks(shown)


def _with_few_marks(text: str) -> str:
    """The text with an ellipsis for the marks of a letter beyond `MOST_MARKS`."""
    kept, marks = list[str](), 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in _MARK_CATEGORIES else 0
        if marks <= MOST_MARKS:
            kept.append(character)
        elif marks == MOST_MARKS + 1:
            kept.append("…")
    return "".join(kept)


def text_cell(text: str) -> str:
    """Text from outside as a cell: an apostrophe stands before what a spreadsheet takes for a formula.

    `=1+1` is `'=1+1`, and so that it can be taken away again, `'=1+1` is `''=1+1`.
    """
    shown = printable(text)
    return f"'{shown}" if shown.lstrip("'").startswith(_FORMULAS) else shown


def condensed(sentence: str) -> str:
    """A sentence for the user: of a word, or of all of it, that is too long, the beginning and the end.

    What comes from outside has any length: a type in a configuration, a name in an index.
    """
    if len(sentence) <= _LONGEST_WORD:
        return sentence
    words = re.sub(rf"\S{{{_LONGEST_WORD + 1},}}", lambda word: _cut(word.group(), 80), sentence)
    return words if len(words) <= _LONGEST_SENTENCE else _cut(words, _LONGEST_SENTENCE)


def _cut(text: str, most: int) -> str:
    """The first two thirds and the last of `most` characters."""
    end = most // 3
    return f"{text[: most - end - len(_CUT)]}{_CUT}{text[-end:]}"


def without_credentials(message: str) -> str:
    """A library's message, or an address, without the password or token in its addresses and headers."""
    message = re.sub(_IN_ADDRESS_ALONE, "", re.sub(_IN_ADDRESS, "//", message))
    return re.sub(_IN_HEADER, r"\1 ...", message)


def is_right_to_left(text: str) -> bool:
    """Whether the text has a character that is written from right to left."""
    return any(
        unicodedata.bidirectional(found) in _RIGHT_TO_LEFT for found in re.findall(_OF_SUCH_SCRIPTS, text)
    )


def in_order(line: str) -> str:
    """A line for a terminal, whose words remain in their order, from left to right.

    A terminal that reorders right-to-left text turns everything around between two Hebrew words, numbers
    too, unless a mark of the other direction comes after each (UAX #9, rules N1 and W2). Terminals keep the
    mark, which has no width, with the character before it; the one at the start is for those that look for
    the direction of the first letter.
    """
    if line.isascii() or not is_right_to_left(line):
        return line
    return LEFT_TO_RIGHT + re.sub(_WORD, lambda word: marked(word.group()), line)


def marked(word: str) -> str:
    """The word with a mark after it if it is written from right to left; see `in_order`."""
    return word + LEFT_TO_RIGHT if is_right_to_left(word) else word


def label(text: str) -> str:
    """`text` as the label of a row or a column: printable, without surrounding space, never empty.

    A long one is truncated: a token can be a text of a megabyte.
    """
    if len(text) > LONGEST_LABEL:
        return f"{label(text[:LONGEST_LABEL])}…"
    shown = printable(text).strip() or "␣" * max(1, len(text))
    return _NOTHING + shown if _joins_what_stands_before(shown[0]) else shown


def _joins_what_stands_before(character: str) -> bool:
    """Whether it is drawn on the character before it: a combining mark, or a Korean vowel or final."""
    return unicodedata.category(character).startswith("M") or character in _KOREAN_ENDS


def _printable_character(before: str, character: str, after: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    if character in _SELECTORS and _takes_selector(before):
        return character
    if character == _JOINER and _is_inside_emoji(before, after):
        return character
    is_lone_tone = ord(character) in _SKIN_TONES and not _modifies(before)
    if is_lone_tone or _is_blank(character) or unicodedata.category(character) in _UNPRINTABLE:
        return character.encode("unicode_escape").decode("ascii")
    return character


def _is_blank(character: str) -> bool:
    """Whether nothing is drawn for it, though its category is that of a letter or an accent."""
    return character in _BLANK_LETTERS or any(ord(character) in marks for marks in _BLANK_MARKS)


def _takes_selector(before: str) -> bool:
    """Whether a character is drawn as a picture or as text by a selector after it: ❤, ‼, ↔, 1."""
    return unicodedata.category(before) in _SELECTED or (before.isascii() and before in "0123456789#*")


def _modifies(before: str) -> bool:
    """Whether a skin tone after this character is drawn as a part of it."""
    return before == _PICTURE or unicodedata.category(before) == "So"


def _is_inside_emoji(before: str, after: str) -> bool:
    ends = before == _PICTURE or unicodedata.category(before) in _EMOJI_ENDS
    return ends and unicodedata.category(after) in _EMOJI_STARTS
