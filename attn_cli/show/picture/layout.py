"""Computes the sizes of cells, labels and panels on a page, and the position of each panel."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count, zip_longest
from math import ceil, inf
from typing import TypeAlias

from attn_cli.grid import SINK, Grid
from attn_cli.record import record
from attn_cli.show.picture.canvas import LABELS, USUAL, Canvas, too_narrow
from attn_cli.show.picture.colours import with_minus_sign
from attn_cli.show.picture.fonts import Letters
from attn_cli.show.picture.marks import INCH, Box

PanelRows: TypeAlias = Sequence[Sequence[Grid]]

GAP, TICK = 0.12, 0.04  # inches
_SHEET, _PANEL = 24.0, 16.0  # inches: approximate width of all panels in a row, and of one panel
_LEGIBLE = 4.0  # points: the smallest label, legible when zooming in
_ACROSS = 4  # grids side by side before a new row starts
_APART, _NARROW = 0.05, 0.08  # inches: between the tokens' columns and a sink's, and its least width
_LARGEST_CELL, _LEAST_PANELS = (
    0.5,
    0.5,
)  # inches, of a canvas of given width; the former for labels of 8 points
_LABEL_SHARE = 0.25  # of a given width: the longest label
_NUMBER_CELL = 0.8  # of the largest cell: the smallest with a number
NUMBER = 7 / 8  # the size of a cell's number, in that of labels
_NUMBERED = 12  # maximum rows and columns of a grid whose cells show their numbers
_NUMBERS = 500  # maximum number of such cells in one picture: each takes 1 ms


@record(frozen=True, slots=True)
class PanelSide:
    """One side of every panel: the size of a cell along it, and the format of its token labels."""

    cell: float  # inches
    size: float  # of labels, in points
    every: int  # one label in `every` is shown
    outward: bool = True  # labels are perpendicular to the side; those of columns may be horizontal instead
    longest: float = inf  # inches: labels are cut to this length

    def name_room(self, axis: str) -> float:
        """Inches for the name of an axis, "key" or "query"; it may have none."""
        return line(self.size + 1) + 0.04 if axis else 0.0

    def reach(self, tokens: Sequence[str], letters: Letters) -> float:
        """Inches for the longest label."""
        if not self.outward:
            return line(self.size)
        return max(letters.inches(self.label(token, letters), self.size) for token in tokens[:: self.every])

    def label(self, token: str, letters: Letters) -> str:
        """The label of a token, cut if it is long."""
        return letters.fitted(letters.label(token), self.size, self.longest)

    def room(self, axis: str, tokens: Sequence[str], letters: Letters) -> float:
        """Inches from the panel to the far edge of its labels and the name of the axis."""
        return self.reach(tokens, letters) + self.name_room(axis) + 2 * TICK


@record(frozen=True, slots=True)
class Panel:
    """A grid and its position."""

    grid: Grid
    box: Box
    sink: Box | None  # of its column
    names_rows: bool  # False if a neighbour has the same labels
    names_columns: bool

    @property
    def middle(self) -> float:
        """The x of its centre, its sink's column included."""
        return self.box.middle[0] if self.sink is None else (self.box.x + self.sink.right) / 2


@record(frozen=True, slots=True)
class PanelPlan:
    """The sizes that all panels share; each column of the table is as wide as its widest panel."""

    table: PanelRows
    down: PanelSide
    along: PanelSide
    numbered: bool  # whether cells show their numbers
    title: float  # size of a panel's title, in points
    lefts: tuple[float, ...]  # inches before each column of panels, for the labels of the rows
    widths: tuple[float, ...]
    heights: tuple[float, ...]
    feet: tuple[float, ...]  # inches below each row of panels, for the labels of the columns
    canvas: Canvas = USUAL

    @property
    def head(self) -> float:
        """Inches above each row of panels, for their titles if they have any."""
        has_titles = any(grid.caption for row in self.table for grid in row)
        return self.title * 1.8 / INCH if has_titles else 0.5 * GAP

    def caption_room(self, panel: "Panel") -> float:
        """Inches for the title of a panel: it may reach over the labels at its left."""
        column = next(j for row in self.table for j, grid in enumerate(row) if grid is panel.grid)
        return self.widths[column] + GAP

    @property
    def width(self) -> float:
        """The width of all panels, with their labels and a margin, in inches."""
        return sum(self.lefts) + sum(self.widths) + GAP

    @property
    def height(self) -> float:
        """The height of all panels, with their titles, labels and a margin, in inches."""
        return self.head * len(self.table) + sum(self.heights) + sum(self.feet) + GAP

    @property
    def thinned(self) -> str:
        """A remark if there is not enough room to label every token; else empty."""
        sides = [("row", self.down.every), ("column", self.along.every)]
        return ", ".join(f"1 {name} in {every} is labelled" for name, every in sides if every > 1)

    def readable(self, points: float) -> float:
        """The font size for the page's own text, which grows with the width of a page of no given width."""
        points *= self.canvas.size / LABELS
        if self.canvas.width is not None:
            return points
        return points * min(2.5, max(1.0, self.width / 10))

    def _boxes(self, grid: Grid, x: float, y: float) -> tuple[Box, Box | None]:
        """The place of a grid's cells, and of its sink's if it has one."""
        box = Box(x, y, len(grid.columns) * self.along.cell, len(grid.rows) * self.down.cell)
        if grid.sink is None:
            return box, None
        return box, Box(box.right + _APART, y, _width_of_sink(self.along), box.height)

    def panels(self, top: float) -> Iterator[Panel]:
        """Every grid of the table with its position; the titles of the first row are at `top`."""
        y = top
        for i, row in enumerate(self.table):
            x, y = 0.0, y + self.head
            for j, grid in enumerate(row):
                x += self.lefts[j]
                box, sink = self._boxes(grid, x + (self.widths[j] - _width_of_cells(grid, self.along)) / 2, y)
                yield Panel(grid, box, sink, _names_rows(row, j), _names_columns(self.table, i, j))
                x += self.widths[j]
            y += self.heights[i] + self.feet[i]


def plan_panels(table: PanelRows, letters: Letters, canvas: Canvas = USUAL, beside: float = 0.0) -> PanelPlan:
    """Plan the panels: cells as large as the page allows, and labels as large as the cells allow.

    On a canvas of given width, labels have the size of the canvas, and `beside` inches are left for what is
    to the right of the panels.
    """
    table = _wrapped(table)
    across, grids = max(map(len, table)), list(chain.from_iterable(table))
    if canvas.width is None:
        room = min(_PANEL, max(1.0, _SHEET / max(across, len(table))))
        numbered = _are_numbered(grids)
        down, along = _sides(grids, room, letters, canvas, numbered=numbered)
        title = _title_size(grids, across, room, letters)
    else:
        down, along, numbered = _sides_within(canvas.width - beside, table, letters, canvas)
        title = canvas.size
    return PanelPlan(
        table,
        down,
        along,
        numbered,
        title,
        lefts=_lefts(table, down, letters),
        widths=_widest((_width(grid, along, title, letters, canvas) for grid in row) for row in table),
        heights=tuple(max(len(grid.rows) for grid in row) * down.cell for row in table),
        feet=_feet(table, along, letters),
        canvas=canvas,
    )


def line(size: float) -> float:
    """The height in inches of a line of text with a size in points."""
    return size * 1.15 / INCH


def _wrapped(table: PanelRows) -> PanelRows:
    """Wrap a single long row into several of about the same length."""
    if len(table) > 1:
        return table
    (row,) = table
    across = ceil(len(row) / ceil(len(row) / _ACROSS))
    return [row[i : i + across] for i in range(0, len(row), across)]


def _are_numbered(grids: Sequence[Grid]) -> bool:
    """Whether cells of these grids have room for their numbers."""
    longest = max(max(grid.values.shape) for grid in grids)
    return longest <= _NUMBERED and sum(grid.values.size for grid in grids) <= _NUMBERS


def _sides(
    grids: Sequence[Grid], room: float, letters: Letters, canvas: Canvas, *, numbered: bool
) -> tuple[PanelSide, PanelSide]:
    """Rows and columns in `room` inches; column labels are horizontal if the longest fits."""
    down = _side(max(len(grid.rows) for grid in grids), room, canvas, numbered=numbered)
    along = _side(max(len(grid.columns) for grid in grids), room, canvas, numbered=numbered)
    longest = along.reach(list({token for grid in grids for token in names_of_columns(grid)}), letters)
    return down, replace(along, outward=along.every > 1 or longest >= along.cell - 0.03)


def _sides_within(
    width: float, table: PanelRows, letters: Letters, canvas: Canvas
) -> tuple[PanelSide, PanelSide, bool]:
    """Rows and columns of panels that are `width` inches wide together, and whether cells have numbers."""
    cells = sum(_widest([len(grid.columns) + (grid.sink is not None) for grid in row] for row in table))
    sinks = max(sum(grid.sink is not None for grid in row) for row in table)
    largest = _LARGEST_CELL * canvas.size / LABELS
    side = PanelSide(largest, canvas.size, 1, longest=max(_LABEL_SHARE * width, 3 * line(canvas.size)))
    for every in count(1):  # labels that are left out take no room
        side = replace(side, every=every)
        room = width - GAP - sum(_lefts(table, side, letters)) - sinks * (_APART + _NARROW)
        if room < _LEAST_PANELS:
            raise too_narrow(canvas, _LEAST_PANELS - room, "the panels")
        side = replace(side, cell=min(largest, room / cells))
        if every * side.cell >= line(canvas.size):
            break
    grids = list(chain.from_iterable(table))
    longest = side.reach(list({token for grid in grids for token in names_of_columns(grid)}), letters)
    along = replace(side, outward=side.every > 1 or longest >= side.cell - 0.03)
    return side, along, _are_numbered(grids) and side.cell >= _NUMBER_CELL * largest


def _side(count: int, room: float, canvas: Canvas, *, numbered: bool) -> PanelSide:
    """`count` cells in `room` inches."""
    cell = 0.46 if numbered else min(max(0.2, min(0.5, 2.4 / count)), room / count)
    fits = cell / line(1)
    size = min(canvas.size, fits) if fits >= _LEGIBLE else 7.0
    return PanelSide(cell, size, ceil(round(size / fits, 6)))


def _title_size(grids: Sequence[Grid], across: int, room: float, letters: Letters) -> float:
    """The size of panel titles in points, as large as the longest title allows."""
    longest = max(letters.inches(letters.title(grid.caption), 9) for grid in grids)
    return max(5.0, min(9.0 if across <= _ACROSS else 11.0, 8 * room / max(longest, 0.1)))


def _width(grid: Grid, along: PanelSide, title: float, letters: Letters, canvas: Canvas) -> float:
    """The width in inches of a grid or its title, whichever is wider; on a given width, of the grid."""
    if canvas.width is not None:
        return _width_of_cells(grid, along)
    return max(_width_of_cells(grid, along), letters.inches(letters.title(grid.caption), title))


def _width_of_cells(grid: Grid, along: PanelSide) -> float:
    """The width in inches of a grid's cells, its sink's included."""
    of_sink = 0.0 if grid.sink is None else _APART + _width_of_sink(along)
    return len(grid.columns) * along.cell + of_sink


def _width_of_sink(along: PanelSide) -> float:
    return max(along.cell, _NARROW)


def names_of_columns(grid: Grid) -> tuple[str, ...]:
    """The labels below a grid: those of its columns that are shown at any size, and its sink's first."""
    return grid.columns if grid.sink is None else (sink_name(grid), *grid.columns)


def sink_name(grid: Grid) -> str:
    """The label of the sink's column, with the range of its colours if that is its own."""
    if grid.sink_limits is None:
        return SINK
    low, high = grid.sink_limits
    return f"{SINK}, {with_minus_sign(f'{low:g}')} to {high:g}"


def _lefts(table: PanelRows, down: PanelSide, letters: Letters) -> tuple[float, ...]:
    """Inches before each column of panels."""
    return _widest([_left(row, j, down, letters) for j in range(len(row))] for row in table)


def _left(row: Sequence[Grid], j: int, down: PanelSide, letters: Letters) -> float:
    return GAP + (down.room(row[j].row_axis, row[j].rows, letters) if _names_rows(row, j) else 0)


def _feet(table: PanelRows, along: PanelSide, letters: Letters) -> tuple[float, ...]:
    """Inches below each row of panels."""
    return tuple(
        max(
            along.room(grid.column_axis, names_of_columns(grid), letters)
            if _names_columns(table, i, j)
            else 0.0
            for j, grid in enumerate(row)
        )
        for i, row in enumerate(table)
    )


def _widest(rows: Iterable[Iterable[float]]) -> tuple[float, ...]:
    """The largest number in each column; rows may have different lengths."""
    return tuple(map(max, zip_longest(*rows, fillvalue=0.0)))


def _names_rows(row: Sequence[Grid], j: int) -> bool:
    """Whether panel `j` labels its rows: not if its left neighbour has the same rows."""
    return j == 0 or row[j - 1].rows != row[j].rows


def _names_columns(table: PanelRows, i: int, j: int) -> bool:
    """Whether panel `i`, `j` labels its columns: not if the panel below has the same columns."""
    below = table[i + 1] if i + 1 < len(table) else ()
    return j >= len(below) or names_of_columns(below[j]) != names_of_columns(table[i][j])
