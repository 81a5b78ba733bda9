"""Draws one grid on a page: its cells, its title, and the labels of its rows and columns."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from attn_cli.grid import Grid
from attn_cli.show.picture.colours import ColourScale
from attn_cli.show.picture.fonts import Letters
from attn_cli.show.picture.layout import (
    NUMBER,
    TICK,
    Panel,
    PanelPlan,
    PanelSide,
    names_of_columns,
    sink_name,
)
from attn_cli.show.picture.marks import Blank, Box, Image, PageMark, Stroke, Word, frame

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of red, green and blue: Rec. 709


def panel_marks(panel: Panel, plan: PanelPlan, scale: ColourScale, letters: Letters) -> Iterator[PageMark]:
    """All elements of one grid except the colour bar."""
    yield from _cells(panel.grid, panel.box, scale, plan)
    if panel.sink is not None:
        own = panel.grid.sink_limits
        of_sink = scale if own is None else replace(scale, limits=own)
        yield from _cells(panel.grid.sink_column, panel.sink, of_sink, plan)
    if caption := letters.title(panel.grid.caption):
        room = plan.caption_room(panel)
        caption = letters.fitted(caption, plan.title, room)
        yield Word(caption, panel.middle, panel.box.y - plan.head / 2, plan.title)
    if panel.names_rows:
        yield from _row_labels(panel, plan, letters)
    if panel.names_columns:
        yield from _column_labels(panel, plan, letters)


def _cells(grid: Grid, box: Box, scale: ColourScale, plan: PanelPlan) -> Iterator[PageMark]:
    colours, blank = scale.colours(grid.values), ~shown(grid) | ~np.isfinite(grid.values)
    colours[blank] = (*bytes.fromhex(plan.canvas.blank[1:]), 0xFF)
    yield Image(box, colours)
    high, wide = box.height / len(grid.rows), box.width / len(grid.columns)
    for row, start, end in _runs(blank):
        yield Blank(Box(box.x + start * wide, box.y + row * high, (end - start) * wide, high))
    has_number = grid.visible & np.isfinite(grid.values)
    for row, column in np.argwhere(has_number) if plan.numbered else ():
        text = scale.number(float(grid.values[row, column]))
        x, y = box.x + (column + 0.5) * wide, box.y + (row + 0.5) * high
        yield Word(text, x, y, plan.canvas.size * NUMBER, colour=_ink(colours[row, column]))
    yield from frame(box)


def shown(grid: Grid) -> npt.NDArray[np.bool_]:
    """(R, C) the cells with a colour: not those that are masked, now or by a later step."""
    return grid.unmasked if grid.unmasked.any() else grid.visible


def _runs(blank: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """The row, the first column and the column after the last, of each run of true cells."""
    edges = np.diff(np.pad(blank, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    yield from zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True)


def _ink(colour: npt.NDArray[np.uint8]) -> str:
    """Black on light colours, white on dark ones."""
    return "black" if colour[:3] @ _LUMINANCE > 127 else "white"  # noqa: PLR2004  half of 255


def _row_labels(panel: Panel, plan: PanelPlan, letters: Letters) -> Iterator[PageMark]:
    grid, box, side = panel.grid, panel.box, plan.down
    edge = box.x - 2 * TICK
    for i in range(0, len(grid.rows), side.every):
        y = box.y + (i + 0.5) * side.cell
        yield Stroke((box.x - TICK, y), (box.x, y))
        yield Word(side.label(grid.rows[i], letters), edge, y, side.size, "right")
    if grid.row_axis:
        x = edge - side.reach(grid.rows, letters) - side.name_room(grid.row_axis) / 2
        yield Word(grid.row_axis, x, box.middle[1], side.size + 1, turned=True)


def _column_labels(panel: Panel, plan: PanelPlan, letters: Letters) -> Iterator[PageMark]:
    grid, box, side = panel.grid, panel.box, plan.along
    edge = box.bottom + 2 * TICK
    for j in range(0, len(grid.columns), side.every):
        yield from _column_label(grid.columns[j], box.x + (j + 0.5) * side.cell, panel, side, letters)
    if panel.sink is not None:
        yield from _column_label(sink_name(grid), panel.sink.middle[0], panel, side, letters)
    if grid.column_axis:
        y = edge + side.reach(names_of_columns(grid), letters) + side.name_room(grid.column_axis) / 2
        yield Word(grid.column_axis, box.middle[0], y, side.size + 1)


def _column_label(name: str, x: float, panel: Panel, side: PanelSide, letters: Letters) -> Iterator[PageMark]:
    bottom, text = panel.box.bottom, side.label(name, letters)
    yield Stroke((x, bottom), (x, bottom + TICK))
    if side.outward:
        yield Word(text, x, bottom + 2 * TICK, side.size, "right", turned=True)
    else:
        yield Word(text, x, bottom + 2 * TICK, side.size, down="top")
