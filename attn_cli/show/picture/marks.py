"""What a picture is made of: images, words, strokes and blanks, in inches from the top left corner."""

from collections.abc import Iterator
from itertools import pairwise, starmap
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.record import record

INCH = 72  # points

Point: TypeAlias = tuple[float, float]


@record(frozen=True, slots=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Where it ends below."""
        return self.y + self.height

    @property
    def middle(self) -> Point:
        """As far from the left as from the right, from the top as from the bottom."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def outline(self) -> tuple[Point, ...]:
        """Once around: the last corner is the first."""
        start = (self.x, self.y)
        return start, (self.right, self.y), (self.right, self.bottom), (self.x, self.bottom), start


@record(frozen=True, slots=True)
class Image:
    """A matrix of cells."""

    box: Box
    colours: npt.NDArray[np.uint8]  # (R, C, 4) red, green, blue, opacity


@record(frozen=True, slots=True)
class Word:
    """A line of text; `x` and `y` are where its `across` and `down` edges, as one reads it, stand."""

    text: str
    x: float
    y: float
    size: float  # points
    across: Literal["left", "center", "right"] = "center"
    down: Literal["top", "center", "bottom"] = "center"
    turned: bool = False  # reads upwards
    colour: str = "black"


@record(frozen=True, slots=True)
class Stroke:
    """A thin straight line."""

    start: Point
    end: Point


@record(frozen=True, slots=True)
class Blank:
    """Cells in a row that have no value: grey, hatched, no colour of the scale."""

    box: Box


PageMark: TypeAlias = Image | Word | Stroke | Blank


@record(frozen=True, slots=True)
class Drawing:
    """What stands where on the page, and which characters no font here has."""

    width: float  # inches
    height: float
    marks: tuple[PageMark, ...]
    families: tuple[str, ...]  # the fonts, in the order in which they are asked
    missing: tuple[str, ...]  # characters that are spelled out (`\u4e2d`) for want of a glyph


def frame(box: Box) -> Iterator[Stroke]:
    """The four sides of a box."""
    return starmap(Stroke, pairwise(box.outline))
