"""The size of cells, and how many panels stand beside each other: as many as leave cells legible."""

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from math import ceil, inf
from typing import TypeAlias

from attn_cli.grid import Grid
from attn_cli.record import record
from attn_cli.show.picture.layout.sheet import GAP, Length, Sheet, Slot, line
from attn_cli.show.picture.layout.sides import axis_room, likely_room, names_of_columns, names_of_rows

Table: TypeAlias = Sequence[Sequence[Slot]]

_NUMBERED, _NUMBERS = 12, 500  # the most rows and columns of cells with numbers, and the most such cells
_NUMBERED_HEADS = 36  # the most rows and columns with numbers, if they are layers and heads
NUMBER = 7 / 8
"""The size of a number in a cell, in that of labels."""

_LEAST_NUMBER = 5 / 8  # the same, at least
_AROUND = 1.2  # the width of a cell with a number, in that of the number
_LARGEST_NUMBERED, _LARGEST, _USUAL, _PANEL = 0.46, 0.5, 0.2, 2.4  # inches, for labels of the usual size
_WIDEST_FEATURE = 0.25  # inches
_LEAST_HEIGHT = 0.8  # of a panel, in inches: many rows of panels may make a picture taller than a page
LEAST_PANEL = 0.2
"""The width of a panel, at least, in inches."""

_DECIMALS = 6  # of inches: of tables with cells of equal size, the first
_LONG = 4  # times as many columns as rows: cells are no longer square, unless both are the same tokens


@record(frozen=True, slots=True)
class Cell:
    """The size of a cell."""

    high: Length
    wide: Length


@record(frozen=True, slots=True)
class Margins:
    """The room beside and below panels for labels and bars, before the size of labels is known."""

    lefts: tuple[Length, ...]  # of each column of panels
    bars: tuple[Length, ...]
    heads: Length  # above each row of panels
    feet: tuple[Length, ...]  # below each row of panels

    @property
    def across(self) -> Length:
        """All of it, from the left edge of the page."""
        return sum(self.lefts) + sum(self.bars) + GAP * len(self.lefts)

    @property
    def down(self) -> Length:
        """All of it, from top to bottom."""
        return self.heads * len(self.feet) + sum(self.feet)


def wrapped(slots: Sequence[Slot], sheet: Sheet) -> Table:
    """The slots in rows: as many beside each other as have legible cells, else as have the largest."""
    tables = [_in_rows(slots, across) for across in range(len(slots), 0, -1)]
    tables = [table for table in tables if room_across(table, sheet) > LEAST_PANEL] or tables[-1:]
    legible = (table for table in tables if _are_legible(table, sheet))
    return next(legible, None) or max(
        tables, key=lambda table: round(_smallest_cell(table, sheet), _DECIMALS)
    )


def room_across(table: Table, sheet: Sheet) -> Length:
    """The width of each panel of a row at most; it may be below 0."""
    margins = margins_of(table, sheet)
    return (sheet.width - margins.across) / len(margins.lefts)


def cells_of(table: Table, sheet: Sheet) -> list[list[Cell]]:
    """The size of the cells of each slot: panels of the same number of rows have the same height."""
    margins = margins_of(table, sheet)
    wide = room_across(table, sheet)
    rows = sum(max(len(slot.grid.rows) for slot in row) for row in table)
    high = max(sheet.height - margins.down, len(table) * _LEAST_HEIGHT) / rows
    alone = [[_cell(slot.grid, wide, high, sheet) for slot in row] for row in table]
    lowest: dict[int, Length] = {}
    for slot, cell in zip(chain.from_iterable(table), chain.from_iterable(alone), strict=True):
        count = len(slot.grid.rows)
        lowest[count] = min(lowest.get(count, inf), cell.high)
    return [
        [_of_height(slot.grid, cell, lowest[len(slot.grid.rows)]) for slot, cell in zip(*both, strict=True)]
        for both in zip(table, alone, strict=True)
    ]


def margins_of(table: Table, sheet: Sheet) -> Margins:
    """The room for labels and bars of a table."""
    lefts = [
        [_rows_room(slot, sheet) if labels_rows(row, j) else 0.0 for j, slot in enumerate(row)]
        for row in table
    ]
    feet = [
        max(_columns_room(slot, sheet) if labels_columns(table, i, j) else 0.0 for j, slot in enumerate(row))
        for i, row in enumerate(table)
    ]
    bars = [[slot.bar for slot in row] for row in table]
    return Margins(_widest(lefts), _widest(bars), head_room(table, sheet), tuple(feet))


def head_room(table: Table, sheet: Sheet) -> Length:
    """Above each row of panels, for their titles if they have any."""
    has_titles = any(slot.grid.caption for row in table for slot in row)
    return 1.6 * line(sheet.size) if has_titles else GAP / 2


def labels_rows(row: Sequence[Slot], j: int) -> bool:
    """Whether panel `j` labels its rows: not if its left neighbour has the same rows."""
    return j == 0 or row[j - 1].grid.rows != row[j].grid.rows


def labels_columns(table: Table, i: int, j: int) -> bool:
    """Whether panel `i`, `j` labels its columns: not if the panel below has the same columns."""
    below, grid = table[i + 1] if i + 1 < len(table) else (), table[i][j].grid
    if j >= len(below):
        return True
    other = below[j].grid
    return (other.columns, other.sink is None) != (grid.columns, grid.sink is None)


def number_size(table: Table, cells: Sequence[Sequence[Cell]], sheet: Sheet) -> float:
    """The size of the numbers in cells, in points; 0 if not all have room for one."""
    slots = list(chain.from_iterable(table))
    if not _may_be_numbered(slots):
        return 0.0
    all_cells = chain.from_iterable(cells)
    size = min(_room_for_number(slot, cell, sheet) for slot, cell in zip(slots, all_cells, strict=True))
    return 0.0 if size < _LEAST_NUMBER * sheet.size else min(size, NUMBER * sheet.size)


def are_square(grid: Grid) -> bool:
    """Whether rows and columns are alike, so that cells are squares."""
    if grid.are_tokens and grid.row_places is not None and grid.row_places == grid.column_places:
        return True
    rows, columns = grid.values.shape
    return not is_of_features(grid) and max(rows, columns) <= _LONG * min(rows, columns)


def is_of_features(grid: Grid) -> bool:
    """Whether the columns are the features of vectors."""
    return grid.column_axis == "feature"


def _in_rows(slots: Sequence[Slot], across: int) -> Table:
    """Rows of about the same length, of at most `across` slots."""
    across = ceil(len(slots) / ceil(len(slots) / across))
    return [slots[first : first + across] for first in range(0, len(slots), across)]


def _are_legible(table: Table, sheet: Sheet) -> bool:
    """Whether every row and column has room for its label, and cells that may have numbers for these."""
    cells = cells_of(table, sheet)
    slots = list(chain.from_iterable(table))
    if _may_be_numbered(slots) and not number_size(table, cells, sheet):
        return False
    return _smallest_cell(table, sheet) >= line(sheet.smallest)


def _smallest_cell(table: Table, sheet: Sheet) -> Length:
    """The smallest of the cells whose size matters for labels: the width of a feature does not."""
    slots, cells = chain.from_iterable(table), chain.from_iterable(cells_of(table, sheet))
    return min(
        min(cell.high, cell.wide) if are_square(slot.grid) else min(cell.high, 8 * cell.wide)
        for slot, cell in zip(slots, cells, strict=True)
    )


def _cell(grid: Grid, wide: Length, high: Length, sheet: Sheet) -> Cell:
    """The largest cell in a panel of this width, and of this height per row."""
    rows, columns = grid.values.shape
    across = wide / (columns + (grid.sink is not None))
    if are_square(grid):
        side = min(largest_cell(grid, max(rows, columns), sheet), across, high)
        return Cell(side, side)
    widest = largest_cell(grid, columns, sheet)
    if is_of_features(grid):
        widest = min(widest, _WIDEST_FEATURE * sheet.magnification)
    return Cell(min(largest_cell(grid, rows, sheet), high), min(widest, across))


def _of_height(grid: Grid, cell: Cell, high: Length) -> Cell:
    return Cell(high, high if are_square(grid) else cell.wide)


def largest_cell(grid: Grid, count: int, sheet: Sheet) -> Length:
    """The largest cell of so many beside each other."""
    if _may_have_numbers(grid):
        return _LARGEST_NUMBERED * sheet.magnification
    return max(_USUAL, min(_LARGEST, _PANEL / count)) * sheet.magnification


def _may_have_numbers(grid: Grid) -> bool:
    are_heads = not grid.are_tokens and not is_of_features(grid)
    most: int = max(grid.values.shape)
    return most <= (_NUMBERED_HEADS if are_heads else _NUMBERED)


def _may_be_numbered(slots: Sequence[Slot]) -> bool:
    """Whether there are few enough cells for numbers."""
    cells = sum(slot.grid.values.size for slot in slots)
    return cells <= _NUMBERS and all(_may_have_numbers(slot.grid) for slot in slots)


def _room_for_number(slot: Slot, cell: Cell, sheet: Sheet) -> float:
    """The largest size of the longest number in a cell, in points."""
    return min(cell.wide / (_AROUND * sheet.letters.inches(slot.number, 1)), cell.high / line(1))


def _rows_room(slot: Slot, sheet: Sheet) -> Length:
    return likely_room(names_of_rows(slot.grid), slot.grid.row_axis, sheet)


def _columns_room(slot: Slot, sheet: Sheet) -> Length:
    if is_of_features(slot.grid):
        return line(sheet.size) + axis_room(slot.grid.column_axis, sheet.size)
    return likely_room(names_of_columns(slot.grid), slot.grid.column_axis, sheet)


def _widest(rows: Sequence[Sequence[Length]]) -> tuple[Length, ...]:
    """The largest number in each column; rows may have different lengths."""
    return tuple(_each_widest(rows))


def _each_widest(rows: Sequence[Sequence[Length]]) -> Iterator[Length]:
    return (max(column) for column in zip_longest(*rows, fillvalue=0.0))
