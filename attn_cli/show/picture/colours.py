"""A colour scale shared by several grids: the colour of each value, and the format of numbers."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from attn_cli.errors import UsageError
from attn_cli.grid import Grid, Matrix
from attn_cli.record import record
from attn_cli.safe_text import printable
from attn_cli.show.scale import Limits, common_limits, is_signed, levels

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

_SEQUENTIAL = "viridis"  # perceptually uniform, and safe for colour-blind readers
_DIVERGING = "RdBu_r"  # white in the middle, unlike the grey of masked cells

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of red, green and blue: Rec. 709
_TOE = 0.04045  # sRGB is linear up to this value
_EQUAL_CONTRAST = 0.179  # (1 + 0.05) / (L + 0.05) = (L + 0.05) / 0.05


@record(frozen=True, slots=True)
class ColourScale:
    """A range of values and its colour map."""

    limits: Limits
    cmap: "Colormap"

    def colours(self, values: Matrix) -> npt.NDArray[np.uint8]:
        """(R, C, 4) the colours as RGBA bytes; values outside the limits have the colour of the limit."""
        return np.asarray(self.cmap(levels(values, self.limits), bytes=True), dtype=np.uint8)

    def number(self, value: float) -> str:
        """`value`, short enough for a cell."""
        usual = 0.1 <= max(map(abs, self.limits)) < 100  # noqa: PLR2004  as the scores of most models
        return with_minus_sign(f"{value:.2f}" if usual else f"{value:.3g}")

    def ticks(self) -> list[float]:
        """About five round numbers within the limits."""
        from matplotlib.ticker import MaxNLocator  # 0.01 s

        low, high = self.limits
        slack = (high - low) * 1e-6
        ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        return [float(tick) for tick in ticks if low - slack <= tick <= high + slack]


def colour_scale(grids: Sequence[Grid], cmap: str | None) -> ColourScale:
    """One scale for all grids: their common limits, diverging around 0 if these have both signs."""
    limits = common_limits(grids)
    return ColourScale(limits, colour_map(cmap or (_DIVERGING if is_signed(limits) else _SEQUENTIAL)))


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
