"""A colour scale shared by several grids: the colour of each value, and the ticks of its bar."""

from collections.abc import Sequence
from difflib import get_close_matches
from math import ceil, floor, log10
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from attn_cli.errors import UsageError
from attn_cli.grid import Grid, Matrix
from attn_cli.record import record
from attn_cli.safe_text import printable
from attn_cli.show.scale import Limits, common_limits, fractions, is_signed, levels

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

_SEQUENTIAL = "viridis"  # perceptually uniform, and safe for colour-blind readers
_LOG = "magma"  # the same on a log scale, so that the two are not compared by their colours
_DIVERGING = "RdBu_r"  # white in the middle, unlike the grey of masked cells
_ROOM = 0.11  # of the bar, between a label and that of a limit; a bar is ten labels high or more
_FIVE_DIGITS, _FOUR_DECIMALS = 99_999.5, 0.0001  # numbers in cells beyond these have an exponent
_MOST_DECADES = 6  # labelled one by one
_DECADES = 2  # between the limits of a log scale; below, powers of ten are too few for ticks

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of red, green and blue: Rec. 709
_TOE = 0.04045  # sRGB is linear up to this value
_EQUAL_CONTRAST = 0.179  # (1 + 0.05) / (L + 0.05) = (L + 0.05) / 0.05


@record(frozen=True, slots=True)
class ColourScale:
    """A range of values and its colour map."""

    limits: Limits
    cmap: "Colormap"
    is_log: bool = False

    def colours(self, values: Matrix) -> npt.NDArray[np.uint8]:
        """(R, C, 4) the colours as RGBA bytes; values outside the limits have the colour of the limit."""
        return np.asarray(
            self.cmap(levels(values, self.limits, is_log=self.is_log), bytes=True), dtype=np.uint8
        )

    def number(self, value: float) -> str:
        """`value`, short enough for a cell: no longer than the limits."""
        decimals = _decimals(max(map(abs, self.limits)))
        if decimals is None:
            return with_minus_sign(f"{value:.1e}" if value else "0")
        return with_minus_sign(f"{value:.{decimals}f}")

    def column(self, count: int) -> Matrix:
        """(count, 1) the values down the bar, the highest first."""
        low, high = self.limits
        spaced = np.geomspace if self.is_log else np.linspace
        return np.asarray(spaced(high, low, count)[:, None])

    def place(self, value: float) -> float:
        """How far up the bar a value is, 0 to 1."""
        return float(fractions(np.asarray(value), self.limits, is_log=self.is_log))

    def ticks(self, *ends: float) -> list[float]:
        """About five round numbers within the limits, and those of `ends` with room for their labels."""
        low, high = self.limits
        slack = (high - low) * 1e-6
        round_numbers = _powers(low, high) if self.is_log else _multiples(low, high)
        ticks = [tick for tick in round_numbers if low - slack <= tick <= high + slack]
        return sorted(ends + tuple(tick for tick in ticks if self._is_apart(tick, ends)))

    def _is_apart(self, tick: float, ends: Sequence[float]) -> bool:
        """Whether the label of a tick leaves room for those of the ends."""
        return all(abs(self.place(tick) - self.place(end)) > _ROOM for end in ends)


def colour_scale(grids: Sequence[Grid], cmap: str | None) -> ColourScale:
    """One scale for all grids: their common limits, diverging around 0 if these have both signs."""
    limits, is_log = common_limits(grids), all(grid.is_log for grid in grids)
    usual = _LOG if is_log else _DIVERGING if is_signed(limits) else _SEQUENTIAL
    return ColourScale(limits, colour_map(cmap or usual), is_log)


def _decimals(largest: float) -> int | None:
    """As many as numbers up to `largest` need: two digits of a small one; None: they need an exponent."""
    if largest == 0 or 0.1 <= largest < 100:  # noqa: PLR2004  as the scores of most models
        return 2
    if largest >= 100:  # noqa: PLR2004
        return 0 if largest < _FIVE_DIGITS else None
    return 1 - floor(log10(largest)) if largest >= _FOUR_DECIMALS else None


def _multiples(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator  # 0.01 s

    return list(map(float, MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)))


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten; with few of them also their multiples by 2 and 5; if these are too few, equal steps."""
    span = log10(high) - log10(low)
    decades = range(floor(log10(low)), ceil(log10(high)) + 1, max(1, round(span / _MOST_DECADES)))
    few = span < _DECADES
    powers = [float(f"{factor}e{decade}") for decade in decades for factor in ((1, 2, 5) if few else (1,))]
    return powers if sum(low <= power <= high for power in powers) > 1 else _multiples(low, high)


def colour_map(name: str) -> "Colormap":
    """The colour map of that name; raises `UsageError` if there is none."""
    import matplotlib as mpl  # 0.15 s

    if name not in mpl.colormaps:
        names = {known.casefold(): known for known in mpl.colormaps}
        close = get_close_matches(name.casefold(), names, n=1) or [_SEQUENTIAL]
        raise UsageError(f"colour map '{printable(name)}' does not exist", f"--cmap {names[close[0]]}")
    return mpl.colormaps[name]


def readable_ink(colour: npt.NDArray[np.uint8]) -> str:
    """Black or white, whichever has more contrast on a colour (WCAG 2.1)."""
    parts = colour[:3] / 255
    linear = np.where(parts <= _TOE, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ _LUMINANCE > _EQUAL_CONTRAST else "white"


def with_minus_sign(number: str) -> str:
    """The number with a typographic minus sign, and none before zero."""
    return number.replace("-", "−") if number.strip("-0.") else number.removeprefix("-")
