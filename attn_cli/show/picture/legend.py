"""The legend of a group of panels: a colour bar beside them that says what a colour is, and a grey swatch."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from attn_cli.grid import Grid, Matrix
from attn_cli.record import record
from attn_cli.show.picture.colours import ColourScale, with_minus_sign
from attn_cli.show.picture.fonts import Letters
from attn_cli.show.picture.layout.sheet import GAP, TICK, line
from attn_cli.show.picture.marks import INCH, Blank, Box, Image, PageMark, Stroke, Word, frame
from attn_cli.show.picture.panels import shown
from attn_cli.vocabulary import Step

_ROUNDING = 1e-6  # of the range: a softmax in float32 may give a weight just above 1
_BAR = 1.5  # the width of a bar, in sizes of type
_MOST_LINES = 4  # of what the bar says


@record(frozen=True, slots=True)
class Legend:
    """What stands beside a group of panels, and how much room it takes."""

    scale: ColourScale
    ticks: Mapping[float, str]  # the label of each
    meaning: str  # of a colour
    blank: str  # the name of cells without a colour; empty: there are none
    letters: Letters

    def room(self, size: float, lines: int) -> float:
        """Inches to the right of the panels, with `lines` lines beside the bar, to the edge of the page."""
        unit = size / INCH
        beside = self._ticks_room(size) + lines * line(size)
        names = [self.letters.inches(word, size) for word in self.blank.split("\n")]
        return unit / 2 + _BAR * unit + max(beside, 2 * TICK + max(names)) + GAP

    def foot(self, size: float) -> float:
        """Inches below the bar, for the swatch and its name."""
        return size / INCH + self.blank.count("\n") * line(size) + line(size) if self.blank else 0.0

    def lines(self, size: float, height: float) -> list[str]:
        """What is beside a bar of this height, in inches."""
        return self.letters.lines(self.meaning, size, height, _MOST_LINES)

    def _ticks_room(self, size: float) -> float:
        return 3 * TICK + max(self.letters.inches(name, size) for name in self.ticks.values())

    def marks(self, place: Box, size: float) -> Iterator[PageMark]:
        """The bar, which begins at the right of the place and has its height; below it, the swatch."""
        unit = size / INCH
        box = Box(place.x + unit / 2, place.y, _BAR * unit, place.height)
        yield from self._bar(box, size)
        if self.blank:
            swatch = Box(box.x, box.bottom + unit, box.width, unit)
            yield Blank(swatch)
            yield from frame(swatch)
            y = swatch.middle[1]
            for name in self.blank.split("\n"):
                yield Word(name, swatch.right + 2 * TICK, y, size, "left")
                y += line(size)

    def _bar(self, box: Box, size: float) -> Iterator[PageMark]:
        yield Image(box, self.scale.colours(self.scale.column(256)))
        yield from frame(box)
        for tick, name in self.ticks.items():
            y = box.bottom - self.scale.place(tick) * box.height
            yield Stroke((box.right, y), (box.right + TICK, y))
            yield Word(name, box.right + 2 * TICK, y, size, "left")
        x = box.right + self._ticks_room(size) + line(size) / 2
        for text in self.lines(size, box.height):
            yield Word(text, x, box.middle[1], size, turned=True)
            x += line(size)


def legend_of(grids: Sequence[Grid], scale: ColourScale, letters: Letters) -> Legend:
    """The legend of the grids, which share the scale."""
    signs = beyond(grids, scale)
    ticks = scale.ticks(*signs)
    names = {tick: signs.get(tick, "") + name for tick, name in zip(ticks, _names(ticks), strict=True)}
    meaning = letters.title(", ".join(_meaning(grids, scale)))
    return Legend(scale, names, meaning, _blank_name(grids), letters)


def _names(ticks: Sequence[float]) -> list[str]:
    """The ticks in words, with as many digits as tell them apart."""
    named = ([f"{tick:.{digits}g}" for tick in ticks] for digits in range(4, 18))
    return list(map(with_minus_sign, next(names for names in named if len(set(names)) == len(ticks))))


def beyond(grids: Sequence[Grid], scale: ColourScale) -> dict[float, str]:
    """The limits beyond which there are values, in the colour of the limit: each with its label's sign."""
    low, high = scale.limits
    slack = (high - low) * _ROUNDING
    seen = [_coloured(grid) for grid in grids]
    is_below = any((values < low - slack).any() for values in seen)
    is_above = any((values > high + slack).any() for values in seen)
    return ({low: "≤ "} if is_below else {}) | ({high: "≥ "} if is_above else {})


def _coloured(grid: Grid) -> Matrix:
    """(N,) the values that have a colour of the scale, the sink's included if it is on the same."""
    values = grid.values[shown(grid)]
    if grid.sink is not None and grid.sink_limits is None:
        values = np.append(values, grid.sink)
    return values[np.isfinite(values)]


def _meaning(grids: Sequence[Grid], scale: ColourScale) -> Iterator[str]:
    """What a colour stands for: a weight, or one of how many, and on which scale."""
    yield from filter(None, dict.fromkeys(grid.cell_is for grid in grids))
    if scale.is_log:
        yield "log scale"
    elif any(grid.step == Step.WEIGHTS for grid in grids):
        yield "linear scale"


def _blank_name(grids: Sequence[Grid]) -> str:
    """The name of the cells without a colour, on one or two lines; empty if there are none."""
    if any((shown(grid) & ~np.isfinite(grid.values)).any() for grid in grids):
        return "masked or\nnot finite"
    if all(shown(grid).all() for grid in grids):
        return ""
    return "masked" if any(grid.are_tokens for grid in grids) else "no value"
