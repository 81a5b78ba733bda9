"""A compact map of all cells, such as layer × head: numbers if they fit, otherwise shades."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.cells import cell_len
from rich.segment import Segment

from attn_cli.grid import Grid
from attn_cli.show.terminal.captions import heading, note, title
from attn_cli.show.terminal.number_format import NumberFormat, format_for
from attn_cli.show.terminal.shades import Shade
from attn_cli.show.terminal.text_width import to_left, to_right
from attn_cli.show.terminal.view import BOLD, DIM, MASKED, Line, Sheet, View
from attn_cli.vocabulary import Theme

_LARGE = 10  # from this value on, a number needs no decimals
_DECIMALS = 2  # if no numbers are written, this decides which ones count as zero
_TILE = 2  # console cells: about square
_STEPS = (1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100)  # every n-th label is written


class CellMap(View):
    """A matrix that shows every cell at any width; a map that is too wide continues below.

    On an endless sheet every number and name is written in full, one row per line.
    """

    def __init__(self, grid: Grid, *, digits: int = 2, theme: Theme = Theme.DARK) -> None:
        self._grid, self._digits, self.theme = grid, digits, theme

    def lines(self, sheet: Sheet) -> Iterator[Line]:
        """A title, the column names, and a line per row."""
        grid, digits = sheet.inked(self._grid), self._digits
        label = max(len(row) for row in grid.rows) + 1
        written, size = _cell_layout(grid, digits, sheet, sheet.width - label)
        for text in title(heading(grid, digits, sheet), sheet.width, sheet):
            yield [Segment(text, BOLD)]
        step = len(grid.columns) if sheet.is_endless else max(1, (sheet.width - label) // size)
        for first in range(0, len(grid.columns), step):
            part = range(first, min(first + step, len(grid.columns)))
            yield from _part(grid, part, label, size, written, sheet)
        if not written:
            needed = label + (format_for(grid, digits, compact=True).width + 1) * len(grid.columns)
            yield from note(f"to see the numbers: --json, -o FILE.csv, or a width of {needed}", sheet)


def _cell_layout(grid: Grid, digits: int, sheet: Sheet, room: int) -> tuple[NumberFormat | None, int]:
    """The number format, None if no numbers are written, and the width of a cell."""
    if sheet.is_endless:
        written = next(_fitting(grid, (digits,), room), format_for(grid, digits))
        return written, max(written.width, *map(cell_len, grid.columns)) + 1
    fitting = next(_fitting(grid, _fewer_and_fewer(grid, digits), room), None)
    return fitting, fitting.width + 1 if fitting else _tile(grid, room)


def _part(
    grid: Grid, part: range, label: int, size: int, written: NumberFormat | None, sheet: Sheet
) -> Iterator[Line]:
    """Some of the columns under their names, with a label before each row."""
    yield [Segment(" " * label + _header([grid.columns[i] for i in part], size), DIM)]
    for row, line in zip(grid.rows, _cells(grid, part, size, written, sheet), strict=True):
        yield [Segment(to_right(row, label - 1), DIM), Segment(" "), *line]


def _fitting(grid: Grid, decimals: Iterable[int], width: int) -> Iterator[NumberFormat]:
    """The number formats in which all columns fit, in the order of `decimals`."""
    ways = (format_for(grid, count, compact=compact) for count in decimals for compact in (False, True))
    return (way for way in ways if (way.width + 1) * len(grid.columns) <= width)


def _fewer_and_fewer(grid: Grid, digits: int) -> Iterable[int]:
    """The numbers of decimals to try if space is short, largest first."""
    fewest = 0 if grid.limits[1] >= _LARGE else min(digits, 1)
    return range(digits, fewest - 1, -1)


def _tile(grid: Grid, width: int) -> int:
    """The width of a cell without a number."""
    return _TILE if _TILE * len(grid.columns) <= width else 1


def _header(names: Sequence[str], size: int) -> str:
    """The column names, right-aligned in their cells; narrow cells show only some of them."""
    longest = max(map(len, names))
    every = next(step for step in _STEPS if step * size > longest)
    if every == 1:
        return "".join(to_right(name, size) for name in names)
    named = [name if i + len(name) <= len(names) * size else "" for i, name in _spread(names, every, size)]
    return "".join(to_left(name, every * size) for name in named).rstrip()


def _spread(names: Sequence[str], every: int, size: int) -> Iterator[tuple[int, str]]:
    """Every n-th name, and the place on the line where it starts."""
    return ((i * size, names[i]) for i in range(0, len(names), every))


def _cells(grid: Grid, part: range, size: int, written: NumberFormat | None, sheet: Sheet) -> Iterator[Line]:
    """Lines of shaded cells; adjacent cells of the same shade share a segment."""
    shades = sheet.shades(grid, written or format_for(grid, _DECIMALS))
    for values, shades_of_row in zip(grid.values.tolist(), shades, strict=True):
        cells = [(shades_of_row[i], values[i]) for i in part]
        texts = [(shade.style, _text(shade, value, size, written, sheet)) for shade, value in cells]
        yield [
            Segment("".join(text for _, text in alike), style)
            for style, alike in groupby(texts, key=lambda cell: cell[0])
        ]


def _text(shade: Shade, value: float, size: int, written: NumberFormat | None, sheet: Sheet) -> str:
    """A number after its shade, the shade alone, or the symbol for a cell without a value."""
    if shade is MASKED:
        return to_right(sheet.ink("·"), size)
    return shade.glyph + to_right(written(value), size - 1) if written else shade.glyph * size
