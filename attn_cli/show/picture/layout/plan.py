"""The plan of a group of panels: where each stands, how large its cells are, and where the bars are."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain

from attn_cli.grid import Grid
from attn_cli.record import record
from attn_cli.show.picture.canvas import too_narrow
from attn_cli.show.picture.layout.cells import (
    LEAST_PANEL,
    Cell,
    Table,
    cells_of,
    head_room,
    labels_columns,
    labels_rows,
    number_size,
    room_across,
)
from attn_cli.show.picture.layout.coarse import coarser
from attn_cli.show.picture.layout.sheet import APART, GAP, NARROW, TICK, Length, Sheet, Slot, line
from attn_cli.show.picture.layout.sides import PanelSide, axis_room, side_of_columns, side_of_rows
from attn_cli.show.picture.marks import INCH, Box, Word

_LONGEST_BAR = 40  # the most of its height, in sizes of type
_TITLE_LINES = 3


@record(frozen=True, slots=True)
class Panel:
    """A grid and its position."""

    grid: Grid
    box: Box
    sink: Box | None  # of its column
    down: PanelSide
    along: PanelSide
    labels_rows: bool  # False if a neighbour has the same labels
    labels_columns: bool

    @property
    def right(self) -> Length:
        """The x of its right edge, its sink's column included."""
        return self.box.right if self.sink is None else self.sink.right


@record(frozen=True, slots=True)
class Plan:
    """The panels of a group, in inches from its top left corner."""

    panels: tuple[Panel, ...]
    words: tuple[Word, ...]  # names of axes, and titles of panels
    bars: tuple[Box, ...]  # where they begin, and their heights: one for all panels, or one for each
    width: Length  # of all panels, with their labels and bars of their own
    height: Length
    number: float  # the size of numbers in cells, in points; 0: there are none


@record(frozen=True, slots=True)
class _Sized:
    """A grid with its sides, its width, the sink's included, its height and its title."""

    grid: Grid
    down: PanelSide
    along: PanelSide
    wide: Length
    high: Length
    title: tuple[str, ...]


def plan_table(table: Table, sheet: Sheet, *, have_bars: bool) -> Plan:
    """Place the panels of a table: cells as large as the sheet allows, labels as large as the cells allow.

    `have_bars`: whether each panel has a bar of its own.

    Raises:
        UsageError: the sheet is too narrow.
    """
    lacking = LEAST_PANEL - room_across(table, sheet)
    if lacking > 0:
        raise too_narrow(sheet.canvas, lacking, "the panels")
    cells = cells_of(table, sheet)
    placed = _Placed(table, cells, sheet)
    panels = tuple(chain.from_iterable(placed.panels))
    bars = [bar_beside([panel], sheet) for panel in panels] if have_bars else [bar_beside(panels, sheet)]
    words = (*placed.titles(), *_row_axes(placed.panels, sheet), *_column_axes(placed.panels, sheet))
    return Plan(panels, words, tuple(bars), placed.width, placed.height, number_size(table, cells, sheet))


def bar_beside(panels: Sequence[Panel], sheet: Sheet) -> Box:
    """The place of a bar beside some panels, and its height."""
    top = min(panel.box.y for panel in panels)
    high = max(panel.box.bottom for panel in panels) - top
    right = max(panel.right for panel in panels)
    return Box(right, top, 0.0, bar_height(high, sheet))


def bar_height(panels: Length, sheet: Sheet) -> Length:
    """The height of a bar beside panels of this height."""
    return max(sheet.shortest_bar, min(panels, _LONGEST_BAR * sheet.size / INCH))


def sink_beside(box: Box, cell: Length) -> Box:
    """The box of a sink's column beside those of the keys."""
    return Box(box.right + APART, box.y, max(cell, NARROW), box.height)


class _Placed:
    """The panels of a table in rows, and the edges of the table."""

    def __init__(self, table: Table, cells: Sequence[Sequence[Cell]], sheet: Sheet) -> None:
        self._table, self._sheet = table, sheet
        self._sized = [
            [_sized(slot.grid, cell, sheet) for slot, cell in zip(*both, strict=True)]
            for both in zip(table, cells, strict=True)
        ]
        columns = [self._column(j) for j in range(max(map(len, table)))]
        edges = list(accumulate((left + rest + GAP for left, rest in columns), initial=GAP))
        self._xs = [edge + left for edge, (left, _) in zip(edges, columns, strict=False)]
        self.width = edges[-1] - GAP
        self._ys, self.height = self._rows()
        self.panels = [[self._panel(i, j) for j in range(len(row))] for i, row in enumerate(table)]

    def titles(self) -> Iterator[Word]:
        """The titles of the panels, above each."""
        size = self._sheet.size
        panels, both = chain.from_iterable(self.panels), chain.from_iterable(self._sized)
        for panel, sized in zip(panels, both, strict=True):
            y = panel.box.y - TICK - line(size) * (len(sized.title) - 0.5)
            for number, text in enumerate(sized.title):
                yield Word(text, (panel.box.x + panel.right) / 2, y + number * line(size), size)

    def _column(self, j: int) -> tuple[Length, Length]:
        """The room for labels of a column of panels, and for the panels with bars of their own."""
        rows = [i for i, row in enumerate(self._table) if j < len(row)]
        rest = (self._sized[i][j].wide + self._table[i][j].bar for i in rows)
        return max(self._left(i, j) for i in rows), max(rest)

    def _left(self, i: int, j: int) -> Length:
        if not labels_rows(self._table[i], j):
            return 0.0
        sized = self._sized[i][j]
        return sized.down.room(sized.grid.row_axis, self._sheet.letters)

    def _foot(self, i: int) -> Length:
        """The room below a row of panels."""
        rooms = (
            sized.along.room(sized.grid.column_axis, self._sheet.letters)
            if labels_columns(self._table, i, j)
            else 0.0
            for j, sized in enumerate(self._sized[i])
        )
        return max(rooms)

    def _rows(self) -> tuple[list[Length], Length]:
        """The y of each row of panels, and of the end of the last."""
        ys, y = list[Length](), 0.0
        for i, row in enumerate(self._sized):
            lines = max(len(sized.title) for sized in row)
            y += head_room(self._table, self._sheet) + max(0, lines - 1) * line(self._sheet.size)
            ys.append(y)
            below = (bar_height(sized.high, self._sheet) + slot.foot for sized, slot in self._with_bars(i))
            y += max(max(sized.high for sized in row) + self._foot(i), *below, 0.0)
        return ys, y

    def _with_bars(self, i: int) -> Iterator[tuple[_Sized, Slot]]:
        """The panels of a row with bars of their own."""
        both = zip(self._sized[i], self._table[i], strict=True)
        return ((sized, slot) for sized, slot in both if slot.bar)

    def _panel(self, i: int, j: int) -> Panel:
        sized = self._sized[i][j]
        box = Box(self._xs[j], self._ys[i], sized.along.cell * len(sized.grid.columns), sized.high)
        sink = None if sized.grid.sink is None else sink_beside(box, sized.along.cell)
        are_labelled = labels_rows(self._table[i], j), labels_columns(self._table, i, j)
        return Panel(sized.grid, box, sink, sized.down, sized.along, *are_labelled)


def _sized(grid: Grid, cell: Cell, sheet: Sheet) -> _Sized:
    """The grid with cells no finer than dots."""
    wide, high = cell.wide * len(grid.columns), cell.high * len(grid.rows)
    coarse = coarser(grid, high * sheet.resolution, wide * sheet.resolution)
    down = side_of_rows(coarse, high / len(coarse.rows), sheet)
    along = side_of_columns(coarse, wide / len(coarse.columns), sheet)
    of_sink = 0.0 if grid.sink is None else APART + max(along.cell, NARROW)
    caption = sheet.letters.title(grid.caption)
    title = sheet.letters.lines(caption, sheet.size, wide + of_sink + GAP, _TITLE_LINES) if caption else []
    return _Sized(coarse, down, along, wide + of_sink, high, tuple(title))


def _row_axes(rows: Sequence[Sequence[Panel]], sheet: Sheet) -> Iterator[Word]:
    """The names at the left: once for all rows of panels if they share it."""
    firsts = [row[0] for row in rows]
    are_alike = len({panel.grid.row_axis for panel in firsts}) == 1
    others = [panel for row in rows for panel in row[1:] if panel.labels_rows]
    for panels in [firsts] if are_alike else [[first] for first in firsts]:
        yield from _row_axis(panels, sheet)
    for panel in others:
        yield from _row_axis([panel], sheet)


def _row_axis(panels: Sequence[Panel], sheet: Sheet) -> Iterator[Word]:
    name, size = panels[0].grid.row_axis, max(panel.down.size for panel in panels) + 1
    reach = max(panel.down.reach(sheet.letters) for panel in panels)
    x = panels[0].box.x - 2 * TICK - reach - axis_room(name, size - 1) / 2
    middle = (panels[0].box.y + panels[-1].box.bottom) / 2
    yield from [Word(name, x, middle, size, turned=True)] if name else []


def _column_axes(rows: Sequence[Sequence[Panel]], sheet: Sheet) -> Iterator[Word]:
    """The names below: once for all panels of the last row if they share labels."""
    labelled = [panel for row in rows for panel in row if panel.labels_columns]
    are_alike = len({panel.grid.columns for panel in labelled}) == 1
    are_alike = are_alike and len({panel.box.bottom for panel in labelled}) == 1
    for panels in [labelled] if are_alike else [[panel] for panel in labelled]:
        yield from _column_axis(panels, sheet)


def _column_axis(panels: Sequence[Panel], sheet: Sheet) -> Iterator[Word]:
    name, size = panels[0].grid.column_axis, max(panel.along.size for panel in panels) + 1
    reach = max(panel.along.reach(sheet.letters) for panel in panels)
    y = panels[0].box.bottom + 2 * TICK + reach + axis_room(name, size - 1) / 2
    middle = (panels[0].box.x + panels[-1].box.right) / 2
    yield from [Word(name, middle, y, size)] if name else []
