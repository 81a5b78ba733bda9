"""Pictures of grids: the real tokens on both sides, one colour scale for all, as .png, .svg or .pdf.

A `Drawing` says what stands where, in inches from the top left corner; `render` gives it to matplotlib
as images, words and lines of one Axes. With an Axes and its ticks for every head the .png of 12 × 12 heads
of 30 tokens takes four to five times as long (15 s for 3 s).
"""

import bisect
import difflib
import io
import itertools
import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.core.grid import Grid, Matrix
from attn_cli.errors import UsageError
from attn_cli.show.labels import label, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.ft2font import FT2Font

Table: TypeAlias = Sequence[Sequence[Grid]]

SUFFIXES = (".png", ".svg", ".pdf")
SEQUENTIAL = "viridis"  # perceptually uniform, safe for colour-blind readers, uneven in no place
DIVERGING = "RdBu_r"  # its middle is white, which the grey of a masked cell is not

_FAMILY = "DejaVu Sans"  # comes with matplotlib
_LAST_RESORT = "lastresort"  # comes with matplotlib, and with macOS: every glyph is a box
_LONGEST = 20  # characters of a token
_LONGEST_TITLE = 120
_LINE = 1.15  # height of a line of text, in its size
_LEGIBLE = 4.0  # points: the smallest label, for a picture that one zooms into
_REGULAR = 400
_INKLESS = {"Zs", "Cf", "Mn"}  # spaces, joiners, variation selectors
_MASKED, _HATCH = "#dcdcdc", "#a8a8a8"
_MASKED_RGBA = (0xDC, 0xDC, 0xDC, 0xFF)
_ACROSS = 4  # grids side by side before a new row begins
_NUMBERED = 12  # columns and rows of a grid whose cells have room for their numbers
_NUMBERS = 500  # cells with a number in one picture: a word costs 1 ms
_SHEET, _PANEL = 24.0, 16.0  # inches: about all panels of a row, and one panel
_GAP, _TICK = 0.12, 0.04  # inches
_PIXELS = 200_000_000  # 0.8 GB of memory while it is drawn
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # words stay words, to find and edit; anchored, so another font moves none
    "svg.hashsalt": "attn",  # without it the ids of an .svg are random
    "pdf.fonttype": 42,  # whole glyphs, not drawings of them: words stay words here too
    "hatch.linewidth": 0.4,
    "savefig.bbox": None,
    "savefig.transparent": False,
    "text.usetex": False,
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
}
_FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"pil_kwargs": {"compress_level": 1}},  # a fourth larger than 6, in two thirds of the time
    ".svg": {"metadata": {"Date": None}},
    ".pdf": {"metadata": {"CreationDate": None}},
}


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the page, in inches from the top left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Image:
    """A matrix of cells."""

    box: Box
    colours: npt.NDArray[np.uint8]  # (R, C, 4) red, green, blue, opacity


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Stroke:
    """A thin straight line."""

    start: tuple[float, float]
    end: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Blank:
    """Cells in a row that have no value: grey, hatched, no colour of the scale."""

    box: Box


Mark: TypeAlias = Image | Word | Stroke | Blank


@dataclass(frozen=True, slots=True)
class Drawing:
    """What stands where on the page, and which characters no font here has."""

    width: float  # inches
    height: float
    marks: tuple[Mark, ...]
    families: tuple[str, ...]  # the fonts, in the order in which they are asked
    missing: tuple[str, ...]  # characters that are spelled out (`\u4e2d`) for want of a glyph


def heatmap(grids: Sequence[Grid], title: str, cmap: str | None = None) -> Drawing:
    """One grid, or several side by side with one colour scale; a new row begins after four.

    Raises `UsageError` where the colour map `cmap` does not exist.
    """
    return page([[grids]], title, cmap)


def head_grid(rows: Table, title: str, cmap: str | None = None) -> Drawing:
    """Every head of a model at once: a row of grids for each layer, a column for each head.

    Tokens are named once, at the left and at the bottom. Raises `UsageError` as `heatmap` does.
    """
    assert len({len(row) for row in rows}) == 1, "every layer has as many heads as the first"
    return page([rows], title, cmap)


def page(groups: Sequence[Table], title: str, cmap: str | None = None) -> Drawing:
    """Groups of grids, one below the other, each with its own colour scale: what `heatmap` draws is one."""
    tables = [_wrapped(rows) for table in groups if (rows := [row for row in table if row])]
    assert tables, "a picture of nothing"
    grids = [grid for table in tables for row in table for grid in row]
    letters = _letters("".join([printable(title), *itertools.chain.from_iterable(map(_texts, grids))]))
    plans = [_plan(table, letters) for table in tables]
    size = max(plan.type(12) for plan in plans)
    width, bottom, marks = 0.0, size * 2 / 72, list[Mark]()
    for table, plan in zip(tables, plans, strict=True):
        drawn = list(_group(table, plan, letters, bottom, cmap))
        width = max(width, _right(drawn, letters) + _GAP)
        bottom = max(bottom + plan.height, max(map(_bottom, drawn)) + _GAP)
        marks += drawn
    heading = letters.cut(printable(title), _LONGEST_TITLE)
    width = max(width, letters.inches(heading, size) + 2 * _GAP)
    marks.insert(0, Word(heading, width / 2, size / 72, size))
    return Drawing(width, bottom, tuple(marks), letters.families, letters.missing)


def check_colours(cmap: str | None) -> None:
    """Raise `UsageError` where there is no such colour map, before anything else is done."""
    if cmap is not None:
        _colour_map(cmap)


def render(drawing: Drawing, suffix: str, dpi: int = 150) -> bytes:
    """The file: the same drawing is the same bytes. `dpi` matters to .png only."""
    import matplotlib as mpl  # with its figure, which the other late imports load too: 0.35 to 0.6 s

    _refuse(drawing, suffix, dpi)
    out = io.BytesIO()
    with mpl.rc_context(_SETTINGS):
        _figure(drawing).savefig(out, format=suffix[1:], dpi=dpi, **_FORMATS[suffix])
    return out.getvalue()


# --- what a picture is made of -----------------------------------------------------------------------


def _wrapped(table: Table) -> Table:
    """A single long row as several of about the same length."""
    if len(table) > 1:
        return table
    (row,) = table
    across = math.ceil(len(row) / math.ceil(len(row) / _ACROSS))
    return [row[i : i + across] for i in range(0, len(row), across)]


def _group(table: Table, plan: "_Plan", letters: "_Letters", top: float, cmap: str | None) -> Iterator[Mark]:
    """The panels that share a colour scale, and what a reader has to know about them."""
    grids = [grid for row in table for grid in row]
    scale = _scale(grids, cmap)
    yield from _panels(table, plan, scale, letters, top)
    yield from _bar(scale, plan, top + plan.heads[0], _blank_name(grids))
    if plan.thinned:
        yield Word(plan.thinned, _GAP, top + plan.height, plan.type(8), "left", "top")


def _texts(grid: Grid) -> Iterator[str]:
    yield printable(grid.title)
    yield from map(label, grid.rows)
    yield from map(label, grid.columns)


def _blank(grid: Grid) -> npt.NDArray[np.bool_]:
    """(R, C) true where a cell has no colour."""
    return ~grid.visible | ~np.isfinite(grid.values)


def _blank_name(grids: Sequence[Grid]) -> str:
    """What the legend calls the cells without a colour; nothing where there are none."""
    if any((grid.visible & ~np.isfinite(grid.values)).any() for grid in grids):
        return "masked or not finite"
    return "" if all(grid.visible.all() for grid in grids) else "masked"


def _right(marks: Iterable[Mark], letters: "_Letters") -> float:
    """Where the words beside the colour bar end; nothing else stands as far to the right."""
    words = [mark for mark in marks if isinstance(mark, Word) and mark.across == "left"]
    return max(word.x + letters.inches(word.text, word.size) for word in words)


def _bottom(mark: Mark) -> float:
    match mark:
        case Word():
            return mark.y + mark.size / 72
        case Stroke():
            return mark.end[1]
        case _:
            return mark.box.y + mark.box.height


# --- colours -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scale:
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
        return _signed(f"{value:.2f}" if usual else f"{value:.3g}")


def _scale(grids: Sequence[Grid], name: str | None) -> _Scale:
    """One scale for all: their limits together, 0 in the middle where both signs are in them."""
    edges = [edge for grid in grids for edge in grid.limits if math.isfinite(edge)] or [0.0, 1.0]
    low, high = min(edges), max(edges)
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0 if high else 1.0)
    if low < 0 < high:
        high = max(-low, high)
        low = -high
    return _Scale(low, high, _colour_map(name or (DIVERGING if low < 0 < high else SEQUENTIAL)))


def _colour_map(name: str) -> "Colormap":
    import matplotlib as mpl  # 0.15 s

    if name not in mpl.colormaps:
        names = {known.casefold(): known for known in mpl.colormaps}
        close = difflib.get_close_matches(name.casefold(), names, n=1) or [SEQUENTIAL]
        raise UsageError(f"colour map '{printable(name)}' does not exist", f"--cmap {names[close[0]]}")
    return mpl.colormaps[name]


def _signed(number: str) -> str:
    """A minus as long as a plus, and none before a zero."""
    return number.replace("-", "−") if number.strip("-0.") else number.removeprefix("-")


# --- letters -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Letters:
    families: tuple[str, ...]
    missing: tuple[str, ...]

    def cut(self, text: str, longest: int = _LONGEST) -> str:
        r"""`text` with what no font has spelled out (`\u4e2d`), and no longer than `longest`."""
        spelled = [_escaped(character) if character in self.missing else character for character in text]
        ends = list(itertools.accumulate(map(len, spelled), initial=0))
        if ends[-1] <= longest:
            return "".join(spelled)
        return "".join(spelled[: bisect.bisect_left(ends, longest) - 1]) + "…"

    def inches(self, text: str, size: float) -> float:
        """How wide `text` is in `size` points."""
        return _points(text, self.families) * size / 72


def _letters(text: str) -> _Letters:
    """The fonts that draw `text`: one, and only where it lacks a character others that are installed."""
    families, lacking = [_FAMILY], _lacking(_FAMILY, set(text))
    for family in _installed() if lacking else ():
        rest = _lacking(family, lacking) if lacking else lacking
        if rest != lacking:
            families.append(family)
        lacking = rest
    return _Letters(tuple(families), tuple(sorted(lacking)))


def _installed() -> list[str]:
    from matplotlib.font_manager import fontManager  # paid in `_lacking`

    # of a family without a regular weight matplotlib complains each time that it is asked for
    regular = {
        font.name for font in fontManager.ttflist if font.style == "normal" and font.weight == _REGULAR
    }
    return sorted(name for name in regular if _LAST_RESORT not in name.replace(" ", "").casefold())


def _lacking(family: str, characters: set[str]) -> set[str]:
    """Those of `characters` that the font does not draw."""
    from matplotlib.font_manager import FontProperties, findfont, get_font  # 0.1 s

    try:
        font = get_font(findfont(FontProperties(family=[family])))
        return {character for character in characters if not _draws(font, character)}
    except (OSError, RuntimeError):  # a file that is gone, or that FreeType cannot read
        return characters


def _draws(font: "FT2Font", character: str) -> bool:
    """Whether there is a glyph with an outline: matplotlib draws nothing of a colour emoji."""
    if not font.get_char_index(ord(character)):
        return False
    font.load_char(ord(character))
    return len(font.get_path()[0]) > 0 or unicodedata.category(character) in _INKLESS


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


@lru_cache(maxsize=4096)
def _points(text: str, families: tuple[str, ...]) -> float:
    """How wide `text` is in a size of 1 point."""
    from matplotlib.font_manager import FontProperties  # paid in `_lacking`
    from matplotlib.textpath import text_to_path  # 0.02 s

    font = FontProperties(family=list(families), size=100)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 100


# --- places ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of every panel: how large a cell is along it, and how its tokens are written."""

    cell: float  # inches
    size: float  # points
    every: int  # one label in so many has room


@dataclass(frozen=True, slots=True)
class _Plan:
    """The sizes that all panels share; each column and row of the table is as wide as its widest panel."""

    down: _Side
    along: _Side
    upright: bool  # whether the labels of the columns fit as they are
    numbered: bool  # whether a cell has room for its number
    title: float  # points, of a panel
    lefts: tuple[float, ...]  # inches before each column of panels, for the labels of the rows
    widths: tuple[float, ...]
    heads: tuple[float, ...]  # inches above each row of panels, for their titles
    heights: tuple[float, ...]
    feet: tuple[float, ...]  # inches below each row of panels, for the labels of the columns

    @property
    def width(self) -> float:
        """Of all panels, their labels and a margin."""
        return sum(self.lefts) + sum(self.widths) + _GAP

    @property
    def height(self) -> float:
        """Of all panels, their titles and labels, and a margin."""
        return sum(self.heads) + sum(self.heights) + sum(self.feet) + _GAP

    @property
    def thinned(self) -> str:
        """What the reader has to know where not every token has room for its name."""
        sides = [("row", self.down.every), ("column", self.along.every)]
        return ", ".join(f"1 {name} in {every} is named" for name, every in sides if every > 1)

    def type(self, points: float) -> float:
        """The size of the page's own words: what is readable on a small page is not on a large one."""
        return points * min(2.5, max(1.0, self.width / 10))


def _plan(table: Table, letters: _Letters) -> _Plan:
    grids = [grid for row in table for grid in row]
    across, rows = max(map(len, table)), max(len(grid.rows) for grid in grids)
    columns = max(len(grid.columns) for grid in grids)
    room = min(_PANEL, max(1.0, _SHEET / max(across, len(table))))
    numbered = max(rows, columns) <= _NUMBERED and sum(grid.values.size for grid in grids) <= _NUMBERS
    down, along = _side(rows, room, numbered=numbered), _side(columns, room, numbered=numbered)
    longest = max(letters.inches(printable(grid.title), 9) for grid in grids)
    title = max(5.0, min(9.0 if across <= _ACROSS else 11.0, 8 * room / max(longest, 0.1)))

    def label_width(grid: Grid, side: _Side) -> float:
        tokens = grid.rows if side is down else grid.columns
        return max(letters.inches(letters.cut(label(token)), side.size) for token in tokens)

    def left(grid: Grid) -> float:
        return label_width(grid, down) + _name_height(grid, down) + 2 * _TICK + _GAP

    def foot(grid: Grid) -> float:
        words = along.size * _LINE / 72 if upright else label_width(grid, along)
        return words + _name_height(grid, along) + 2 * _TICK

    upright = along.every == 1 and max(label_width(grid, along) for grid in grids) < along.cell - 0.03
    return _Plan(
        down,
        along,
        upright,
        numbered,
        title,
        lefts=tuple(
            max(left(row[j]) if _names_rows(row, j) else _GAP for row in table if j < len(row))
            for j in range(across)
        ),
        widths=tuple(
            max(
                max(len(row[j].columns) * along.cell, letters.inches(printable(row[j].title), title))
                for row in table
                if j < len(row)
            )
            for j in range(across)
        ),
        heads=(title * 1.8 / 72,) * len(table),
        heights=tuple(max(len(grid.rows) for grid in row) * down.cell for row in table),
        feet=tuple(
            max(foot(grid) if _names_columns(table, i, j) else 0 for j, grid in enumerate(row))
            for i, row in enumerate(table)
        ),
    )


def _side(count: int, room: float, *, numbered: bool) -> _Side:
    cell = 0.46 if numbered else min(max(0.2, min(0.5, 2.4 / count)), room / count)
    fits = cell * 72 / _LINE
    size = min(8.0, fits) if fits >= _LEGIBLE else 7.0
    return _Side(cell, size, math.ceil(round(size / fits, 6)))


def _names_rows(row: Sequence[Grid], j: int) -> bool:
    """Whether panel `j` names its rows: what its neighbour has said is not said again."""
    return j == 0 or row[j - 1].rows != row[j].rows


def _names_columns(table: Table, i: int, j: int) -> bool:
    """Whether panel `i`, `j` names its columns, which the one below it may do for both."""
    below = table[i + 1] if i + 1 < len(table) else ()
    return j >= len(below) or below[j].columns != table[i][j].columns


def _name_height(grid: Grid, side: _Side) -> float:
    """Room for the word key or query."""
    return (side.size + 1) * _LINE / 72 + 0.04 if grid.are_tokens else 0.0


# --- marks -------------------------------------------------------------------------------------------


def _panels(table: Table, plan: _Plan, scale: _Scale, letters: _Letters, top: float) -> Iterator[Mark]:
    y = top
    for i, row in enumerate(table):
        x, y = 0.0, y + plan.heads[i]
        for j, grid in enumerate(row):
            x += plan.lefts[j]
            width, height = len(grid.columns) * plan.along.cell, len(grid.rows) * plan.down.cell
            box = Box(x + (plan.widths[j] - width) / 2, y, width, height)
            yield from _cells(grid, box, scale, numbered=plan.numbered)
            middle, title = box.x + width / 2, letters.cut(printable(grid.title), _LONGEST_TITLE)
            yield Word(title, middle, y - plan.heads[i] / 2, plan.title)
            if _names_rows(row, j):
                yield from _row_labels(grid, box, plan, letters)
            if _names_columns(table, i, j):
                yield from _column_labels(grid, box, plan, letters)
            x += plan.widths[j]
        y += plan.heights[i] + plan.feet[i]


def _cells(grid: Grid, box: Box, scale: _Scale, *, numbered: bool) -> Iterator[Mark]:
    colours, blank = scale.colours(grid.values), _blank(grid)
    colours[blank] = _MASKED_RGBA
    yield Image(box, colours)
    high, wide = box.height / len(grid.rows), box.width / len(grid.columns)
    for row, start, end in _runs(blank):
        yield Blank(Box(box.x + start * wide, box.y + row * high, (end - start) * wide, high))
    for (row, column), value in np.ndenumerate(grid.values) if numbered else ():
        if not blank[row, column]:
            x, y = box.x + (column + 0.5) * wide, box.y + (row + 0.5) * high
            yield Word(scale.number(float(value)), x, y, 7, colour=_ink(colours[row, column]))
    yield from _frame(box)


def _runs(blank: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Row, first column and the column after the last, of each stretch that is true."""
    edges = np.diff(np.pad(blank, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    yield from zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True)


def _ink(colour: npt.NDArray[np.uint8]) -> str:
    """Black on what is light, white on what is dark: the weights are those of Rec. 709."""
    return "black" if colour[:3] @ np.array([0.2126, 0.7152, 0.0722]) > 127 else "white"  # noqa: PLR2004


def _frame(box: Box) -> Iterator[Stroke]:
    right, bottom = box.x + box.width, box.y + box.height
    corners = [(box.x, box.y), (right, box.y), (right, bottom), (box.x, bottom), (box.x, box.y)]
    yield from itertools.starmap(Stroke, itertools.pairwise(corners))


def _row_labels(grid: Grid, box: Box, plan: _Plan, letters: _Letters) -> Iterator[Mark]:
    side = plan.down
    widest = 0.0
    for i in range(0, len(grid.rows), side.every):
        y = box.y + (i + 0.5) * side.cell
        text = letters.cut(label(grid.rows[i]))
        widest = max(widest, letters.inches(text, side.size))
        yield Stroke((box.x - _TICK, y), (box.x, y))
        yield Word(text, box.x - 2 * _TICK, y, side.size, "right")
    if grid.are_tokens:
        x = box.x - 2 * _TICK - widest - _name_height(grid, side) / 2
        yield Word("query", x, box.y + box.height / 2, side.size + 1, turned=True)


def _column_labels(grid: Grid, box: Box, plan: _Plan, letters: _Letters) -> Iterator[Mark]:
    side, bottom = plan.along, box.y + box.height
    lowest = 0.0
    for j in range(0, len(grid.columns), side.every):
        x = box.x + (j + 0.5) * side.cell
        text = letters.cut(label(grid.columns[j]))
        lowest = max(lowest, side.size * _LINE / 72 if plan.upright else letters.inches(text, side.size))
        yield Stroke((x, bottom), (x, bottom + _TICK))
        if plan.upright:
            yield Word(text, x, bottom + 2 * _TICK, side.size, down="top")
        else:
            yield Word(text, x, bottom + 2 * _TICK, side.size, "right", turned=True)
    if grid.are_tokens:
        y = bottom + 2 * _TICK + lowest + _name_height(grid, side) / 2
        yield Word("key", box.x + box.width / 2, y, side.size + 1)


def _bar(scale: _Scale, plan: _Plan, top: float, blank: str) -> Iterator[Mark]:
    """The colour bar, and below it what grey means."""
    unit = plan.type(8) / 72
    panels = plan.height - plan.heads[0] - plan.feet[-1] - _GAP
    box = Box(plan.width + unit / 2, top, 1.5 * unit, max(10 * unit, min(panels, 40 * unit)))
    shades = np.linspace(scale.high, scale.low, 256)[:, None]
    yield Image(box, scale.colours(shades))
    yield from _frame(box)
    for tick in _ticks(scale.low, scale.high):
        y = box.y + (scale.high - tick) / (scale.high - scale.low) * box.height
        yield Stroke((box.x + box.width, y), (box.x + box.width + _TICK, y))
        yield Word(_signed(f"{tick:.4g}"), box.x + box.width + 2 * _TICK, y, plan.type(8), "left")
    if blank:
        swatch = Box(box.x, box.y + box.height + unit, 1.5 * unit, unit)
        yield Blank(swatch)
        yield from _frame(swatch)
        yield Word(blank, swatch.x + swatch.width + 2 * _TICK, swatch.y + unit / 2, plan.type(8), "left")


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers from `low` to `high`."""
    from matplotlib.ticker import MaxNLocator  # 0.01 s

    slack = (high - low) * 1e-6
    ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in ticks if low - slack <= tick <= high + slack]


# --- matplotlib --------------------------------------------------------------------------------------


def _figure(drawing: Drawing) -> "Figure":
    from matplotlib.figure import Figure  # paid in `render`

    figure = Figure((drawing.width, drawing.height), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.set_axis_off()
    _paint_images(axes, drawing.marks)
    _paint_blanks(axes, drawing.marks)
    _paint_strokes(axes, drawing.marks)
    _paint_words(figure, axes, drawing)
    return figure


def _paint_images(axes: "Axes", marks: Iterable[Mark]) -> None:
    from matplotlib.image import AxesImage  # paid in `render`

    for mark in marks:
        if isinstance(mark, Image):
            box = mark.box
            extent = (box.x, box.x + box.width, box.y + box.height, box.y)
            # "none" keeps one pixel a cell in .svg and .pdf, and asks for sharp edges
            image = AxesImage(axes, interpolation="none", extent=extent)
            image.set_data(mark.colours)
            axes.add_image(image)


def _paint_blanks(axes: "Axes", marks: Iterable[Mark]) -> None:
    from matplotlib.patches import PathPatch  # paid in `render`
    from matplotlib.path import Path

    boxes = [mark.box for mark in marks if isinstance(mark, Blank)]
    if boxes:
        corners = [_corners(box) for box in boxes]
        codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(boxes)
        outline = Path(np.concatenate(corners), codes)
        axes.add_patch(PathPatch(outline, hatch="////", facecolor=_MASKED, edgecolor=_HATCH, linewidth=0))


def _corners(box: Box) -> npt.NDArray[np.float64]:
    right, bottom = box.x + box.width, box.y + box.height
    return np.array([(box.x, box.y), (right, box.y), (right, bottom), (box.x, bottom), (box.x, box.y)])


def _paint_strokes(axes: "Axes", marks: Iterable[Mark]) -> None:
    from matplotlib.collections import LineCollection  # paid in `render`

    lines = [(mark.start, mark.end) for mark in marks if isinstance(mark, Stroke)]
    axes.add_collection(LineCollection(lines, colors="black", linewidths=0.5), autolim=False)


def _paint_words(figure: "Figure", axes: "Axes", drawing: Drawing) -> None:
    from matplotlib.font_manager import FontProperties  # paid in `render`
    from matplotlib.text import Text

    @lru_cache
    def font(size: float) -> FontProperties:
        return FontProperties(family=list(drawing.families), size=size)

    for mark in drawing.marks:
        if isinstance(mark, Word):
            word = Text(
                mark.x,
                mark.y,
                mark.text,
                color=mark.colour,
                verticalalignment=mark.down,
                horizontalalignment=mark.across,
                fontproperties=font(mark.size),
                rotation=90 if mark.turned else 0,
                rotation_mode="anchor",
                transform=axes.transData,
                parse_math=False,  # a token such as $x^2$ is no formula
            )
            figure.add_artist(word, clip=False)  # the axes would clip it, for 0.15 ms


def _refuse(drawing: Drawing, suffix: str, dpi: int) -> None:
    """Raise `UsageError` for a picture that no file can hold."""
    if suffix not in SUFFIXES:
        raise UsageError(f"a picture cannot be '{printable(suffix)}'", f"one of {', '.join(SUFFIXES)}")
    width, height = int(drawing.width * dpi), int(drawing.height * dpi)
    most = int(math.sqrt(_PIXELS / (drawing.width * drawing.height)))
    if dpi < 1 or (suffix == ".png" and dpi > most):
        found = f"{width} × {height} pixels" if dpi > 0 else "no picture"
        raise UsageError(f"--dpi {dpi} is out of range: it makes {found}", f"--dpi {min(most, 300)}, or .svg")
