"""The plan of a picture of layers by heads: small panels, with layers and heads labelled at the margins."""

from collections.abc import Iterator, Sequence
from itertools import chain

from attn_cli.grid import Grid
from attn_cli.record import record
from attn_cli.show.picture.canvas import too_narrow
from attn_cli.show.picture.layout.cells import Cell, Table, are_square, largest_cell, number_size
from attn_cli.show.picture.layout.coarse import coarser
from attn_cli.show.picture.layout.plan import Panel, Plan, bar_beside, sink_beside
from attn_cli.show.picture.layout.sheet import APART, GAP, NARROW, TICK, Length, Sheet, line
from attn_cli.show.picture.layout.sides import (
    axis_room,
    likely_room,
    names_of_columns,
    names_of_rows,
    side_of_columns,
    side_of_rows,
)
from attn_cli.show.picture.marks import Box, Word

_BETWEEN = 0.04  # inches between panels
_LEAST_PANEL = 0.4  # inches: many layers may make a picture taller than a page
_NARROWEST = 0.05  # inches: a panel of a picture that is too narrow
_REMARK_LINES = 3
_CAPTION = 5 / 8  # the size of what is above a panel, in that of labels


@record(frozen=True, slots=True)
class _Margins:
    """The room for labels."""

    left: Length
    top: Length
    foot: Length
    above: Length  # each panel, for what hidden keys took


@record(frozen=True, slots=True)
class _Labelled:
    """Which sides of panels at the edges have the labels of tokens."""

    rows: bool = True
    columns: bool = True


def plan_heads(table: Table, sheet: Sheet) -> Plan:
    """Place the panels of a table of layers by heads, whose tokens are labelled at the edges if legible.

    Raises:
        UsageError: the sheet is too narrow.
    """
    margins = _margins(table, sheet, _Labelled())
    cell = _cell(table, sheet, margins)
    labelled = _Labelled(cell.high >= line(sheet.smallest), cell.wide >= line(sheet.smallest))
    margins = _margins(table, sheet, labelled)
    cell = _cell(table, sheet, margins)
    if cell.wide * len(table[0][0].grid.columns) < _NARROWEST:
        raise too_narrow(sheet.canvas, _NARROWEST * len(table[0]), "the panels")
    rows = _rows(table, cell, margins, sheet, labelled)
    panels = tuple(chain.from_iterable(rows))
    words = (*_layers(rows, sheet), *_heads(rows, sheet), *_hidden(panels, sheet))
    axes = _axes(rows, sheet, labelled)
    bottom = panels[-1].box.bottom + margins.foot
    remark = _remark(panels, bottom, sheet, labelled)
    number = number_size(table, [[cell] * len(row) for row in table], sheet)
    right = max(panel.right for panel in panels)
    height = max([bottom, *(word.y + line(word.size) / 2 for word in remark)])
    return Plan(panels, (*words, *axes, *remark), (bar_beside(panels, sheet),), right, height, number)


def _margins(table: Table, sheet: Sheet, labelled: _Labelled) -> _Margins:
    """The room beside the panels, with the labels of tokens."""
    grid, size = table[0][0].grid, sheet.size
    numbers = max(sheet.letters.inches(_layer(row[0].grid), size) for row in table)
    left = GAP + axis_room("layer", size) + numbers + 2 * TICK
    top = axis_room("head", size) + line(size) + TICK
    above = _BETWEEN + (line(size * _CAPTION) if grid.hidden is not None else 0.0)
    if labelled.rows:
        left += GAP / 2 + likely_room(names_of_rows(grid), grid.row_axis, sheet)
    foot = likely_room(names_of_columns(grid), grid.column_axis, sheet) if labelled.columns else TICK
    return _Margins(left, top, foot, above)


def _cell(table: Table, sheet: Sheet, margins: _Margins) -> Cell:
    """The size of cells: as large as the width allows, and the height unless panels would be too small."""
    grid, layers, heads = table[0][0].grid, len(table), len(table[0])
    rows, columns = grid.values.shape
    have_sinks = any(slot.grid.sink is not None for row in table for slot in row)
    of_sink = APART + NARROW if have_sinks else 0.0
    wide = (sheet.width - margins.left - _BETWEEN * (heads - 1)) / heads - of_sink
    high = max(_LEAST_PANEL, (sheet.height - margins.top - margins.foot) / layers - margins.above)
    if are_square(grid):
        side = min(wide / columns, high / rows, largest_cell(grid, max(rows, columns), sheet))
        return Cell(side, side)
    high = min(high, wide, largest_cell(grid, rows, sheet) * rows)
    return Cell(high / rows, min(wide / columns, largest_cell(grid, columns, sheet)))


def _rows(
    table: Table, cell: Cell, margins: _Margins, sheet: Sheet, labelled: _Labelled
) -> list[list[Panel]]:
    """The panels, those at the left and at the bottom with the labels of tokens."""
    rows, y = list[list[Panel]](), margins.top
    for i, row in enumerate(table):
        y += margins.above
        panels, x = list[Panel](), margins.left
        for j, slot in enumerate(row):
            at_edges = _Labelled(labelled.rows and j == 0, labelled.columns and i == len(table) - 1)
            panels.append(_panel(slot.grid, x, y, cell, sheet, at_edges))
            x = panels[-1].right + _BETWEEN
        rows.append(panels)
        y += panels[0].box.height
    return rows


def _panel(grid: Grid, x: Length, y: Length, cell: Cell, sheet: Sheet, labelled: _Labelled) -> Panel:
    box = Box(x, y, cell.wide * len(grid.columns), cell.high * len(grid.rows))
    coarse = coarser(grid, box.height * sheet.resolution, box.width * sheet.resolution)
    down = side_of_rows(coarse, box.height / len(coarse.rows), sheet)
    along = side_of_columns(coarse, box.width / len(coarse.columns), sheet)
    sink = None if grid.sink is None else sink_beside(box, min(along.cell, NARROW))
    return Panel(coarse, box, sink, down, along, labelled.rows, labelled.columns)


def _layers(rows: Sequence[Sequence[Panel]], sheet: Sheet) -> Iterator[Word]:
    """The numbers of the layers at the left, and what they are."""
    size, of_axis = sheet.size, axis_room("layer", sheet.size)
    numbers = max(sheet.letters.inches(_layer(row[0].grid), size) for row in rows)
    for row in rows:
        yield Word(_layer(row[0].grid), GAP + of_axis + numbers, row[0].box.middle[1], size, "right")
    middle = (rows[0][0].box.y + rows[-1][0].box.bottom) / 2
    yield Word("layer", GAP + of_axis / 2, middle, size + 1, turned=True)


def _heads(rows: Sequence[Sequence[Panel]], sheet: Sheet) -> Iterator[Word]:
    """The numbers of the heads above the first row, and what they are."""
    size, y = sheet.size, axis_room("head", sheet.size)
    for panel in rows[0]:
        yield Word(panel.grid.head.partition(".")[2], panel.box.middle[0], y + line(size) / 2, size)
    middle = (rows[0][0].box.x + rows[0][-1].right) / 2
    yield Word("head", middle, y / 2, size + 1)


def _layer(grid: Grid) -> str:
    return grid.head.partition(".")[0]


def _hidden(panels: Sequence[Panel], sheet: Sheet) -> Iterator[Word]:
    """What hidden keys took, above each panel."""
    size = sheet.size * _CAPTION
    for panel in panels:
        if panel.grid.hidden is not None:
            y = panel.box.y - line(size) / 2
            yield Word(panel.grid.hidden.average, panel.box.middle[0], y, size)


def _axes(rows: Sequence[Sequence[Panel]], sheet: Sheet, labelled: _Labelled) -> Iterator[Word]:
    """The names of the axes of the panels, once for all of them."""
    first, last = rows[0][0], rows[-1][0]
    size = first.down.size + 1
    x = first.box.x - 2 * TICK - first.down.reach(sheet.letters) - axis_room("query", size - 1) / 2
    if labelled.rows and (name := first.grid.row_axis):
        yield Word(name, x, (first.box.y + last.box.bottom) / 2, size, turned=True)
    y = last.box.bottom + 2 * TICK + last.along.reach(sheet.letters) + axis_room("key", size - 1) / 2
    if labelled.columns and (name := first.grid.column_axis):
        yield Word(name, (first.box.x + rows[-1][-1].right) / 2, y, size)


def _remark(panels: Sequence[Panel], top: Length, sheet: Sheet, labelled: _Labelled) -> list[Word]:
    """What nothing else says of the panels: their axes if they have no labels, and what is beside them."""
    grid, size = panels[0].grid, sheet.size * _CAPTION
    parts = (
        [] if labelled.rows and labelled.columns else [f"each panel: {grid.row_axis} × {grid.column_axis}"]
    )
    if any(panel.sink is not None for panel in panels):
        parts.append("column beside it: learned sink")
    if grid.hidden is not None:
        rest = ", rest renormalized" if grid.hidden.is_renormalized else ""
        parts.append(f"above it: weight of hidden keys{rest}")
    room = max(panel.right for panel in panels) - panels[0].box.x
    lines = sheet.letters.lines(" · ".join(parts), size, room, _REMARK_LINES) if parts else []
    x, first = panels[0].box.x, top + line(size)
    return [Word(text, x, first + number * line(size), size, "left") for number, text in enumerate(lines)]
