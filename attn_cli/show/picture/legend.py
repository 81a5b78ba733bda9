"""The legend of a group of panels: a colour bar beside them, a grey swatch and what the colours mean."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from attn_cli.grid import Grid, Matrix
from attn_cli.show.picture.colours import ColourScale, with_minus_sign
from attn_cli.show.picture.layout import GAP, TICK, PanelPlan
from attn_cli.show.picture.marks import INCH, Blank, Box, Image, PageMark, Stroke, Word, frame
from attn_cli.show.picture.panels import shown

_ROUNDING = 1e-6  # of the range: a softmax in float32 may give a weight just above 1


def legend_marks(
    grids: Sequence[Grid], scale: ColourScale, plan: PanelPlan, top: float
) -> Iterator[PageMark]:
    """The colour bar to the right of the panels, which start at `top`; below it, the swatch and the scale."""
    size = plan.readable(8)
    unit = size / INCH
    panels = plan.height - plan.head - plan.feet[-1] - GAP
    box = Box(plan.width + unit / 2, top, 1.5 * unit, max(10 * unit, min(panels, 40 * unit)))
    yield from _bar(box, scale, beyond(grids, scale), size)
    y = box.bottom + unit
    if name := _blank_name(grids):
        swatch = Box(box.x, y, box.width, unit)
        yield Blank(swatch)
        yield from frame(swatch)
        yield Word(name, swatch.right + 2 * TICK, swatch.middle[1], size, "left")
        y = swatch.bottom + unit
    for line, phrase in enumerate(_meaning(grids, scale)):
        yield Word(phrase, box.x, y + 1.5 * line * unit, size, "left", "top")


def _bar(box: Box, scale: ColourScale, beyond: Mapping[float, str], size: float) -> Iterator[PageMark]:
    yield Image(box, scale.colours(scale.column(256)))
    yield from frame(box)
    ticks = scale.ticks(*beyond)
    for tick, name in zip(ticks, _names(ticks), strict=True):
        y = box.bottom - scale.place(tick) * box.height
        yield Stroke((box.right, y), (box.right + TICK, y))
        yield Word(beyond.get(tick, "") + name, box.right + 2 * TICK, y, size, "left")


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
    """What a colour stands for: of how many weights, and on which scale."""
    pooled = {grid.pooled_as for grid in grids if grid.is_pooled}
    yield from sorted(pooled)
    yield "log scale" if scale.is_log else "linear scale"


def _blank_name(grids: Sequence[Grid]) -> str:
    """The name of the cells without a colour; empty if there are none."""
    if any((shown(grid) & ~np.isfinite(grid.values)).any() for grid in grids):
        return "masked or not finite"
    if all(shown(grid).all() for grid in grids):
        return ""
    return "masked" if any(grid.are_tokens for grid in grids) else "no value"
