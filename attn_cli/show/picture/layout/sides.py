"""The two sides of a panel: the size of a cell along each, and its labels."""

from collections.abc import Sequence

from attn_cli.grid import SINK, Grid, Landmarks
from attn_cli.record import record
from attn_cli.safe_text import label
from attn_cli.show.picture.colours import with_minus_sign
from attn_cli.show.picture.fonts import Letters
from attn_cli.show.picture.layout.sheet import TICK, Length, Sheet, line
from attn_cli.show.picture.layout.ticks import (
    Tick,
    every_tick,
    landmark_ticks,
    number_ticks,
    stepped_ticks,
)

_CLEAR = 0.03  # inches between labels beside each other
_MANY = 120  # labels: of more, not all are shown


@record(frozen=True, slots=True)
class PanelSide:
    """One side of a panel."""

    cell: Length
    size: float  # of labels, in points
    ticks: tuple[Tick, ...]
    outward: bool = True  # labels are perpendicular to the side; those of columns may be horizontal instead

    def reach(self, letters: Letters) -> Length:
        """The room for the longest label."""
        if not self.outward:
            return line(self.size)
        return max((letters.inches(tick.text, self.size) for tick in self.ticks), default=0.0)

    def room(self, axis: str, letters: Letters) -> Length:
        """From the panel to the far edge of its labels and the name of the axis."""
        return self.reach(letters) + axis_room(axis, self.size) + 2 * TICK


def axis_room(axis: str, size: float) -> Length:
    """The room for the name of an axis, which may have none."""
    return line(size + 1) + TICK if axis else 0.0


def side_of_rows(grid: Grid, cell: Length, sheet: Sheet) -> PanelSide:
    """The labels at the left of a panel."""
    return _outward(names_of_rows(grid), grid.row_landmarks, cell, sheet)


def side_of_columns(grid: Grid, cell: Length, sheet: Sheet) -> PanelSide:
    """The labels below a panel; they are horizontal if the longest fits, and if they are numbers."""
    if not grid.are_tokens and all(name.isdecimal() for name in grid.columns):
        ticks = number_ticks(grid.columns, cell, sheet.letters, sheet.size)
        return PanelSide(cell, sheet.size, tuple(ticks), outward=False)
    side = _outward(names_of_columns(grid), grid.column_landmarks, cell, sheet)
    longest = side.reach(sheet.letters)
    if grid.sink is not None:
        longest = max(longest, sheet.letters.inches(sink_name(grid), side.size))
    is_horizontal = len(side.ticks) == len(grid.columns) and longest < cell - _CLEAR
    return PanelSide(side.cell, side.size, side.ticks, outward=not is_horizontal)


def names_of_rows(grid: Grid) -> Sequence[str]:
    """The labels at the left of a panel, if there is room for all."""
    return _names(grid, grid.rows, grid.row_places)


def names_of_columns(grid: Grid) -> Sequence[str]:
    """The labels below a panel, if there is room for all."""
    return _names(grid, grid.columns, grid.column_places)


def sink_name(grid: Grid) -> str:
    """The label of the sink's column, with the range of its colours if that is its own."""
    if grid.sink_limits is None:
        return SINK
    low, high = grid.sink_limits
    return f"{SINK}, {with_minus_sign(f'{low:g}')} to {high:g}"


def likely_room(names: Sequence[str], axis: str, sheet: Sheet) -> Length:
    """About as much room as labels need, before their size is known."""
    letters, longest = sheet.letters, sheet.longest
    if len(names) <= _MANY:
        widths = (letters.inches(letters.label(name), sheet.size) for name in dict.fromkeys(names))
        longest = min(longest, max(widths))
    return longest + axis_room(axis, sheet.size) + 2 * TICK


def _names(grid: Grid, names: Sequence[str], places: Sequence[int] | None) -> Sequence[str]:
    """The tokens, with their positions if they are a part of the text; hidden keys are none."""
    is_whole = places is None or grid.hidden is not None or tuple(places) == tuple(range(len(places)))
    if places is None or is_whole or grid.is_pooled or grid.merged != (1, 1):
        return names
    return [f"{place} {label(name)}" for place, name in zip(places, names, strict=True)]


def _outward(names: Sequence[str], landmarks: Landmarks | None, cell: Length, sheet: Sheet) -> PanelSide:
    """A label for each name if they are legible, else words at readable places, or every tenth and so on."""
    fits, letters = cell / line(1), sheet.letters
    if fits >= sheet.smallest or len(names) == 1:
        size = max(sheet.smallest, min(sheet.size, fits))
        return PanelSide(cell, size, tuple(every_tick(names, letters, size, sheet.longest)))
    if landmarks is None:
        stepped = stepped_ticks(names, cell, letters, sheet.size, sheet.longest)
        return PanelSide(cell, sheet.size, tuple(stepped))
    ticks = landmark_ticks(landmarks, cell, letters, sheet.size, sheet.longest)
    return PanelSide(cell, sheet.size, tuple(ticks))
