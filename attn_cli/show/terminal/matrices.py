"""Matrices fitted to the console: whole tables, the largest values of each row, or a window."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from attn_cli.grid import Grid
from attn_cli.show.terminal import table
from attn_cli.show.terminal.captions import note
from attn_cli.show.terminal.view import Line, Sheet, View
from attn_cli.vocabulary import Theme


class Matrices(View):
    """Grids as tables of shaded cells, side by side if there is room, else one below the other.

    In a terminal a table that is still too wide is reduced to its largest values or to a window; elsewhere
    it is printed whole. `top`, at least 1, selects the largest values of each row, in a difference or in
    features by absolute value.
    """

    def __init__(
        self, *grids: Grid, digits: int = 2, top: int | None = None, theme: Theme = Theme.DARK
    ) -> None:
        self._grids, self._digits, self._top, self.theme = grids, digits, top, theme

    def lines(self, sheet: Sheet) -> Iterable[Line]:
        """The tables, each under its title, with a note below those that are not complete."""
        grids = [sheet.inked(grid) for grid in self._grids]
        tables = table.side_by_side(grids, self._digits, sheet) if self._top is None else None
        return self._below(grids, sheet) if tables is None else table.lines(tables, self._digits, sheet)

    def _below(self, grids: Iterable[Grid], sheet: Sheet) -> Iterator[Line]:
        for number, grid in enumerate(grids):
            if number > 0:
                yield []
            yield from self._alone(grid, sheet)

    def _alone(self, grid: Grid, sheet: Sheet) -> Iterable[Line]:
        """One grid at full width, with a note if it does not fit."""
        if self._top is None and (whole := table.side_by_side([grid], self._digits, sheet)):
            return table.lines(whole, self._digits, sheet)
        if self._top is None and sheet.is_endless:
            return table.lines([table.unlimited(grid, self._digits, sheet)], self._digits, sheet)
        if self._top is not None or (grid.are_tokens and not _is_whole(grid)):
            return self._largest(grid, sheet)
        return self._window(grid, sheet)

    def _largest(self, grid: Grid, sheet: Sheet) -> Iterator[Line]:
        from attn_cli.show.terminal import largest_values  # tables that fit do without

        hides = grid.is_masked_later or (grid.ranking is not None and grid.ranking.leaves_out)
        grid = replace(grid, visible=grid.unmasked, allowed=None)
        most = largest_values.MOST if self._top is None else self._top
        listing = largest_values.listing(grid, self._digits, sheet, most)
        yield from largest_values.lines(listing, self._digits, sheet)
        shown, there = len(listing.texts), largest_values.longest_row(grid)
        if shown < there:
            by_size = " by absolute value" if grid.by_size else ""
            where = ", masked keys aside" if hides else ""
            largest = "the largest" if shown == 1 else f"the {shown} largest"
            text = f"{largest}{by_size} of {there:,} in each row{where}"
            yield from note(text + self._others(grid, shown, there, sheet), sheet)
        elif hides:
            yield from note("masked keys are not listed", sheet)

    def _others(self, grid: Grid, shown: int, there: int, sheet: Sheet) -> str:
        """Where to find the values that are not listed; nothing beyond those that --top requests."""
        if self._top is None:
            return f"; {_where_all_are(grid, self._digits, sheet)}"
        more = min(self._top, there) - shown
        return f"; {more:,} more in a wider window" if more > 0 else ""

    def _window(self, grid: Grid, sheet: Sheet) -> Iterator[Line]:
        window = table.window(grid, self._digits, sheet)
        yield from table.lines([window], self._digits, sheet)
        gap = window.shown.index(table.GAP)
        first, end = window.shown[gap - 1] + 1, (*window.shown, len(grid.columns))[gap + 1]
        names = [table.position(grid, number) or grid.columns[number] for number in (first, end - 1)]
        left_out = f"column {names[0]} is" if end - first == 1 else f"columns {names[0]} to {names[1]} are"
        yield from note(f"{left_out} left out; {_where_all_are(grid, self._digits, sheet)}", sheet)


def _where_all_are(grid: Grid, digits: int, sheet: Sheet) -> str:
    width = table.narrowest(grid, digits, sheet).width(len(grid.columns))
    return f"all: --out FILE.csv, --json, or a width of {width}"


def _is_whole(grid: Grid) -> bool:
    """Whether all numbers are integers, as in a mask: then the largest ones do not stand out."""
    seen = grid.values[grid.visible]
    return np.array_equal(seen, np.rint(seen))
