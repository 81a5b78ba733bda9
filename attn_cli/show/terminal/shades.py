"""A ramp of shades for numbers: colours where the console has them, glyphs where it has none."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.color import Color
from rich.style import Style

from attn_cli.grid import Grid
from attn_cli.show import scale

Rgb = tuple[int, int, int]


class Shade(NamedTuple):
    """How a cell is drawn: a glyph before its number, a style under both."""

    glyph: str
    style: Style


# viridis, as in the pictures: light is large, and it stays so in grey and for the colour-blind.
_RISING = ("440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725")
# Dark is zero on both sides, so that the cells without effect step back as they do in viridis.
_DIVERGING = ("a6d3ff", "5fa3e6", "356eab", "24476e", "262626", "6b3b1c", "a85f27", "e0913f", "ffcf94")
_STEPS = 4  # shades between two colours above: 33 in all

# The nearest of 256 colours are not always lighter where they should be; these are.
_RISING_256 = (53, 55, 24, 30, 36, 77, 148, 220)
_DIVERGING_256 = (153, 75, 32, 24, 235, 94, 172, 215, 223)

# A palette of 16 is the user's own: only black < blue, red < cyan, yellow holds in nearly all of them.
_RISING_16 = ("black", "blue", "cyan", "yellow")
_DIVERGING_16 = ("cyan", "blue", "black", "red", "yellow")
_DARK_16 = {"black", "blue", "red"}

_RISING_GLYPHS = " ░▒▓█"
_DIVERGING_GLYPHS = "█▓▒░ ░▒▓█"


@cache
def ramp(colours: str | None, *, signed: bool) -> tuple[Shade, ...]:
    """The shades from the lowest to the highest value; an odd number where zero is in the middle.

    `colours`: the console's colour system, by Rich's word for it; None where it has none.
    """
    if colours is None:
        return tuple(
            Shade(glyph, Style.null()) for glyph in (_DIVERGING_GLYPHS if signed else _RISING_GLYPHS)
        )
    if colours == "truecolor":
        return _readable([Color.from_rgb(*rgb) for rgb in _between(_DIVERGING if signed else _RISING)])
    if colours == "256":
        return _readable([Color.from_ansi(number) for number in (_DIVERGING_256 if signed else _RISING_256)])
    return tuple(_on_palette(name) for name in (_DIVERGING_16 if signed else _RISING_16))


def shade_indices(grid: Grid, count: int) -> npt.NDArray[np.int64]:
    """(R, C) which of `count` shades each cell has; -1 where it is masked."""
    level = scale.levels(grid.values, grid.limits)
    shades = np.minimum(level * count, count - 1).astype(np.int64)
    return np.where(grid.visible, shades, -1)


def _between(colours: Sequence[str]) -> list[Rgb]:
    """The colours with even steps between them, the last one included."""
    known = [(int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16)) for c in colours]
    steps = [_mixed(a, b, step / _STEPS) for a, b in pairwise(known) for step in range(_STEPS)]
    return [*steps, known[-1]]


def _mixed(a: Rgb, b: Rgb, share: float) -> Rgb:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _readable(backgrounds: Sequence[Color]) -> tuple[Shade, ...]:
    """Each background under black or white text, whichever has more contrast."""
    black, white = Color.from_ansi(16), Color.from_ansi(231)
    return tuple(
        Shade(" ", Style(color=white if _luminance(colour) < _EQUAL_CONTRAST else black, bgcolor=colour))
        for colour in backgrounds
    )


def _on_palette(name: str) -> Shade:
    return Shade(" ", Style(color="bright_white" if name in _DARK_16 else "black", bgcolor=name))


_TOE = 0.04045  # sRGB is linear up to here
_EQUAL_CONTRAST = 0.179  # (1 + 0.05) / (L + 0.05) = (L + 0.05) / 0.05


def _luminance(colour: Color) -> float:
    """How light a colour looks, 0 to 1: WCAG 2.1, relative luminance."""
    red, green, blue = (_linear(part / 255) for part in colour.get_truecolor())
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= _TOE else ((part + 0.055) / 1.055) ** 2.4
