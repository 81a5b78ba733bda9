"""Matrices and lists on a terminal or in a pipe, as wide and as colourful as the console is."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import accumulate, zip_longest

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style

from attn_cli.core.grid import Grid
from attn_cli.labels import printable
from attn_cli.show.terminal import largest, table
from attn_cli.show.terminal.edges import note
from attn_cli.show.terminal.fitting import cut, filled, to_left, to_right
from attn_cli.show.terminal.sheet import BOLD, Line, Sheet
from attn_cli.show.terminal.tiles import tiles

_LINES = 12  # of a paragraph: 100 tokens or so at 80 columns
_GAP = "  "  # between the columns of a list


def matrix(grid: Grid, console: Console, *, digits: int = 2, top: int | None = None) -> None:
    """Print `grid` as a table of shaded cells; one that is too wide as its largest values or a window.

    `top`, at least 1, asks for the largest of each row; of a difference or of features by size.
    """
    side_by_side([grid], console, digits=digits, top=top)


def side_by_side(grids: Sequence[Grid], console: Console, *, digits: int = 2, top: int | None = None) -> None:
    """Print the grids next to each other where the console is wide enough, else one below the other."""
    sheet = Sheet(console)
    grids = [sheet.inked(grid) for grid in grids]
    tables = table.fitting(grids, digits, sheet) if top is None else None
    if tables is not None:
        sheet.show(table.lines(tables, digits, sheet))
        return
    for number, grid in enumerate(grids):
        sheet.show([[]] if number > 0 else [])
        sheet.show(_alone(grid, digits, top, sheet))


def map_of(grid: Grid, console: Console, *, digits: int = 2) -> None:
    """Print `grid` with every cell in view, whatever the width: numbers where they fit, else shades."""
    sheet = Sheet(console)
    sheet.show(tiles(sheet.inked(grid), digits, sheet))


def columns(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    console: Console,
    *,
    right: Collection[int] = (),
    rest: str = "",
) -> None:
    """Print a list under the names of its columns; those in `right` end at one place, the widest give way.

    With `rest` the last columns give way instead, and it says where they are. A line end in a name is one.
    """
    sheet = Sheet(console)
    headings = list(zip_longest(*(name.split("\n") for name in names), fillvalue=""))
    cells = [[sheet.ink(printable(cell)) for cell in row] for row in (*headings, *rows)]
    wanted = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    shown = _fitting(sheet.width, wanted) if rest else len(wanted)
    widths = _shared_out(sheet.width, wanted[:shown])
    lines = [_in_columns(row[:shown], widths, right, sheet) for row in cells]
    styles = [BOLD] * len(headings) + [Style.null()] * len(rows)
    sheet.show([Segment(line, style)] for line, style in zip(lines, styles, strict=True))
    if shown < len(wanted):
        left_out = ", ".join(name.replace("\n", "") for name in names[shown:])
        sheet.show(note(f"no room for {left_out}: {rest}", sheet))


def paragraph(
    phrases: Sequence[str], console: Console, *, between: str = "  ", rest: str = "", most: int = _LINES
) -> None:
    """Print the phrases one after the other, each whole; beyond `most` lines `rest` says where they are."""
    sheet = Sheet(console)
    inked = [sheet.ink(printable(phrase)) for phrase in phrases]
    lines = filled(inked, sheet.ink(between), sheet.width, sheet.ink("…"))
    sheet.show([Segment(line)] for line in lines[:most])
    if len(lines) > most:
        sheet.show(note(rest, sheet))


def _alone(grid: Grid, digits: int, top: int | None, sheet: Sheet) -> list[Line]:
    """One grid with all the width, and a note where it is not enough."""
    if top is None and (whole := table.fitting([grid], digits, sheet)):
        return list(table.lines(whole, digits, sheet))
    if top is not None or (grid.are_tokens and not _is_whole(grid)):
        return _largest(grid, digits, top, sheet)
    return _window(grid, digits, sheet)


def _largest(grid: Grid, digits: int, top: int | None, sheet: Sheet) -> list[Line]:
    hides = grid.ranked is not None and bool((grid.visible & ~grid.ranked).any())
    if grid.ranked is not None:
        grid = replace(grid, visible=grid.visible & grid.ranked)
    listing = largest.listing(grid, digits, sheet, largest.MOST if top is None else top)
    shown, there = len(listing.texts), len(grid.columns)
    lines = list(largest.lines(listing, digits, sheet))
    if shown == there:
        return lines
    by_size = " by size" if grid.by_size else ""
    text = f"the {shown} largest{by_size} of {there} in each row"
    if hides:
        text += ", of those where it may look"
    if top is None:
        text += f"; {_rest(grid, digits)}"
    elif shown < min(top, there):
        text += f"; {min(top, there) - shown} more in a wider window"
    return lines + note(text, sheet)


def _window(grid: Grid, digits: int, sheet: Sheet) -> list[Line]:
    window = table.window(grid, digits, sheet)
    gap = window.shown.index(table.GAP)
    first, end = window.shown[gap - 1] + 1, (*window.shown, len(grid.columns))[gap + 1]
    names = [table.position(grid, number) or grid.columns[number] for number in (first, end - 1)]
    left_out = f"column {names[0]} is" if end - first == 1 else f"columns {names[0]} to {names[1]} are"
    text = f"{left_out} left out; {_rest(grid, digits)}"
    return [*table.lines([window], digits, sheet), *note(text, sheet)]


def _rest(grid: Grid, digits: int) -> str:
    width = table.narrowest(grid, digits).width(len(grid.columns))
    return f"all: --out FILE.csv, --json, or a width of {width}"


def _is_whole(grid: Grid) -> bool:
    """Whether there are only whole numbers, such as a mask's: no few of them stand out."""
    seen = grid.values[grid.visible]
    return np.array_equal(seen, np.rint(seen))


def _fitting(width: int, wanted: Sequence[int]) -> int:
    """How many of the first columns fit with all their width; at least one."""
    ends = accumulate(each + len(_GAP) for each in wanted)
    return max(1, sum(end - len(_GAP) <= width for end in ends))


def _shared_out(width: int, wanted: list[int]) -> list[int]:
    """The widths of columns: what they want, the widest cut first until all fit."""
    widths = list(wanted)
    while sum(widths) + len(_GAP) * (len(widths) - 1) > width and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return widths


def _in_columns(row: Sequence[str], widths: Sequence[int], right: Collection[int], sheet: Sheet) -> str:
    texts = [cut(cell, width, sheet.ink("…")) for cell, width in zip(row, widths, strict=True)]
    aligned = [
        (to_right if number in right else to_left)(text, width)
        for number, (text, width) in enumerate(zip(texts, widths, strict=True))
    ]
    return _GAP.join(aligned).rstrip()
