"""Converts a drawing to a matplotlib figure, with all its elements on a single Axes.

With a separate Axes and ticks for every head, a .png of 12 × 12 heads of 30 tokens takes 15 s instead of 3 s.
"""

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from attn_cli.show.picture.marks import Blank, Drawing, Fill, Image, PageMark, Stroke, Word

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.text import Text
    from matplotlib.transforms import Transform


def figure_of(drawing: Drawing) -> "Figure":
    """The page as a matplotlib figure."""
    from matplotlib.figure import Figure  # paid in `render`

    ground = "none" if drawing.canvas.is_transparent else drawing.canvas.ground
    figure = Figure((drawing.width, drawing.height), facecolor=ground)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.set_axis_off()
    _paint_images(axes, drawing.marks)
    _paint_blanks(axes, drawing)
    _paint_fills(axes, drawing.marks)
    _paint_strokes(axes, drawing)
    _paint_words(figure, axes, drawing)
    return figure


def _paint_images(axes: "Axes", marks: Iterable[PageMark]) -> None:
    from attn_cli.show.picture.cells_artist import CellsArtist  # paid in `render`

    for mark in marks:
        if isinstance(mark, Image):
            axes.add_artist(CellsArtist(mark))


def _paint_blanks(axes: "Axes", drawing: Drawing) -> None:
    from matplotlib.patches import PathPatch  # paid in `render`
    from matplotlib.path import Path

    boxes = [Path(mark.box.outline, closed=True) for mark in drawing.marks if isinstance(mark, Blank)]
    if boxes:
        outline = Path.make_compound_path(*boxes)
        colours = {"facecolor": drawing.canvas.blank, "edgecolor": drawing.canvas.hatch}
        blank = PathPatch(outline, hatch="////", linewidth=0, **colours)
        axes.add_artist(blank)  # `add_patch` would compute its limits, 0.2 s for 12 × 12 heads


def _paint_fills(axes: "Axes", marks: Iterable[PageMark]) -> None:
    from matplotlib.collections import PolyCollection  # paid in `render`

    fills = [mark for mark in marks if isinstance(mark, Fill)]
    if fills:
        outlines = [mark.box.outline for mark in fills]
        colours = [mark.colour for mark in fills]
        axes.add_collection(PolyCollection(outlines, facecolors=colours, linewidths=0), autolim=False)


def _paint_strokes(axes: "Axes", drawing: Drawing) -> None:
    from matplotlib.collections import LineCollection  # paid in `render`

    lines = [(mark.start, mark.end) for mark in drawing.marks if isinstance(mark, Stroke)]
    collection = LineCollection(lines, colors=drawing.canvas.ink, linewidths=0.5)
    axes.add_collection(collection, autolim=False)


def _paint_words(figure: "Figure", axes: "Axes", drawing: Drawing) -> None:
    from matplotlib.font_manager import FontProperties  # paid in `render`

    @cache
    def font(size: float) -> FontProperties:
        return FontProperties(family=[*drawing.families, "sans-serif"], size=size)  # the last: for an .svg

    for mark in drawing.marks:
        if isinstance(mark, Word):
            text = _text(mark, font(mark.size), axes.transData, mark.colour or drawing.canvas.ink)
            figure.add_artist(text, clip=False)  # clipping would take 0.15 ms per word


def _text(word: Word, font: "FontProperties", transform: "Transform", colour: str) -> "Text":
    from matplotlib.text import Text  # paid in `render`

    return Text(
        word.x,
        word.y,
        word.text,
        color=colour,
        verticalalignment=word.down,
        horizontalalignment=word.across,
        fontproperties=font,
        rotation=90 if word.turned else 0,
        rotation_mode="anchor",
        transform=transform,
        parse_math=False,  # a token such as $x^2$ is not a formula
    )
