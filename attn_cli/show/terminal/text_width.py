"""Text fitted to a console: encodable characters, cut, folded or padded to a width in cells."""

import unicodedata
from collections.abc import Iterator, Sequence

from rich.cells import cell_len

_SPELLED = {
    "·": ".", "×": "x", "…": "..", "→": "->", "␣": "_", "⏎": "\\n", "␍": "\\r", "⇥": "\\t",
    "░": ".", "▒": ":", "▓": "+", "█": "#",
}  # fmt: skip
_JOINER = "\N{ZERO WIDTH JOINER}"
_FLAG_LETTERS = ("\N{REGIONAL INDICATOR SYMBOL LETTER A}", "\N{REGIONAL INDICATOR SYMBOL LETTER Z}")


def encodable(text: str, encoding: str) -> str:
    r"""`text` in characters that `encoding` has: `->` for an arrow, `\u65e5` for a letter it lacks."""
    if _carries(encoding, text):
        return text
    return "".join(c if _carries(encoding, c) else _spelled(c) for c in text)


def cut(text: str, width: int, ellipsis: str = "…") -> str:
    """`text` if it is at most `width` wide, else as many whole characters as leave room for the ellipsis."""
    if cell_len(text) <= width:
        return text
    kept = ""
    for character in _characters(text):
        if cell_len(kept + character + ellipsis) > width:
            break
        kept += character
    return kept + ellipsis[:width]


def folded(text: str, width: int, lines: int, ellipsis: str = "…") -> list[str]:
    """`text` over at most `lines` lines of `width`, the last one cut where there is more."""
    pieces = list(_pieces(text, width))
    if len(pieces) <= lines:
        return pieces
    return [*pieces[: lines - 1], cut(pieces[lines - 1] + ellipsis + " ", width, ellipsis)]


def filled(phrases: Sequence[str], between: str, width: int, ellipsis: str = "…") -> list[str]:
    """Whole phrases on lines of at most `width`; a phrase that is wider is cut."""
    lines: list[str] = []
    for phrase in phrases:
        longer = f"{lines[-1]}{between}{phrase}" if lines else ""
        if longer and cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(cut(phrase, width, ellipsis))
    return lines


def to_left(text: str, width: int) -> str:
    """`text` and then spaces, `width` wide on a screen."""
    return text + " " * (width - cell_len(text))


def to_right(text: str, width: int) -> str:
    """Spaces and then `text`, `width` wide on a screen."""
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
    """`text` in pieces of at most `width`, unless one character alone is wider."""
    piece = ""
    for character in _characters(text):
        if piece and cell_len(piece + character) > width:
            yield piece
            piece = ""
        piece += character
    yield piece


def _characters(text: str) -> Iterator[str]:
    """What a reader takes for one character: a letter and its accents, a joined emoji, a flag."""
    start = 0
    for end in range(1, len(text)):
        if not _continues(text[start:end], text[end]):
            yield text[start:end]
            start = end
    yield text[start:]


def _continues(begun: str, following: str) -> bool:
    if following == _JOINER or begun.endswith(_JOINER):
        return True
    if _is_flag_letter(following):
        return len(begun) == 1 and _is_flag_letter(begun)
    return unicodedata.category(following).startswith("M") or cell_len(following) == 0


def _is_flag_letter(character: str) -> bool:
    first, last = _FLAG_LETTERS
    return first <= character <= last
