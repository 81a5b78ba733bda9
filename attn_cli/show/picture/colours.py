"""One colour scale for several grids: which value has which colour, and how it is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from attn_cli.errors import UsageError
from attn_cli.grid import Grid, Matrix
from attn_cli.safe_text import printable

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

_SEQUENTIAL = "viridis"  # perceptually uniform, safe for colour-blind readers, uneven in no place
_DIVERGING = "RdBu_r"  # its middle is white, which the grey of a masked cell is not


@dataclass(frozen=True, slots=True)
class Scale:
    """A range of values and the colours that span it."""

    low: float
    high: float
    cmap: "Colormap"

    def colours(self, values: Matrix) -> npt.NDArray[np.uint8]:
        """(R, C, 4) what is beyond the limits has the colour of the limit."""
        shares = np.clip((np.nan_to_num(values) - self.low) / (self.high - self.low), 0, 1)
        return np.asarray(self.cmap(shares, bytes=True), dtype=np.uint8)

    def number(self, value: float) -> str:
        """`value` as short as the width of a cell."""
        usual = 0.1 <= max(abs(self.low), abs(self.high)) < 100  # noqa: PLR2004  the scores of most models
        return signed(f"{value:.2f}" if usual else f"{value:.3g}")

    def ticks(self) -> list[float]:
        """About five round numbers from the lowest to the highest value."""
        from matplotlib.ticker import MaxNLocator  # 0.01 s

        slack = (self.high - self.low) * 1e-6
        ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        return [float(tick) for tick in ticks if self.low - slack <= tick <= self.high + slack]


def scale_of(grids: Sequence[Grid], cmap: str | None) -> Scale:
    """One scale for all: their limits together, 0 in the middle where both signs are in them."""
    edges = [edge for grid in grids for edge in grid.limits if isfinite(edge)] or [0.0, 1.0]
    low, high = min(edges), max(edges)
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0 if high else 1.0)
    is_signed = low < 0 < high
    if is_signed:
        high = max(-low, high)
        low = -high
    return Scale(low, high, colour_map(cmap or (_DIVERGING if is_signed else _SEQUENTIAL)))


def colour_map(name: str) -> "Colormap":
    """The colour map of that name; raises `UsageError` where there is none."""
    import matplotlib as mpl  # 0.15 s

    if name not in mpl.colormaps:
        names = {known.casefold(): known for known in mpl.colormaps}
        close = get_close_matches(name.casefold(), names, n=1) or [_SEQUENTIAL]
        raise UsageError(f"colour map '{printable(name)}' does not exist", f"--cmap {names[close[0]]}")
    return mpl.colormaps[name]


def signed(number: str) -> str:
    """A minus as long as a plus, and none before a zero."""
    return number.replace("-", "−") if number.strip("-0.") else number.removeprefix("-")
