"""Draws grids as panels labelled with tokens, with a colour scale per group, and renders image files."""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from itertools import chain
from math import ceil, sqrt
from typing import Any

from attn_cli.errors import UsageError
from attn_cli.grid import Grid
from attn_cli.safe_text import printable
from attn_cli.show.picture.canvas import USUAL, Canvas, TooNarrowError, wider
from attn_cli.show.picture.colours import colour_map
from attn_cli.show.picture.font_file import is_truetype, known_font, refusing_damage
from attn_cli.show.picture.fonts import Letters, letters_for
from attn_cli.show.picture.heading import Heading, heading_height, heading_marks
from attn_cli.show.picture.layout.sheet import GAP
from attn_cli.show.picture.marks import INCH, Drawing, PageMark, Stroke, Word, moved
from attn_cli.show.picture.painting import figure_of
from attn_cli.show.picture.section import (
    RESOLUTION,
    PanelRows,
    PlannedSection,
    Section,
    plan_sections,
    sections_of,
)

_ALWAYS = "0123456789.−≤·…"  # characters of numbers and of what is cut
_TENTHS = 200  # of an inch: how much wider than a canvas that is too narrow others are tried
_LEAST_WIDTH = 24  # of a page whose width is not given, in sizes of type: room for the heading
_PIXELS = 200_000_000  # 0.8 GB of memory while drawing
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text, searchable and editable; anchors hold it in place in any font
    "font.sans-serif": ["DejaVu Sans"],  # matplotlib's list of families is long, and written with every word
    "svg.hashsalt": "attn",  # without it the ids in an .svg are random
    "pdf.fonttype": 42,  # TrueType fonts instead of outlines: text stays text here too
    "hatch.linewidth": 0.4,
    "text.hinting": "none",  # hinting takes a third of the time of a thousand labels
    "savefig.bbox": None,
    "savefig.transparent": False,
    "text.usetex": False,
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
}
_FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"pil_kwargs": {"compress_level": 1}},  # 25 % larger than level 6, in two thirds of the time
    ".svg": {"metadata": {"Date": None}},
    ".pdf": {"metadata": {"CreationDate": None}},
}


def page(
    groups: Sequence[PanelRows], heading: Heading, canvas: Canvas = USUAL, resolution: float = RESOLUTION
) -> Drawing:
    """Lay out groups of grids, each with its own colour scale, on a page.

    Groups of one grid stand beside each other; others below one another. Tokens already labelled by a
    neighbour are not labelled again. The title of a panel is what it does not share with all others. Cells
    finer than `resolution` dots per inch are merged.

    Raises:
        UsageError: the colour map does not exist, or the canvas is too narrow.
    """
    tables = _named_apart([rows for table in groups if (rows := [row for row in table if row])])
    letters = _letters(tables, heading, canvas)
    planned = _planned(list(sections_of(tables)), letters, canvas, resolution)
    wide = max(section.width for section in planned)
    width = canvas.width or max(wide, _LEAST_WIDTH * canvas.size / INCH)
    lines = heading.lines(letters, canvas.size, width)
    height, marks = heading_height(lines), list[PageMark](heading_marks(lines, width))
    for section in planned:
        group = [moved(mark, (width - wide) / 2, height) for mark in section.marks(canvas)]
        height = max(height + section.plan.height, *map(_bottom, group)) + GAP
        marks += group
    found = letters.families, letters.missing
    return Drawing(width, height, tuple(marks), *found, canvas, letters.lacking)


def _planned(
    sections: Sequence[Section], letters: Letters, canvas: Canvas, resolution: float
) -> list[PlannedSection]:
    """The sections with the places of their panels.

    Raises:
        TooNarrowError: one has no room; the hint is a width at which all have, if there is one.
    """

    def at(of_width: Canvas) -> list[PlannedSection]:
        return plan_sections(sections, letters, of_width, resolution)

    def have_room(width: float) -> bool:
        try:
            return bool(at(replace(canvas, width=width)))
        except TooNarrowError:
            return False

    try:
        return at(canvas)
    except TooNarrowError as error:
        tenths = ceil(10 * (canvas.width or 0.0))
        widths = (tenth / 10 for tenth in range(tenths + 1, tenths + _TENTHS))
        enough = next(filter(have_room, widths), None)
        raise error if enough is None else TooNarrowError(error.problem, wider(canvas, enough)) from error


def check_canvas(canvas: Canvas) -> None:
    """Raise `UsageError` if there is no such colour map or no such font, before anything else is done."""
    if canvas.cmap is not None:
        colour_map(canvas.cmap)
    if canvas.font is not None:
        known_font(canvas.font)


def render(drawing: Drawing, suffix: str, dpi: int = 150) -> bytes:
    """Render the image file; equal drawings give equal bytes. `dpi` applies only to .png.

    Raises `UsageError` for an unknown suffix or a size out of range.
    """
    import matplotlib as mpl  # with matplotlib.figure, as in the other late imports: 0.35 to 0.6 s

    _refuse(drawing, suffix, dpi)
    out = BytesIO()
    settings = _SETTINGS | _fonts_of(drawing, suffix)
    with mpl.rc_context(settings), refusing_damage(drawing.canvas.font):
        figure_of(drawing).savefig(out, format=suffix[1:], dpi=dpi, **_FORMATS[suffix])
    return out.getvalue()


def _fonts_of(drawing: Drawing, suffix: str) -> dict[Any, Any]:
    """How a .pdf embeds fonts: matplotlib embeds CFF outlines as TrueType, which no reader understands."""
    if suffix != ".pdf" or all(map(is_truetype, drawing.families)):
        return {}
    return {"pdf.fonttype": 3}


def _named_apart(tables: Sequence[PanelRows]) -> list[PanelRows]:
    """The grids, each with a title that says only what it does not share with all others: step or head."""
    grids = list(chain.from_iterable(chain.from_iterable(tables)))
    assert grids, "a picture needs at least one grid"
    of_heads = {grid.head for grid in grids}
    of_steps = {grid.step for grid in grids if grid.step}

    def named(grid: Grid) -> Grid:
        if not grid.step:
            return grid
        parts = [grid.head if len(of_heads) > 1 else "", grid.step if len(of_steps) > 1 else ""]
        return replace(grid, title=" · ".join(filter(None, parts)))

    return [[list(map(named, row)) for row in table] for table in tables]


def _letters(tables: Sequence[PanelRows], heading: Heading, canvas: Canvas) -> Letters:
    """The fonts for all text on the page; most grids have the same tokens."""
    grids = list(chain.from_iterable(chain.from_iterable(tables)))
    tokens = {token for grid in grids for token in (*grid.rows, *grid.columns)}
    both = (landmarks for grid in grids for landmarks in (grid.row_landmarks, grid.column_landmarks))
    tokens |= {word for landmarks in both if landmarks is not None for word in landmarks.words}
    named = {name for grid in grids for name in (grid.caption, grid.cell_is, *grid.axes)}
    return letters_for(tokens, {*heading.texts, *named, _ALWAYS}, canvas.font)


def _bottom(mark: PageMark) -> float:
    match mark:
        case Word():
            return mark.y + mark.size / INCH
        case Stroke():
            return mark.end[1]
        case _:
            return mark.box.bottom


def _refuse(drawing: Drawing, suffix: str, dpi: int) -> None:
    """Raise `UsageError` for an unknown suffix, or for a picture that is too large."""
    if suffix not in _FORMATS:
        raise UsageError(f"unknown picture format '{printable(suffix)}'", f"one of {', '.join(_FORMATS)}")
    width, height = int(drawing.width * dpi), int(drawing.height * dpi)
    most = int(sqrt(_PIXELS / (drawing.width * drawing.height)))
    if dpi < 1 or (suffix == ".png" and dpi > most):
        size = f"{width} × {height} pixels" if dpi > 0 else "no pixels"
        raise UsageError(f"--dpi {dpi} is out of range: it gives {size}", f"--dpi {min(most, 300)}, or .svg")
