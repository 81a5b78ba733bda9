"""Shades for numbers: colours if the console supports them, otherwise glyphs.

Zero is as unobtrusive as the terminal's background, and lightness alone conveys the order.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from rich.color import Color
from rich.style import Style

from attn_cli.grid import Grid
from attn_cli.record import record
from attn_cli.show import scale
from attn_cli.vocabulary import Theme

Rgb = tuple[int, int, int]


@record(frozen=True, slots=True)
class Shade:
    """How a cell is drawn: a glyph before its number, and a style for both."""

    glyph: str
    style: Style


@record(frozen=True, slots=True)
class Arms:
    """The shades of numbers above and below zero, those nearest to zero first."""

    above: tuple[Shade, ...]
    below: tuple[Shade, ...]


_PLAIN, *_ = _GLYPHS = tuple(Shade(glyph, Style.null()) for glyph in " ░▒▓█")

# Orange above zero, blue below it. CIE L* rises evenly from 20, which is just above a dark background,
# to 88; on a light one it falls from 94 to 30.
_TRUECOLOR = {
    Theme.DARK: (
        "3d2d23 623a19 834902 9d5d05 b77209 d28701 e7a02b f4bc63 fdd899",
        "283140 2b446a 285894 1f6eb9 1885d9 229ef1 4eb7fd 84cefd b8e3fc",
    ),
    Theme.LIGHT: (
        "f9edd8 f0d3aa e7ba7d dd9f52 cf8627 bb7007 a25c09 894903 713701",
        "ddf1fc b1ddfc 88c8f7 65b2f0 489be5 3584d4 2b6ebe 2759a3 244583",
    ),
}
_STEPS = 4  # shades per interval between two of these: 33 in all

# The same in every terminal. The nearest matches of the colours above are not always in order; these are.
# The first shades of a one-sided range are grey, which is less obtrusive; with two sides, hue tells the sign.
_256 = {
    Theme.DARK: ("52 94 136 179 222", "18 25 33 75 153"),
    Theme.LIGHT: ("230 223 180 137 94 88", "195 153 110 68 26 20"),
}
_256_OF_ONE_SIDE = {
    Theme.DARK: ("236 239 94 136 179 222", "236 239 25 33 75 153"),
    Theme.LIGHT: ("255 223 180 137 94 88", "255 153 110 68 26 20"),
}

# Users choose their own palette of 16. In nearly all of them red < yellow < white and blue < cyan < white;
# white can hardly be told from bright white, and the other bright colours are greys in Solarized.
_16 = {
    Theme.DARK: ("red yellow", "blue cyan"),
    Theme.LIGHT: ("yellow red", "cyan blue"),
}
_16_OF_ONE_SIDE = {
    Theme.DARK: ("red yellow bright_white", "blue cyan bright_white"),
    Theme.LIGHT: ("yellow red black", "cyan blue black"),
}
_DARK_16 = {"black", "blue", "red"}


def ramp(colours: str | None, theme: Theme, limits: scale.Limits) -> tuple[Shade, ...]:
    """The shades from the lowest to the highest value; an odd number if zero is in the middle.

    `colours`: Rich's name of the console's colour system; None if it has no colours.
    """
    if scale.is_signed(limits):
        arms = _arms(colours, theme)
        return (*reversed(arms.below), _PLAIN, *arms.above)
    arms = _arms_of_one_side(colours, theme)
    return arms.below[::-1] if scale.is_below_zero(limits) else arms.above


def shade_indices(grid: Grid, count: int) -> npt.NDArray[np.int64]:
    """(R, C) the index of each cell's shade among `count`, from the lowest value to the highest."""
    if scale.is_below_zero(grid.limits):  # counted from the shade nearest to zero
        low, high = grid.limits
        return count - 1 - level_indices(scale.levels(-grid.values, (-high, -low)), count)
    return level_indices(scale.levels(grid.values, grid.limits, is_log=grid.is_log), count)


def level_indices(levels: npt.NDArray[np.floating], count: int) -> npt.NDArray[np.int64]:
    """The index of the shade of each level, 0 to 1, among `count`."""
    return np.asarray(np.minimum(levels * count, count - 1), dtype=np.int64)


@cache
def _arms(colours: str | None, theme: Theme) -> Arms:
    """The shades of a range that contains zero; numbers next to zero have none."""
    if colours is None:
        return Arms(_GLYPHS[1:], _GLYPHS[1:])
    if colours == "truecolor":
        return Arms(*(_readable(_between(arm)) for arm in _TRUECOLOR[theme]))
    if colours == "256":
        return Arms(*(_readable(_numbered(arm)) for arm in _256[theme]))
    return Arms(*(_on_palette(arm) for arm in _16[theme]))


@cache
def _arms_of_one_side(colours: str | None, theme: Theme) -> Arms:
    """The shades of a range above zero, and those of a range below it."""
    if colours is None:
        return Arms(_GLYPHS, _GLYPHS)
    if colours == "truecolor":
        return _arms(colours, theme)
    if colours == "256":
        return Arms(*(_readable(_numbered(arm)) for arm in _256_OF_ONE_SIDE[theme]))
    return Arms(*((_PLAIN, *_on_palette(arm)) for arm in _16_OF_ONE_SIDE[theme]))


def _numbered(numbers: str) -> Iterator[Color]:
    return (Color.from_ansi(int(number)) for number in numbers.split())


def _between(colours: str) -> Iterator[Color]:
    """Colours in even steps between the given ones, including the last."""
    known = [Color.parse(f"#{colour}").get_truecolor() for colour in colours.split()]
    for one, other in pairwise(known):
        for step in range(_STEPS):
            yield Color.from_rgb(*_mixed(one, other, step / _STEPS))
    yield Color.from_rgb(*known[-1])


def _mixed(a: Rgb, b: Rgb, share: float) -> Rgb:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _readable(backgrounds: Iterable[Color]) -> tuple[Shade, ...]:
    """Each background with black or white text, whichever has more contrast."""
    black, white = Color.from_ansi(16), Color.from_ansi(231)
    return tuple(
        Shade(" ", Style(color=white if _luminance(colour) < _EQUAL_CONTRAST else black, bgcolor=colour))
        for colour in backgrounds
    )


def _on_palette(names: str) -> tuple[Shade, ...]:
    """The colours by name; the last, for the largest numbers, with bold text."""
    *others, last = names.split()
    return (*(_on_named(name) for name in others), _on_named(last, bold=True))


def _on_named(name: str, *, bold: bool | None = None) -> Shade:
    text = "bright_white" if name in _DARK_16 else "black"
    return Shade(" ", Style(color=text, bgcolor=name, bold=bold))


_TOE = 0.04045  # sRGB is linear up to this value
_EQUAL_CONTRAST = 0.179  # (1 + 0.05) / (L + 0.05) = (L + 0.05) / 0.05


def _luminance(colour: Color) -> float:
    """The relative luminance of a colour, 0 to 1 (WCAG 2.1)."""
    red, green, blue = (_linear(part / 255) for part in colour.get_truecolor())
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= _TOE else ((part + 0.055) / 1.055) ** 2.4
