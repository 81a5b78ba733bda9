"""What a picture is drawn on: the width of the page, the size of its type, its font and its colours."""

from math import ceil
from pathlib import Path

from attn_cli.errors import UsageError
from attn_cli.record import record

LABELS = 8.0
"""The size of labels, in points, unless another is asked for."""

SMALLEST, LARGEST = 4.0, 48.0
"""The limits of the size of labels."""


@record(frozen=True, slots=True)
class Canvas:
    """The page that panels are laid out on; its height follows."""

    width: float | None = None  # inches; None: as the panels need
    size: float = LABELS  # of labels, in points
    font: Path | None = None  # a file; None: DejaVu Sans
    cmap: str | None = None  # None: as suits the values
    is_dark: bool = False
    is_transparent: bool = False

    @property
    def ink(self) -> str:
        """The colour of letters and lines."""
        return "#e8e8e8" if self.is_dark else "black"

    @property
    def faint_ink(self) -> str:
        """The colour of letters that matter less."""
        return "#9a9a9a" if self.is_dark else "#8c8c8c"

    @property
    def ground(self) -> str:
        """The colour of the page, also where it is left transparent."""
        return "#16161a" if self.is_dark else "white"

    @property
    def blank(self) -> str:
        """The colour of cells without a value, hatched with `hatch`."""
        return "#34343a" if self.is_dark else "#dcdcdc"

    @property
    def hatch(self) -> str:
        """The colour of the lines over cells without a value."""
        return "#5a5a62" if self.is_dark else "#a8a8a8"


USUAL = Canvas()
"""Black on white, as wide as the panels need."""


class TooNarrowError(UsageError):
    """The canvas leaves no room for what is drawn on it."""


def too_narrow(canvas: Canvas, lacking: float, what: str) -> TooNarrowError:
    """The error for a width that leaves no room for `what`, with one that has `lacking` inches more."""
    assert canvas.width is not None, "a page without a given width is as wide as it needs to be"
    problem = (
        f"--width leaves no room for {what} with labels of {canvas.size:g} points: it is {canvas.width:.3g}in"
    )
    return TooNarrowError(problem, wider(canvas, canvas.width + lacking))


def wider(canvas: Canvas, inches: float) -> str:
    """What to try if a canvas is too narrow: a width of `inches`, or smaller type."""
    smaller = f", or a smaller --font-size than {canvas.size:g}" if canvas.size > SMALLEST else ""
    return f"--width {ceil(round(inches * 10, 6)) / 10:g}in{smaller}"
