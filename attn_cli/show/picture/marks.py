"""The elements of a picture: images, words, strokes and blanks, in inches from the top left corner."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, starmap
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.record import record
from attn_cli.show.picture.canvas import USUAL, Canvas

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
        """The x of its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of its bottom edge."""
        return self.y + self.height

    @property
    def middle(self) -> Point:
        """Its centre."""
        return self.x + self.width / 2, self.y + self.height / 2

    def grown(self, edge: float) -> "Box":
        """The box with an edge around it."""
        return Box(self.x - edge, self.y - edge, self.width + 2 * edge, self.height + 2 * edge)

    @property
    def outline(self) -> tuple[Point, ...]:
        """Its corners as a closed path: the last is the first."""
        start = (self.x, self.y)
        return start, (self.right, self.y), (self.right, self.bottom), (self.x, self.bottom), start


@record(frozen=True, slots=True)
class Image:
    """A matrix of cells."""

    box: Box
    colours: npt.NDArray[np.uint8]  # (R, C, 4) red, green, blue, opacity


@record(frozen=True, slots=True)
class Word:
    """A line of text, anchored at `x` and `y` by its `across` and `down` alignment."""

    text: str
    x: float
    y: float
    size: float  # points
    across: Literal["left", "center", "right"] = "center"
    down: Literal["top", "center", "bottom", "baseline"] = "center"
    turned: bool = False  # reads upwards
    colour: str | None = None  # None: that of the page's ink


@record(frozen=True, slots=True)
class Stroke:
    """A thin straight line."""

    start: Point
    end: Point


@record(frozen=True, slots=True)
class Blank:
    """Adjacent cells in a row that have no value: hatched grey, not a colour of the scale."""

    box: Box


@record(frozen=True, slots=True)
class Fill:
    """A rectangle of one colour, behind a word."""

    box: Box
    colour: str


PageMark: TypeAlias = Image | Word | Stroke | Blank | Fill


@record(frozen=True, slots=True)
class Drawing:
    """The page: its size, its elements, its fonts, and the characters that no installed font has."""

    width: float  # inches
    height: float
    marks: tuple[PageMark, ...]
    families: tuple[str, ...]  # the fonts, in order of preference
    missing: tuple[str, ...]  # characters without a glyph, which are escaped (`\u4e2d`)
    canvas: Canvas = USUAL
    lacking: tuple[str, ...] = ()  # characters that the font of the canvas lacks, drawn in another one


def moved(mark: PageMark, right: float, down: float) -> PageMark:
    """The same, some inches to the right and down."""
    if isinstance(mark, Word):
        return replace(mark, x=mark.x + right, y=mark.y + down)
    if isinstance(mark, Stroke):
        (x, y), (end, bottom) = mark.start, mark.end
        return Stroke((x + right, y + down), (end + right, bottom + down))
    return replace(mark, box=replace(mark.box, x=mark.box.x + right, y=mark.box.y + down))


def frame(box: Box) -> Iterator[Stroke]:
    """The four sides of a box."""
    return starmap(Stroke, pairwise(box.outline))
