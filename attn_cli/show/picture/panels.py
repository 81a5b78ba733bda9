"""Draws one grid on a page: its cells, its title, and the labels of its rows and columns."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from attn_cli.grid import Grid
from attn_cli.show.picture.canvas import Canvas
from attn_cli.show.picture.colours import ColourScale, readable_ink
from attn_cli.show.picture.layout.plan import Panel
from attn_cli.show.picture.layout.sheet import TICK
from attn_cli.show.picture.layout.sides import sink_name
from attn_cli.show.picture.marks import INCH, Blank, Box, Image, PageMark, Stroke, Word, frame

_FRAME = 0.25 / INCH  # half the width of a line, so that it covers no cell


def panel_marks(panel: Panel, scale: ColourScale, number: float, canvas: Canvas) -> Iterator[PageMark]:
    """The cells of one grid, with numbers of `number` points unless it is 0, and the labels of its sides."""
    yield from _cells(panel.grid, panel.box, scale, number, canvas)
    if panel.sink is not None:
        own = panel.grid.sink_limits
        of_sink = scale if own is None else replace(scale, limits=own)
        yield from _cells(panel.grid.sink_column, panel.sink, of_sink, number, canvas)
    if panel.labels_rows:
        yield from _row_labels(panel)
    if panel.labels_columns:
        yield from _column_labels(panel)


def _cells(grid: Grid, box: Box, scale: ColourScale, number: float, canvas: Canvas) -> Iterator[PageMark]:
    colours, blank = scale.colours(grid.values), ~shown(grid) | ~np.isfinite(grid.values)
    colours[blank] = (*bytes.fromhex(canvas.blank[1:]), 0xFF)
    yield Image(box, colours)
    high, wide = box.height / len(grid.rows), box.width / len(grid.columns)
    for first, last, start, end in _rectangles(blank):
        yield Blank(
            Box(box.x + start * wide, box.y + first * high, (end - start) * wide, (last - first) * high)
        )
    has_number = grid.visible & np.isfinite(grid.values)
    for row, column in np.argwhere(has_number) if number else ():
        text = scale.number(float(grid.values[row, column]))
        x, y = box.x + (column + 0.5) * wide, box.y + (row + 0.5) * high
        yield Word(text, x, y, number, colour=readable_ink(colours[row, column]))
    yield from frame(box.grown(_FRAME))


def shown(grid: Grid) -> npt.NDArray[np.bool_]:
    """(R, C) the cells with a colour: not those that are masked, now or by a later step."""
    return grid.unmasked if grid.unmasked.any() else grid.visible


def _rectangles(blank: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int, int, int]]:
    """The true cells: the first row and the one after the last, the same of columns, of each rectangle.

    Runs of cells that are alike in adjacent rows are one rectangle.
    """
    open_runs: dict[tuple[int, int], int] = {}
    for row, runs in enumerate([*_runs(blank), []]):
        for run in [run for run in open_runs if run not in runs]:
            yield open_runs.pop(run), row, *run
        for run in runs:
            open_runs.setdefault(run, row)


def _runs(blank: npt.NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """The first column and the column after the last of each run of true cells, row by row."""
    edges = np.diff(np.pad(blank, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    runs: list[list[tuple[int, int]]] = [[] for _ in blank]
    for row, start, end in zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True):
        runs[row].append((start, end))
    return runs


def _row_labels(panel: Panel) -> Iterator[PageMark]:
    box, side = panel.box, panel.down
    for tick in side.ticks:
        y = box.y + (tick.index + 0.5) * side.cell
        yield Stroke((box.x - TICK, y), (box.x, y))
        yield Word(tick.text, box.x - 2 * TICK, y, side.size, "right")


def _column_labels(panel: Panel) -> Iterator[PageMark]:
    for tick in panel.along.ticks:
        yield from _column_label(tick.text, panel.box.x + (tick.index + 0.5) * panel.along.cell, panel)
    if panel.sink is not None:
        yield from _column_label(sink_name(panel.grid), panel.sink.middle[0], panel)


def _column_label(text: str, x: float, panel: Panel) -> Iterator[PageMark]:
    bottom, side = panel.box.bottom, panel.along
    yield Stroke((x, bottom), (x, bottom + TICK))
    if side.outward:
        yield Word(text, x, bottom + 2 * TICK, side.size, "right", turned=True)
    else:
        yield Word(text, x, bottom + 2 * TICK, side.size, down="top")
