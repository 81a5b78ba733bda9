"""The text around a matrix: its title, row labels and a note below."""

from collections.abc import Sequence

import numpy as np
from rich.cells import cell_len
from rich.segment import Segment

from attn_cli.grid import SINK, Grid, Matrix
from attn_cli.show.scale import Limits
from attn_cli.show.terminal.number_format import short
from attn_cli.show.terminal.text_width import to_left
from attn_cli.show.terminal.view import DIM, Line, Sheet


def heading(grid: Grid, digits: int, sheet: Sheet) -> list[str]:
    """The phrases of a title: the name, the size, and the range that the shades span.

    A diverging scale is symmetric around zero and the values need not be: then their own range is given.
    """
    is_part = grid.is_masked_later and bool(grid.unmasked.any())
    is_part |= grid.ranking is not None and grid.ranking.leaves_out
    seen = grid.values[grid.unmasked] if grid.is_masked_later else grid.numbers
    if grid.ranking is not None:
        seen = np.append(seen, grid.ranking.span)
    low, high = _span(grid.limits, seen, digits)
    size = f"{len(grid.rows)} {sheet.ink('×')} {grid.width}"
    size += "" if grid.sink is None else f" and the {SINK}"
    pooled = [sheet.ink(grid.pooled)] if grid.is_pooled else []
    hidden = [] if grid.hidden is None else [sheet.ink(grid.hidden.caption)]
    span = f"{low} to {high}"
    spans = ["log scale", span] if grid.is_log else [f"{'unmasked range' if is_part else 'range'} {span}"]
    return [grid.title, *pooled, size, *hidden, *spans]


def _span(limits: Limits, seen: Matrix, digits: int) -> list[str]:
    """The limits; or the range of the values, if the limits were made from it by symmetry."""
    own = (float(seen.min()), float(seen.max())) if seen.size else limits
    reach = max(map(abs, own))
    shown = own if limits == (-reach, reach) else limits
    return [short(limit, digits) if limit in own else f"{limit:g}" for limit in shown]


def title(phrases: list[str], width: int, sheet: Sheet) -> list[str]:
    """The phrases, wrapped over as many lines as they need."""
    return sheet.filled(phrases, " · ", width)


def note(text: str, sheet: Sheet) -> list[Line]:
    """A line that says what is not shown, wrapped on a narrow console."""
    return [[Segment(line, DIM)] for line in sheet.filled(text.split(" "), " ", sheet.width)]


def numbers(labels: tuple[str, ...], places: Sequence[int] | None = None) -> list[str]:
    """The positions of the labels, each followed by a space: they distinguish equal tokens."""
    positions = range(len(labels)) if places is None else places
    width = len(str(max(positions, default=0)))
    return [f"{position:>{width}} " for position in positions]


def label_width(grid: Grid) -> int:
    """The width of the row labels if none is truncated."""
    return max(map(cell_len, grid.rows), default=0) + max(map(len, _numbers_of_rows(grid)), default=0)


def row_labels(grid: Grid, width: int, sheet: Sheet) -> list[Line]:
    """The row labels, each `width` wide."""
    return [
        [Segment(number, DIM), Segment(to_left(sheet.cut(name, width - len(number)), width - len(number)))]
        for number, name in zip(_numbers_of_rows(grid), grid.rows, strict=True)
    ]


def _numbers_of_rows(grid: Grid) -> list[str]:
    """Positions for tokens; none for heads against heads or rows named 0, 1, 2, whose names are unique."""
    are_names = grid.rows == grid.columns or all(row == str(i) for i, row in enumerate(grid.rows))
    if grid.is_pooled or grid.names_rows or (are_names and not grid.are_tokens):
        return [""] * len(grid.rows)
    return numbers(grid.rows, grid.row_places)
