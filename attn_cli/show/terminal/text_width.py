"""Fits text to a console: makes it encodable, and truncates, folds or pads it to a width in cells."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rich.cells import cell_len, split_graphemes

_SPELLED = {
    "·": ".", "×": "x", "…": "..", "→": "->", "␣": "_", "⏎": "\\n", "␍": "\\r", "⇥": "\\t",
    "░": ".", "▒": ":", "▓": "+", "█": "#",
    "▏": " ", "▎": " ", "▍": " ", "▌": "#", "▋": "#", "▊": "#", "▉": "#",
    "÷": "/", "√": "sqrt ", "−": "-", "∞": "inf", "²": "^2", "Σ": "sum", "α": "alpha", "“": '"', "”": '"',
}  # fmt: skip
_FLAG = "[\N{REGIONAL INDICATOR SYMBOL LETTER A}-\N{REGIONAL INDICATOR SYMBOL LETTER Z}]{2}"


def encodable(text: str, encoding: str) -> str:
    r"""`text` in characters that `encoding` supports: `->` for an arrow, `\u65e5` for other characters."""
    if _carries(encoding, text):
        return text
    return "".join(c if _carries(encoding, c) else _spelled(c) for c in text)


def cut(text: str, width: int, ellipsis: str = "…") -> str:
    """`text` if it is at most `width` wide, else as many characters as fit before the ellipsis."""
    if cell_len(text) <= width:
        return text
    kept = ""
    for grapheme in graphemes(text):
        if cell_len(kept + grapheme + ellipsis) > width:
            break
        kept += grapheme
    return kept + ellipsis[:width]


def folded(text: str, width: int, lines: int | None, ellipsis: str = "…") -> list[str]:
    """`text` over at most `lines` lines of `width`, the last one truncated if needed; None: no limit."""
    pieces = list(_pieces(text, width))
    if lines is None or len(pieces) <= lines:
        return pieces
    return [*pieces[: lines - 1], cut(pieces[lines - 1] + ellipsis + " ", width, ellipsis)]


def filled(phrases: Sequence[str], between: str, width: int) -> list[str]:
    """Unbroken phrases on lines of at most `width`; a wider phrase is broken at its spaces.

    A wider word gets a line of its own and is not broken.
    """
    lines: list[str] = []
    for phrase in phrases:
        if cell_len(phrase) > width and " " in phrase:
            lines += filled(phrase.split(" "), " ", width)
            continue
        longer = f"{lines[-1]}{between}{phrase}" if lines else ""
        if longer and cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(phrase)
    return lines


def to_left(text: str, width: int) -> str:
    """`text` padded with spaces on the right to `width` cells."""
    return text + " " * (width - cell_len(text))


def to_right(text: str, width: int) -> str:
    """`text` padded with spaces on the left to `width` cells."""
    return " " * (width - cell_len(text)) + text


def _carries(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _spelled(character: str) -> str:
    return _SPELLED.get(character) or character.encode("unicode_escape").decode("ascii")


def _pieces(text: str, width: int) -> Iterator[str]:
    """`text` in pieces of at most `width`, unless a single character is wider."""
    if cell_len(text) <= width:
        yield text
        return
    piece = ""
    for grapheme in graphemes(text):
        if piece and cell_len(piece + grapheme) > width:
            yield piece
            piece = ""
        piece += grapheme
    yield piece


def graphemes(text: str) -> Iterator[str]:
    """User-perceived characters: a letter with its accents, a joined emoji, a flag."""
    inside_flags = {
        flag.start() + 1 for flag in re.finditer(_FLAG, text)
    }  # Rich splits a flag into two letters
    ends = [end for _, end, _ in split_graphemes(text)[0] if end not in inside_flags]
    return (text[start:end] for start, end in pairwise((0, *ends)))
