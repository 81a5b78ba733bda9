"""The groups of panels of a page, each planned with the legend of its colours."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, groupby
from typing import TypeAlias

from attn_cli.grid import Grid
from attn_cli.record import record
from attn_cli.show.picture.canvas import LABELS, Canvas
from attn_cli.show.picture.colours import colour_scale
from attn_cli.show.picture.fonts import Letters
from attn_cli.show.picture.layout.cells import wrapped
from attn_cli.show.picture.layout.head_grid import plan_heads
from attn_cli.show.picture.layout.plan import Plan, plan_table
from attn_cli.show.picture.layout.sheet import PAGE, TALL, Length, Sheet, Slot
from attn_cli.show.picture.legend import Legend, legend_of
from attn_cli.show.picture.marks import PageMark
from attn_cli.show.picture.panels import panel_marks

PanelRows: TypeAlias = Sequence[Sequence[Grid]]

RESOLUTION = 150.0
"""Dots per inch of a picture, unless others are asked for."""

_HEADING = 0.6  # inches: about the height of a heading
_ROUNDING = 1e-6  # inches
_ATTEMPTS = 4  # at the number of lines beside bars, which depends on the height of these and they on it


@record(frozen=True, slots=True)
class Section:
    """Grids that stand together: of one scale, or each with a scale of its own."""

    rows: PanelRows
    share_scale: bool


@record(frozen=True, slots=True)
class PlannedSection:
    """A section with the places of its panels and its legends: one for all panels, or one for each."""

    plan: Plan
    legends: tuple[Legend, ...]
    width: Length  # with the bars

    def marks(self, canvas: Canvas) -> Iterator[PageMark]:
        """All elements, from the top left corner of the section."""
        of_panels = self.legends if len(self.legends) > 1 else self.legends * len(self.plan.panels)
        for panel, legend in zip(self.plan.panels, of_panels, strict=True):
            yield from panel_marks(panel, legend.scale, self.plan.number, canvas)
        yield from self.plan.words
        for place, legend in zip(self.plan.bars, self.legends, strict=True):
            yield from legend.marks(place, canvas.size)


def sections_of(tables: Sequence[PanelRows]) -> Iterator[Section]:
    """Consecutive tables of a single grid are one section; any other table is one."""
    for is_single, group in groupby(tables, key=_is_single):
        if is_single:
            yield Section([[grid for table in group for row in table for grid in row]], share_scale=False)
        else:
            yield from (Section(table, share_scale=True) for table in group)


def plan_section(section: Section, letters: Letters, canvas: Canvas, resolution: float) -> PlannedSection:
    """Place the panels, with as much room beside them as their legends need.

    Raises:
        UsageError: the colour map does not exist, or the canvas is too narrow.
    """
    grids = list(chain.from_iterable(section.rows))
    groups = [grids] if section.share_scale else [[grid] for grid in grids]
    scales = [colour_scale(group, canvas.cmap) for group in groups]
    legends = [legend_of(group, scale, letters) for group, scale in zip(groups, scales, strict=True)]
    lines = [1] * len(legends)
    for _ in range(_ATTEMPTS):
        rooms = [legend.room(canvas.size, count) for legend, count in zip(legends, lines, strict=True)]
        plan = _fitting(section, legends, rooms, _sheet(letters, canvas, resolution, section, rooms))
        drawn = [panel.grid for panel in plan.panels]
        shown = [drawn] if section.share_scale else [[grid] for grid in drawn]
        legends = [legend_of(group, scale, letters) for group, scale in zip(shown, scales, strict=True)]
        both = zip(legends, plan.bars, strict=True)
        needed = [len(legend.lines(canvas.size, bar.height)) for legend, bar in both]
        if all(count <= most for count, most in zip(needed, lines, strict=True)):
            break
        lines = list(map(max, needed, lines))
    beside = rooms[0] if section.share_scale else 0.0
    return PlannedSection(plan, tuple(legends), plan.width + beside)


def _fitting(section: Section, legends: Sequence[Legend], rooms: Sequence[Length], sheet: Sheet) -> Plan:
    """The plan on the sheet, with smaller cells if labels turn out to need more room than was left for them.

    Raises:
        UsageError: the sheet is too narrow.
    """
    plan, narrower = _plan(section, legends, rooms, sheet), sheet
    while sheet.is_exact and plan.width > sheet.width + _ROUNDING:
        narrower = replace(narrower, width=narrower.width - (plan.width - sheet.width) - _ROUNDING)
        plan = _plan(section, legends, rooms, narrower)
    return plan


def _plan(section: Section, legends: Sequence[Legend], rooms: Sequence[Length], sheet: Sheet) -> Plan:
    if section.share_scale:
        (legend,) = legends
        table = [[_slot(grid, legend) for grid in row] for row in section.rows]
        if len(table) > 1:
            return plan_heads(table, sheet)
        return plan_table(wrapped(table[0], sheet), sheet, have_bars=False)
    (row,) = section.rows
    slots = [_slot(*three, sheet.size) for three in zip(row, legends, rooms, strict=True)]
    return plan_table(wrapped(slots, sheet), sheet, have_bars=True)


def _slot(grid: Grid, legend: Legend, bar: Length = 0.0, size: float = 0.0) -> Slot:
    """The slot of a grid, and the room for its own bar with labels of `size` points, if it has one."""
    numbers = map(legend.scale.number, legend.scale.limits)
    return Slot(grid, max(numbers, key=len), bar, legend.foot(size))


def _sheet(
    letters: Letters, canvas: Canvas, resolution: float, section: Section, rooms: Sequence[Length]
) -> Sheet:
    """The room for panels, their labels and the bars of their own."""
    usual = PAGE * max(1.0, canvas.size / LABELS)
    page = canvas.width or usual
    beside = rooms[0] if section.share_scale else 0.0
    height = max(page, usual) * TALL - _HEADING  # a column of a page is as high as the page
    is_exact = canvas.width is not None or canvas.size != LABELS
    return Sheet(page - beside, height, replace(canvas, width=page), is_exact, letters, resolution)


def _is_single(table: PanelRows) -> bool:
    return sum(map(len, table)) == 1
