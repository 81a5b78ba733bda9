"""Lists the largest values of each row, for --top and for matrices that are too wide."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, chain

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len
from rich.segment import Segment

from attn_cli.grid import Grid, Matrix
from attn_cli.record import record
from attn_cli.show.terminal.captions import heading, label_width, numbers, row_labels, title
from attn_cli.show.terminal.number_format import NumberFormat, format_for
from attn_cli.show.terminal.shades import Shade
from attn_cli.show.terminal.text_width import to_left
from attn_cli.show.terminal.view import BOLD, DIM, MASKED, Line, Sheet

MOST = 8  # how many are listed without --top: the values after them are close to zero

_BETWEEN = "  "  # between two values
_APART = " | "  # between a sink's value and those of tokens
_LABEL, _SHORT_LABEL = 20, 6  # maximum width of a row label, with enough space and without
_TEXT = 12  # maximum width of a token before its value in a terminal
_SMALL = 0.01  # a smaller value of a whole matrix has two digits, as in lists of the largest of many


@record(frozen=True, slots=True, eq=False)
class RankedValues:
    """Values of each row in descending order: R rows, K values of each."""

    columns: npt.NDArray[np.int64]  # (R, K)
    values: Matrix  # (R, K)
    visible: npt.NDArray[np.bool_]  # (R, K)

    def first(self, count: int) -> "RankedValues":
        """The first `count` of each row."""
        return RankedValues(self.columns[:, :count], self.values[:, :count], self.visible[:, :count])


@record(frozen=True, slots=True)
class Listing:
    """The largest values of each row of one grid, in descending order."""

    grid: Grid
    ranked: "RankedValues"  # (R, K)
    number_format: NumberFormat
    label: int
    texts: list[int]  # (K) the widths of the tokens
    sheet: Sheet

    def rows(self) -> Iterator[Line]:
        """`token → key 0.42  key 0.21`, the keys with their positions; masked keys are left out.

        A sink and hidden keys have no rank: their values come before them, in every row.
        """
        arrow = Segment(f" {self.sheet.ink('→')} ", DIM)
        masked = Segment(self.sheet.ink("·"), DIM)
        labels = row_labels(self.grid, self.label, self.sheet)
        beside = [list(self._beside(column)) for column in self.grid.columns_beside]
        for number, (row_label, entries) in enumerate(zip(labels, self._entries(), strict=True)):
            others = chain.from_iterable(column[number] for column in beside)
            yield [*row_label, arrow, *others, *(entries or [masked])]

    def _beside(self, column: Grid) -> Iterator[Line]:
        """The value of each row in a column beside those of the keys, such as the sink's, set apart."""
        (name,) = column.columns
        for number, (shade,) in zip(
            column.values[:, 0], self.sheet.shades(column, self.number_format), strict=True
        ):
            text = self.sheet.ink("·") if shade is MASKED else self.number_format(float(number))
            value = Segment(shade.glyph + text.rjust(self.number_format.width), shade.style)
            yield [Segment(f"{name} "), value, Segment(_APART, DIM)]

    def _entries(self) -> Iterator[Line]:
        positions = _positions(self.grid)
        columns_of_rows, values_of_rows = self.ranked.columns.tolist(), self.ranked.values.tolist()
        part = replace(self.grid, values=self.ranked.values, visible=self.ranked.visible)
        shades = self.sheet.shades(part, self.number_format)
        for columns, values, of_row in zip(columns_of_rows, values_of_rows, shades, strict=True):
            line: Line = []
            for column, value, shade, width in zip(columns, values, of_row, self.texts, strict=True):
                if shade is not MASKED:
                    line.append(Segment(_BETWEEN if line else ""))
                    line.append(Segment(positions[column], DIM))
                    line += self._entry(column, value, shade, width)
            yield line

    def _entry(self, column: int, value: float, shade: Shade, width: int) -> Line:
        """A token and its value."""
        key = to_left(self.sheet.cut(self.grid.columns[column], width), width)
        number = self.number_format(value).rjust(self.number_format.width)
        return [Segment(key + " "), Segment(shade.glyph + number, shade.style)]


def listing(grid: Grid, digits: int, sheet: Sheet, most: int) -> Listing:
    """The `most` largest values of each row, or as many as fit the width; an endless sheet fits all."""
    written = format_for(grid, _telling_digits(grid, digits))
    ranked = _ranked(grid).first(min(most, longest_row(grid)))
    if sheet.is_endless:
        return Listing(grid, ranked, written, label_width(grid), _text_widths(grid, ranked), sheet)
    label = min(label_width(grid), _LABEL, max(_SHORT_LABEL, sheet.width // 5))
    room = sheet.width - label - len(f" {sheet.ink('→')} ") - _room_beside(grid, written)
    around = max(map(len, _positions(grid)), default=0) + len(" ") + len(" ") + written.width
    texts = _text_widths(grid, ranked, max(1, min(_TEXT, sheet.width // 10, room - around)))
    ends = [end - len(_BETWEEN) for end in accumulate(len(_BETWEEN) + text + around for text in texts)]
    fit = max(1, sum(end <= room for end in ends))
    shown, whole = ranked.first(fit), min(label_width(grid), _LABEL)
    longest = _text_widths(grid, shown, _TEXT)
    label, *texts = _widened([label, *texts[:fit]], [whole, *longest], room - ends[fit - 1] if ends else 0)
    return Listing(grid, shown, written, label, texts, sheet)


def _telling_digits(grid: Grid, digits: int) -> int:
    """The decimals that give the largest value of most rows two digits, if it is one of very many.

    A weight among 32,000 may be below 0.01, and one row in which a token stands out does not change that.
    In a whole matrix a sink or hidden keys may leave next to nothing, which needs no digits.
    """
    rows = np.abs(grid.values).max(axis=1, initial=0, where=grid.visible)[grid.visible.any(axis=1)]
    usual = float(np.median(rows)) if rows.size else 0.0
    has_rest = grid.sink is not None or grid.hidden is not None
    is_small = 0 < usual < (1 if grid.ranking is not None else 0 if has_rest else _SMALL)
    return max(digits, 1 + math.ceil(-math.log10(usual))) if is_small else digits


def _widened(widths: Sequence[int], wanted: Sequence[int], spare: int) -> list[int]:
    """The widths with `spare` cells shared out: the narrowest grows first, none beyond what it wants."""
    grown = list(widths)
    for _ in range(spare):
        growing = [(width, place) for place, width in enumerate(grown) if width < wanted[place]]
        if not growing:
            break
        grown[min(growing)[1]] += 1
    return grown


def _room_beside(grid: Grid, written: NumberFormat) -> int:
    """The width of the values beside those of the keys, each with its name."""
    names = [column.columns[0] for column in grid.columns_beside]
    return sum(len(f"{name} ") + 1 + written.width + len(_APART) for name in names)


def longest_row(grid: Grid) -> int:
    """The largest number of values in any row."""
    counts = grid.visible.sum(axis=1) if grid.ranking is None else grid.ranking.counts
    return int(counts.max(initial=0))


def lines(listing: Listing, digits: int, sheet: Sheet) -> Iterator[Line]:
    """The list under its title."""
    for text in title(heading(listing.grid, digits, sheet), sheet.width, sheet):
        yield [Segment(text, BOLD)]
    yield from listing.rows()


def _ranked(grid: Grid) -> RankedValues:
    """The values of each row, by descending visible value or absolute value."""
    if grid.ranking is not None:
        return RankedValues(grid.ranking.columns, grid.values, grid.visible)
    size = np.abs(grid.values) if grid.by_size else grid.values
    order = np.argsort(np.where(grid.visible, -size, np.inf), axis=1, kind="stable")
    values = np.take_along_axis(grid.values, order, axis=1)
    return RankedValues(order, values, np.take_along_axis(grid.visible, order, axis=1))


def _text_widths(grid: Grid, ranked: RankedValues, most: int | None = None) -> list[int]:
    """The width of the widest token of each rank, at most `most`; masked keys take no space."""
    widths = np.array([cell_len(column) for column in grid.columns])
    widths = widths if most is None else np.minimum(widths, most)
    shown = np.where(ranked.visible, widths[ranked.columns], 0)
    room: list[int] = np.max(shown, axis=0, initial=0).tolist()
    return room


def _positions(grid: Grid) -> list[str]:
    if grid.is_pooled or not grid.are_tokens:
        return [""] * len(grid.columns)
    return numbers(grid.columns, grid.column_places)
