"""A matrix as a table of shaded cells, laid out for a given width, complete or with columns left out.

`rich.table` (15.0) shrinks the columns of a table that does not fit until numbers are truncated, so the
layout is computed here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, zip_longest
from operator import itemgetter

from rich.cells import cell_len
from rich.segment import Segment

from attn_cli.grid import Grid
from attn_cli.record import record
from attn_cli.show.terminal.captions import heading, label_width, row_labels, title
from attn_cli.show.terminal.number_format import NumberFormat, format_for
from attn_cli.show.terminal.shades import Shade
from attn_cli.show.terminal.text_width import to_left, to_right
from attn_cli.show.terminal.view import BOLD, DIM, MASKED, Line, Sheet

GAP = -1  # a placeholder for the columns left out

_BETWEEN = "   "  # between two tables
_APART = " |"  # between the columns of tokens and that of a sink
_LABEL = 20  # maximum width of a row label in a terminal,
_SHORT_LABEL = 7  # and if that makes the table fit
_HEADER_LINES = 3  # a token in a terminal is folded over at most this many lines,
_NARROWEST, _WIDEST = 3, 8  # of a width in this range
_CELLS_AT_ONCE = 1 << 16  # whose shades are computed together: those of a large matrix would fill memory


@record(frozen=True, slots=True)
class TableLayout:
    """The widths of the parts of a table."""

    number_format: NumberFormat
    label: int  # including the space after it; 0 if the table to the left has the labels
    text: int  # a cell is one wider: a space, or the glyph of its shade, comes first
    beside: tuple[int, ...] = ()  # the same for each column beside those of the keys, such as that of a sink

    def width(self, columns: int) -> int:
        """The width of a table with this many columns and those beside them."""
        of_others = sum(len(_APART) + text + 1 for text in self.beside)
        return self.label + (self.text + 1) * columns + of_others


@record(frozen=True, slots=True)
class GridTable:
    """A grid and its layout; only the columns in `shown` are drawn."""

    grid: Grid
    layout: TableLayout
    sheet: Sheet
    shown: Sequence[int]

    def header(self) -> Iterator[str]:
        """The header lines: the position of each column, then its token, folded if necessary."""
        named = [self._named(column) for column in self.shown]
        lines = max(map(len, named), default=1)
        for column, width in zip(self.grid.columns_beside, self.layout.beside, strict=True):
            named.append(list(self._named_beside(column.columns[0], width, lines)))
        blanks = [" " * cell_len(lines[0]) for lines in named]
        for texts in zip_longest(*named):
            cells = (text or blank for text, blank in zip(texts, blanks, strict=True))
            yield " " * self.layout.label + "".join(cells)

    def rows(self) -> Iterator[Line]:
        """Lines of cells, each after its row label if the table has labels."""
        if self.layout.label == 0:
            yield from self._cells()
            return
        labels = row_labels(self.grid, self.layout.label - 1, self.sheet)
        for row_label, cells in zip(labels, self._cells(), strict=True):
            yield [*row_label, Segment(" "), *cells]

    def _named(self, column: int) -> list[str]:
        if column == GAP:
            return [self._gap]
        lines = self.sheet.folded(self.grid.columns[column], self.layout.text, _HEADER_LINES)
        width = max(map(cell_len, lines))
        number = position(self.grid, column)
        texts = ([number] if number else []) + [to_left(line, width) for line in lines]
        return [to_right(text, self.layout.text + 1) for text in texts]

    def _named_beside(self, name: str, width: int, lines: int) -> Iterator[str]:
        """The header of a column such as the sink's: its name beside the first lines of the tokens."""
        place = 1 if position(self.grid, 0) and lines > 1 else 0
        for line in range(lines):
            yield _APART + to_right(name if line == place else "", width + 1)

    def _cells(self) -> Iterator[Line]:
        size = max(1, _CELLS_AT_ONCE // max(1, len(self.shown)))
        for first in range(0, len(self.grid.rows), size):
            rows = slice(first, first + size)
            lines = self._drawn(self._part(rows))
            for column, width in zip(self.grid.columns_beside, self.layout.beside, strict=True):
                lines = self._beside(lines, column, width, rows)
            yield from lines

    def _beside(self, lines: Iterator[Line], column: Grid, width: int, rows: slice) -> Iterator[Line]:
        """The lines of some rows, each followed by its cell in a column such as the sink's."""
        part = replace(column, values=column.values[rows], visible=column.visible[rows])
        shades = self.sheet.shades(part, self.layout.number_format)
        for line, number, (shade,) in zip(lines, part.values[:, 0].tolist(), shades, strict=True):
            cell = Segment(self._cell(number, shade, width), shade.style)
            yield [*line, Segment(_APART, DIM), cell]

    def _drawn(self, part: Grid) -> Iterator[Line]:
        shades = self.sheet.shades(part, self.layout.number_format)
        for numbers, of_row in zip(part.values.tolist(), shades, strict=True):
            cells = zip(numbers, of_row, strict=True)
            texts = [self._cell(number, shade, self.layout.text) for number, shade in cells]
            styles = [shade.style for shade in of_row]
            if GAP in self.shown:
                gap = self.shown.index(GAP)
                styles[gap], texts[gap] = DIM, self._gap
            yield [
                Segment("".join(text for _, text in alike), style)
                for style, alike in groupby(zip(styles, texts, strict=True), key=itemgetter(0))
            ]

    def _part(self, rows: slice) -> Grid:
        """Some rows of the columns that are shown; the gap holds an arbitrary column."""
        grid, chosen = self.grid, list(self.shown)
        allowed = None if grid.allowed is None else grid.allowed[rows, chosen]
        return replace(
            grid, values=grid.values[rows, chosen], visible=grid.visible[rows, chosen], allowed=allowed
        )

    def _cell(self, number: float, shade: Shade, width: int) -> str:
        """A number after the glyph of its shade, or the symbol for a masked cell."""
        text = shade.glyph + self.layout.number_format(number).rjust(self.layout.number_format.width)
        return (self.sheet.ink("·") if shade is MASKED else text).rjust(width + 1)

    @property
    def _gap(self) -> str:
        return " " + self.sheet.ink("…")


def side_by_side(grids: Sequence[Grid], digits: int, sheet: Sheet) -> list[GridTable] | None:
    """The grids as tables that fit next to each other; None if they do not fit."""
    for layouts in _layouts(grids, digits, sheet):
        tables = [_whole(grid, layout, sheet) for grid, layout in zip(grids, layouts, strict=True)]
        spare = sheet.width - sum(_widths(tables, digits)) - len(_BETWEEN) * (len(tables) - 1)
        if spare >= 0:
            spare_of_a_cell = spare // max(1, sum(len(grid.columns) for grid in grids))
            return [_roomier(table, spare_of_a_cell) for table in tables]
    return None


def unlimited(grid: Grid, digits: int, sheet: Sheet) -> GridTable:
    """The grid as a table of all its columns, whatever its width."""
    (layout,) = next(_layouts([grid], digits, sheet))
    return _whole(grid, layout, sheet)


def window(grid: Grid, digits: int, sheet: Sheet) -> GridTable:
    """As many of the first columns as fit, a gap, and the last column if it fits too."""
    layout = narrowest(grid, digits, sheet)
    gap = len(" " + sheet.ink("…"))
    fit = (sheet.width - layout.width(0) - gap) // (layout.text + 1)
    first = range(max(1, fit - 1))
    last = [len(grid.columns) - 1] if fit > 1 else []
    return GridTable(grid, layout, sheet, [*first, GAP, *last])


def position(grid: Grid, column: int) -> str:
    """The position of the column's token; empty if its label gives it, or if columns are not tokens."""
    if grid.is_pooled or not grid.are_tokens:
        return ""
    return str(column if grid.column_places is None else grid.column_places[column])


def pooled_columns(width: int, count: int, digits: int, beside: Sequence[str] = ()) -> int:
    """The number of block averages that fit, each labelled with a position below `count`; weights up to 1.

    `beside` are the names of the columns beside them.
    """
    name, number = len(str(count - 1)), len("0.") + digits
    of_others = sum(len(_APART) + max(number, len(column)) + 1 for column in beside)
    return max(1, (width - name - 1 - of_others) // (max(name, number) + 1))


def narrowest(grid: Grid, digits: int, sheet: Sheet) -> TableLayout:
    """The layout in which the most columns fit."""
    *_, (layout,) = _layouts([grid], digits, sheet)
    return layout


def lines(tables: Sequence[GridTable], digits: int, sheet: Sheet) -> Iterator[Line]:
    """The tables side by side, each under its title."""
    widths = [sheet.width] if len(tables) == 1 else _widths(tables, digits)
    titles = [
        title(heading(table.grid, digits, sheet), width, sheet)
        for table, width in zip(tables, widths, strict=True)
    ]
    for style, parts in ((BOLD, titles), (DIM, [list(table.header()) for table in tables])):
        for texts in zip_longest(*parts, fillvalue=""):
            padded = (to_left(text, width) for text, width in zip(texts, widths, strict=True))
            yield [Segment(_BETWEEN.join(padded).rstrip(), style)]
    for rows in zip_longest(*(table.rows() for table in tables), fillvalue=[]):
        yield _joined(rows, widths)


def _joined(rows: Sequence[Line], widths: Sequence[int]) -> Line:
    """The same row of all tables as one line, without trailing spaces."""
    line: Line = []
    due = 0
    for row, width in zip(rows, widths, strict=True):
        if row:
            line += [Segment(" " * (due - Segment.get_line_length(line))), *row]
        due += width + len(_BETWEEN)
    return line


def _layouts(grids: Sequence[Grid], digits: int, sheet: Sheet) -> Iterator[list[TableLayout]]:
    """From the widest to the narrowest; labels that all tables share appear on the left only."""
    repeated = any(grid.rows != grids[0].rows for grid in grids)
    longest = max(map(label_width, grids)) if sheet.is_endless else _LABEL
    shortest = longest if sheet.is_endless else _SHORT_LABEL
    for compact, most in ((False, longest), (True, longest), (True, shortest)):
        yield [
            _layout(grid, format_for(grid, digits, compact=compact), most if repeated or number == 0 else 0)
            for number, grid in enumerate(grids)
        ]


def _layout(grid: Grid, written: NumberFormat, most: int) -> TableLayout:
    header = _longest(grid)
    widest = len(position(grid, len(grid.columns) - 1))
    least = max(_NARROWEST, widest) if widest else min(header, _WIDEST)
    beside = tuple(max(written.width, len(column.columns[0])) for column in grid.columns_beside)
    return TableLayout(written, most and min(label_width(grid), most) + 1, max(written.width, least), beside)


def _whole(grid: Grid, layout: TableLayout, sheet: Sheet) -> GridTable:
    return GridTable(grid, layout, sheet, range(len(grid.columns)))


def _roomier(table: GridTable, spare: int) -> GridTable:
    """The same table with cells up to `spare` wider if that shows more of the tokens."""
    layout = table.layout
    wanted = max(layout.text, min(_longest(table.grid), _WIDEST))
    return replace(table, layout=replace(layout, text=min(layout.text + spare, wanted)))


def _widths(tables: Sequence[GridTable], digits: int) -> list[int]:
    """The width of each table; next to others, at least that of the longest phrase in its title."""
    widths = [table.layout.width(len(table.grid.columns)) for table in tables]
    if len(tables) == 1:
        return widths
    phrases = [heading(table.grid, digits, table.sheet) for table in tables]
    return [max(width, *map(cell_len, said)) for width, said in zip(widths, phrases, strict=True)]


def _longest(grid: Grid) -> int:
    return max(map(cell_len, grid.columns), default=1)
