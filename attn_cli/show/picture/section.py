"""The groups of panels of a page, each planned with the legend of its colours."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, groupby
from math import inf
from typing import TypeAlias

from attn_cli.grid import Grid
from attn_cli.record import record
from attn_cli.show.picture.canvas import LABELS, Canvas
from attn_cli.show.picture.colours import ColourScale, colour_scale
from attn_cli.show.picture.fonts import Letters
from attn_cli.show.picture.layout.cells import wrapped
from attn_cli.show.picture.layout.head_grid import plan_heads
from attn_cli.show.picture.layout.plan import Plan, plan_table
from attn_cli.show.picture.layout.sheet import GAP, PAGE, TALL, Length, Sheet, Slot
from attn_cli.show.picture.legend import Legend, legend_of
from attn_cli.show.picture.marks import PageMark
from attn_cli.show.picture.panels import panel_marks

PanelRows: TypeAlias = Sequence[Sequence[Grid]]

RESOLUTION = 150.0
"""Dots per inch of a picture, unless others are asked for."""

_HEADING = 0.6  # inches: about the height of a heading
_ROUNDING = 1e-6  # inches
_LEAST_SHARE = 0.22  # of the page: with many steps a picture is taller, for smaller panels show too little
_ATTEMPTS = 4  # at the number of lines beside bars, which depends on the height of these and they on it


@record(frozen=True, slots=True)
class Section:
    """Grids that stand together: of one scale, or each with a scale of its own."""

    rows: PanelRows
    share_scale: bool

    @property
    def is_head_grid(self) -> bool:
        """Whether the panels stand as layers by heads."""
        return len(self.rows) > 1

    @property
    def scaled(self) -> list[list[Grid]]:
        """The grids of each scale."""
        grids = list(chain.from_iterable(self.rows))
        return [grids] if self.share_scale else [[grid] for grid in grids]


@record(frozen=True, slots=True)
class PlannedSection:
    """A section with the places of its panels and its legends: one for all panels, or one for each."""

    plan: Plan
    legends: tuple[Legend, ...]
    width: Length  # with the bars

    @property
    def height(self) -> Length:
        """Of the panels, with the room below them."""
        return self.plan.height + GAP

    def lines(self, size: float) -> list[int]:
        """The number of lines beside each bar, for labels of `size` points."""
        both = zip(self.legends, self.plan.bars, strict=True)
        return [len(legend.lines(size, bar.height)) for legend, bar in both]

    def fits(self, lines: Sequence[int], size: float) -> bool:
        """Whether so many lines beside each bar are enough."""
        return all(count <= most for count, most in zip(self.lines(size), lines, strict=True))

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


def plan_sections(
    sections: Sequence[Section], letters: Letters, canvas: Canvas, resolution: float
) -> list[PlannedSection]:
    """Place the panels of all sections: on one page, if panels that are seen well have room there.

    A layer × head grid keeps its height, which its width limits; the others share what is left of the page.

    Raises:
        UsageError: the colour map does not exist, or the canvas is too narrow.
    """
    page = _page_height(canvas)
    planned = [_plan_section(section, letters, canvas, resolution, page) for section in sections]
    shared = [own for section, own in zip(sections, planned, strict=True) if not section.is_head_grid]
    of_grids = sum(own.height for own in planned) - sum(own.height for own in shared)
    share = _share([own.height for own in shared], page - of_grids)
    return [
        own
        if section.is_head_grid or own.height <= share
        else _plan_section(section, letters, canvas, resolution, share - GAP)
        for section, own in zip(sections, planned, strict=True)
    ]


def _page_height(canvas: Canvas) -> Length:
    """The height of a page below its heading: a column of a page is as high as the page."""
    usual = PAGE * max(1.0, canvas.size / LABELS)
    return max(canvas.width or usual, usual) * TALL - _HEADING


def _share(heights: Sequence[Length], page: Length) -> Length:
    """The height at which sections that would be higher end, so that all of them fill the page."""
    left = page
    for count, height in zip(range(len(heights), 0, -1), sorted(heights), strict=True):
        if height * count > left:
            return max(left / count, page * _LEAST_SHARE)
        left -= height
    return inf


def _plan_section(
    section: Section, letters: Letters, canvas: Canvas, resolution: float, height: Length
) -> PlannedSection:
    """Place the panels, with as much room beside them as their legends need."""
    scales = [colour_scale(group, canvas.cmap) for group in section.scaled]
    planner = _Planner(section, scales, letters, canvas, resolution, height)
    lines = planner.most_lines()
    planned = planner.planned(lines)
    for _ in range(_ATTEMPTS):  # the fewer lines beside the bars, the more room for panels
        needed = planned.lines(canvas.size)
        if needed == lines:
            break
        has_room = planned.fits(lines, canvas.size)
        lines = needed if has_room else list(map(max, needed, lines))
        other = planner.planned(lines)
        if has_room and not other.fits(lines, canvas.size):
            break
        planned = other
    return planned


class _Planner:
    """Plans a section for a number of lines beside each bar."""

    def __init__(
        self,
        section: Section,
        scales: Sequence[ColourScale],
        letters: Letters,
        canvas: Canvas,
        resolution: float,
        height: Length,
    ) -> None:
        self._section, self._scales, self._letters = section, scales, letters
        self._canvas, self._resolution, self._height = canvas, resolution, height
        self._legends = self._legends_of(section.scaled)

    def most_lines(self) -> list[int]:
        """The number of lines beside each bar, if it is as short as one may be."""
        shortest = self._sheet([0.0]).shortest_bar
        return [len(legend.lines(self._canvas.size, shortest)) for legend in self._legends]

    def planned(self, lines: Sequence[int]) -> PlannedSection:
        """The plan with room for so many lines beside each bar; legends are those of the grids as drawn."""
        both = zip(self._legends, lines, strict=True)
        rooms = [legend.room(self._canvas.size, count) for legend, count in both]
        plan = _plan_within(self._section, self._legends, rooms, self._sheet(rooms))
        drawn = [panel.grid for panel in plan.panels]
        self._legends = self._legends_of([drawn] if self._section.share_scale else [[grid] for grid in drawn])
        beside = rooms[0] if self._section.share_scale else 0.0
        return PlannedSection(plan, tuple(self._legends), plan.width + beside)

    def _legends_of(self, groups: Sequence[Sequence[Grid]]) -> list[Legend]:
        pairs = zip(groups, self._scales, strict=True)
        return [legend_of(group, scale, self._letters) for group, scale in pairs]

    def _sheet(self, rooms: Sequence[Length]) -> Sheet:
        """The room for panels, their labels and the bars of their own."""
        canvas = self._canvas
        usual = PAGE * max(1.0, canvas.size / LABELS)
        page = canvas.width or usual
        beside = rooms[0] if self._section.share_scale else 0.0
        is_exact = canvas.width is not None or canvas.size != LABELS
        of_page = replace(canvas, width=page)
        return Sheet(page - beside, self._height, of_page, is_exact, self._letters, self._resolution)


def _plan_within(section: Section, legends: Sequence[Legend], rooms: Sequence[Length], sheet: Sheet) -> Plan:
    """The plan, with smaller panels if labels turn out to need more room than was thought."""
    plan = _plan(section, legends, rooms, sheet)
    excess = plan.width - sheet.width
    if excess <= _ROUNDING:
        return plan
    return _plan(section, legends, rooms, replace(sheet, width=sheet.width - excess))


def _plan(section: Section, legends: Sequence[Legend], rooms: Sequence[Length], sheet: Sheet) -> Plan:
    if section.share_scale:
        (legend,) = legends
        table = [[_slot(grid, legend) for grid in row] for row in section.rows]
        if section.is_head_grid:
            return plan_heads(table, sheet)
        return plan_table(wrapped(table[0], sheet), sheet, have_bars=False)
    (row,) = section.rows
    slots = [_slot(*three, sheet.size) for three in zip(row, legends, rooms, strict=True)]
    return plan_table(wrapped(slots, sheet), sheet, have_bars=True)


def _slot(grid: Grid, legend: Legend, bar: Length = 0.0, size: float = 0.0) -> Slot:
    """The slot of a grid, and the room for its own bar with labels of `size` points, if it has one."""
    numbers = map(legend.scale.number, legend.scale.limits)
    return Slot(grid, max(numbers, key=len), bar, legend.foot(size))


def _is_single(table: PanelRows) -> bool:
    return sum(map(len, table)) == 1
