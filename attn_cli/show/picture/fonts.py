r"""Finds fonts for a text, measures its width, and escapes characters without a glyph (`\u4e2d`)."""

import re
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import category

from attn_cli import safe_text
from attn_cli.record import record
from attn_cli.show.picture.font_file import known_font
from attn_cli.show.picture.marks import INCH

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

_FAMILY = "DejaVu Sans"  # comes with matplotlib
_LAST_RESORT = "lastresort"  # comes with matplotlib and macOS: all its glyphs are boxes
_REGULAR = 400
_INKLESS = {"Zs", "Cf", "Mn"}  # spaces, joiners, variation selectors
_LONGEST_LABEL, _LONGEST_TITLE = 20, 400  # characters: more of a title do not fit any page
_ELLIPSIS = "…"
_ESCAPE = r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})"
_JOINER = "\N{ZERO WIDTH JOINER}"


@record(frozen=True, slots=True)
class Letters:
    """The fonts of a page; they format labels and titles, and measure text."""

    families: tuple[str, ...]
    missing: tuple[str, ...]
    lacking: tuple[str, ...] = ()  # characters that a font from a file lacks, and another one has

    def label(self, token: str) -> str:
        """The label of a row or a column."""
        return self._cut(safe_text.label(token), _LONGEST_LABEL)

    def title(self, text: str) -> str:
        """The title of a panel or a page."""
        return self._cut(safe_text.printable(text), _LONGEST_TITLE)

    def word(self, text: str) -> str:
        """A word of a text, in full."""
        spelled = (_spelled(character) if character in self.missing else character for character in text)
        return _with_whole_escapes("".join(spelled))

    def inches(self, text: str, size: float) -> float:
        """The width of `text` at `size` points, in inches."""
        return _points(text, self.families) * size / INCH

    def fitted(self, text: str, size: float, width: float) -> str:
        """As much of `text` as fits `width` inches at `size` points, with an ellipsis if that is not all."""
        if self.inches(text, size) <= width:
            return text
        ends = range(len(text))
        kept = bisect_left(
            ends, x=True, key=lambda end: self.inches(text[: end + 1] + _ELLIPSIS, size) > width
        )
        while kept and _continues(text[kept - 1], text[kept]):
            kept -= 1
        return text[:kept].rstrip() + _ELLIPSIS

    def lines(self, text: str, size: float, width: float, most: int) -> list[str]:
        """`text` on at most `most` lines of `width` inches, broken at spaces; the last may be cut.

        A size, such as 4 × 4, is not broken, nor is a difference.
        """
        lines = [""]
        for word in re.split(r"(?<![×−])\s+(?![×−])", text.strip()):
            longer = f"{lines[-1]} {word}".strip()
            if not lines[-1] or self.inches(longer, size) <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        if len(lines) > most:
            lines[most - 1 :] = [" ".join(lines[most - 1 :])]
        return [self.fitted(line, size, width) for line in lines]

    def _cut(self, text: str, longest: int) -> str:
        """`text` with missing characters escaped, truncated to `longest` characters."""
        spelled = [_spelled(character) if character in self.missing else character for character in text]
        ends = list(accumulate(map(len, spelled), initial=0))
        if ends[-1] <= longest:
            return _with_whole_escapes("".join(spelled))
        return _with_whole_escapes("".join(spelled[: bisect_left(ends, longest) - 1]) + "…")


def _with_whole_escapes(text: str) -> str:
    """The text, in which escapes are read from left to right even between words that are read leftwards."""
    if not safe_text.is_right_to_left(text):
        return text
    return re.sub(_ESCAPE, lambda escape: safe_text.LEFT_TO_RIGHT + escape.group(), text)


def rightwards(text: str) -> str:
    """A line that begins on the left even if its words are read leftwards: a number before a Hebrew word."""
    return safe_text.LEFT_TO_RIGHT + text if safe_text.is_right_to_left(text) else text


def letters_for(tokens: Iterable[str], titles: Iterable[str], file: Path | None = None) -> Letters:
    """The fonts for these texts: that of the file, DejaVu Sans, and others only for characters they lack.

    Raises:
        UsageError: the file is not a font.
    """
    written = {*chain(*map(safe_text.label, tokens), *map(safe_text.printable, titles))}
    own = [] if file is None else [known_font(file)]
    lacking = written if file is None else _lacking(own[0], written)
    families, missing = [*own, *({_FAMILY} - {*own})], _lacking(_FAMILY, lacking)
    for family in _installed() if missing else ():
        rest = _lacking(family, missing)
        if rest != missing:
            families.append(family)
        missing = rest
    replaced = () if file is None else tuple(sorted(lacking - missing))
    return Letters(tuple(families), tuple(sorted(missing)), replaced)


def _installed() -> list[str]:
    from matplotlib.font_manager import fontManager  # paid in `_lacking`

    # matplotlib warns at every use of a family without a regular weight
    regular = {
        font.name for font in fontManager.ttflist if font.style == "normal" and font.weight == _REGULAR
    }
    return sorted(name for name in regular if _LAST_RESORT not in name.replace(" ", "").casefold())


def _lacking(family: str, characters: set[str]) -> set[str]:
    """The characters that the font cannot draw."""
    if not characters:
        return characters
    from matplotlib.font_manager import FontProperties, findfont, get_font  # 0.1 s

    try:
        font = get_font(findfont(FontProperties(family=[family])))
        return {character for character in characters if not _draws(font, character)}
    except (OSError, RuntimeError):  # a file that is missing, or that FreeType cannot read
        return characters


def _draws(font: "FT2Font", character: str) -> bool:
    """Whether there is a glyph with an outline: matplotlib cannot draw colour emoji."""
    if not font.get_char_index(ord(character)):
        return False
    font.load_char(ord(character))
    return len(font.get_path()[0]) > 0 or category(character) in _INKLESS


def _continues(before: str, character: str) -> bool:
    """Whether a character is drawn together with the one before it."""
    return category(character).startswith("M") or _JOINER in {before, character}


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


@lru_cache(maxsize=4096)
def _points(text: str, families: tuple[str, ...]) -> float:
    """The width of `text` at a size of 1 point, in points."""
    from matplotlib.font_manager import FontProperties  # paid in `_lacking`
    from matplotlib.textpath import text_to_path  # 0.02 s

    font = FontProperties(family=list(families), size=100)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 100
