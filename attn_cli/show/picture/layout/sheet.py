"""What panels are laid out on: the room for them, the size of type, and the fonts."""

from typing import TypeAlias

from attn_cli.grid import Grid
from attn_cli.record import record
from attn_cli.show.picture.canvas import LABELS, Canvas
from attn_cli.show.picture.fonts import Letters
from attn_cli.show.picture.marks import INCH

Length: TypeAlias = float
"""Inches."""

PAGE = 6.5
"""The width of a page between its margins, in inches: of pictures whose width is not given."""

TALL = 1.4
"""The height that pictures should not exceed, in their widths: that of a page."""

GAP, TICK = 0.12, 0.04  # inches
APART, NARROW = 0.05, 0.08  # inches: between the tokens' columns and a sink's, and its least width
_SMALLEST = 5 / 8  # labels, in the size of others, if all are to have one
_LONGEST = 0.16  # label, in widths of the page
_LEAST_LONGEST = 4  # the same in sizes of type
_SHORTEST_BAR, _SHORTEST_ON_NARROW = (
    10,
    16,
)  # the height of a bar, in sizes of type: what it says is beside it
_NARROW_PAGE = 36  # sizes of type


@record(frozen=True, slots=True)
class Sheet:
    """The part of a page for one group of panels, without the bar beside all of them."""

    width: Length
    height: Length
    canvas: Canvas  # with the width of the page
    is_exact: bool  # whether no label may be smaller
    letters: Letters
    resolution: float  # dots per inch: cells are not finer

    @property
    def size(self) -> float:
        """The size of labels, in points."""
        return self.canvas.size

    @property
    def smallest(self) -> float:
        """The smallest size of a label, in points."""
        return self.size if self.is_exact else self.size * _SMALLEST

    @property
    def longest(self) -> Length:
        """The room for a label."""
        return max(_LONGEST * (self.canvas.width or PAGE), _LEAST_LONGEST * self.size / INCH)

    @property
    def shortest_bar(self) -> Length:
        """The height of a bar, at least."""
        unit = self.size / INCH
        is_narrow = (self.canvas.width or PAGE) < _NARROW_PAGE * unit
        return unit * (_SHORTEST_ON_NARROW if is_narrow else _SHORTEST_BAR)

    @property
    def magnification(self) -> float:
        """How large type is, compared with the usual size."""
        return self.size / LABELS


@record(frozen=True, slots=True)
class Slot:
    """A grid that is to become a panel, and the room for a colour bar of its own, if it has one."""

    grid: Grid
    number: str  # the longest number in its cells
    bar: Length = 0.0
    foot: Length = 0.0  # below the bar


def line(size: float) -> Length:
    """The height of a line of text with a size in points."""
    return size * 1.15 / INCH
