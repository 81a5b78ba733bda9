"""The legend of a group of panels: a colour bar beside them, and a grey swatch below it."""

from collections.abc import Iterator, Sequence

import numpy as np

from attn_cli.grid import Grid
from attn_cli.show.picture.colours import ColourScale, with_minus_sign
from attn_cli.show.picture.layout import GAP, TICK, PanelPlan
from attn_cli.show.picture.marks import INCH, Blank, Box, Image, PageMark, Stroke, Word, frame


def legend_marks(
    grids: Sequence[Grid], scale: ColourScale, plan: PanelPlan, top: float
) -> Iterator[PageMark]:
    """The colour bar to the right of the panels, which start at `top`, and the swatch of blank cells."""
    size = plan.readable(8)
    unit = size / INCH
    panels = plan.height - plan.head - plan.feet[-1] - GAP
    box = Box(plan.width + unit / 2, top, 1.5 * unit, max(10 * unit, min(panels, 40 * unit)))
    yield from _bar(box, scale, size)
    if name := _blank_name(grids):
        swatch = Box(box.x, box.bottom + unit, box.width, unit)
        yield Blank(swatch)
        yield from frame(swatch)
        yield Word(name, swatch.right + 2 * TICK, swatch.middle[1], size, "left")


def _bar(box: Box, scale: ColourScale, size: float) -> Iterator[PageMark]:
    low, high = scale.limits
    yield Image(box, scale.colours(np.linspace(high, low, 256)[:, None]))
    yield from frame(box)
    for tick in scale.ticks():
        y = box.y + (high - tick) / (high - low) * box.height
        yield Stroke((box.right, y), (box.right + TICK, y))
        yield Word(with_minus_sign(f"{tick:.4g}"), box.right + 2 * TICK, y, size, "left")


def _blank_name(grids: Sequence[Grid]) -> str:
    """The name of the cells without a colour; empty if there are none."""
    if any((grid.visible & ~np.isfinite(grid.values)).any() for grid in grids):
        return "masked or not finite"
    if all(grid.visible.all() for grid in grids):
        return ""
    return "masked" if any(grid.are_tokens for grid in grids) else "no value"
