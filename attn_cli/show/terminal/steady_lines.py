"""Keeps the columns of a line in place whatever script its words have, in any terminal.

Right-to-left words get a mark, see `in_order`. Terminals disagree on the width of some characters: after
those the cursor is put where the next column begins.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.control import Control
from rich.segment import Segment

from attn_cli.safe_text import LEFT_TO_RIGHT, is_right_to_left, marked

# compiled when first needed: most runs have no such text
_WORD = r"\S+"
_UNEVEN = (  # pictures and flags that are joined or modified, Korean vowels, Thai and Lao am
    "[\u0e33\u0eb3\u1160-\u11ff\u200d\u20e3\ufe0e\ufe0f\ud7b0-\ud7ff\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff]"
)
_FIRST_SPACING_MARK = "\u0903"  # Devanagari visarga: no such mark comes earlier in Unicode


def steadied(line: Sequence[Segment], *, has_marks: bool, has_cursor: bool) -> Iterator[Segment]:
    """The line with what keeps its columns in place.

    `has_marks`: whether the encoding has the mark; `has_cursor`: whether the terminal has a cursor to move.
    """
    text = "".join(segment.text for segment in line)
    is_turned = has_marks and is_right_to_left(text)
    if not is_turned and not (has_cursor and has_uneven_width(text)):
        yield from line
        return
    if is_turned:
        yield Segment(LEFT_TO_RIGHT)  # the line itself, for terminals that look for its first letter
    column, width = 0, Segment.get_line_length(list(line))
    for segment in line:
        most = width if has_cursor else 0
        yield from _steadied(segment, column, most, has_marks=is_turned)
        column += segment.cell_length


def has_uneven_width(text: str) -> bool:
    """Whether terminals disagree on its width."""
    if re.search(_UNEVEN, text):
        return True
    return any(
        unicodedata.category(character) == "Mc" for character in text if character >= _FIRST_SPACING_MARK
    )


def _steadied(segment: Segment, column: int, most: int, *, has_marks: bool) -> Iterator[Segment]:
    """A segment that begins in this column; the cursor is moved to columns below `most`."""
    text, done = segment.text, 0
    for word in re.finditer(_WORD, text):
        shown = marked(word.group()) if has_marks else word.group()
        end = column + cell_len(text[: word.end()])
        is_uneven = end < most and has_uneven_width(word.group())
        if shown == word.group() and not is_uneven:
            continue
        yield Segment(text[done : word.start()] + shown, segment.style)
        done = word.end()
        if is_uneven:
            yield Control.move_to_column(end).segment
    if done < len(text):
        yield Segment(text[done:], segment.style)
