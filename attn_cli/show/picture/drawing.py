"""Draws grids as panels labelled with tokens, with a colour scale per group, and renders image files."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import chain
from math import sqrt
from typing import Any

from attn_cli.errors import UsageError
from attn_cli.safe_text import printable
from attn_cli.show.picture.canvas import USUAL, Canvas
from attn_cli.show.picture.colours import colour_map, colour_scale
from attn_cli.show.picture.fonts import Letters, letters_for
from attn_cli.show.picture.layout import GAP, PanelPlan, PanelRows, plan_panels
from attn_cli.show.picture.legend import legend_marks
from attn_cli.show.picture.marks import INCH, Drawing, PageMark, Stroke, Word
from attn_cli.show.picture.painting import figure_of
from attn_cli.show.picture.panels import panel_marks

_PIXELS = 200_000_000  # 0.8 GB of memory while drawing
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text, searchable and editable; anchors hold it in place in any font
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


def page(groups: Sequence[PanelRows], title: str, canvas: Canvas = USUAL) -> Drawing:
    """Lay out groups of grids, one below the other, each with its own colour scale.

    A group with a single row is wrapped after four grids. Tokens already labelled by a neighbour are not
    labelled again. Raises `UsageError` if the colour map does not exist.
    """
    tables = [rows for table in groups if (rows := [row for row in table if row])]
    assert tables, "a picture needs at least one grid"
    letters = _letters(tables, title)
    plans = [plan_panels(table, letters, canvas) for table in tables]
    size = max(plan.readable(12) for plan in plans)
    heading = letters.title(title)
    width, height, marks = letters.inches(heading, size) + 2 * GAP, 2 * size / INCH, list[PageMark]()
    for plan in plans:
        group = list(_group(plan, letters, height, canvas))
        width = max(width, _right(group, letters) + GAP)
        height = max(height + plan.height, max(map(_bottom, group)) + GAP)
        marks += group
    above = Word(heading, width / 2, size / INCH, size)
    return Drawing(width, height, (above, *marks), letters.families, letters.missing, canvas)


def check_canvas(canvas: Canvas) -> None:
    """Raise `UsageError` if there is no such colour map, before anything else is done."""
    if canvas.cmap is not None:
        colour_map(canvas.cmap)


def render(drawing: Drawing, suffix: str, dpi: int = 150) -> bytes:
    """Render the image file; equal drawings give equal bytes. `dpi` applies only to .png.

    Raises `UsageError` for an unknown suffix or a size out of range.
    """
    import matplotlib as mpl  # with matplotlib.figure, as in the other late imports: 0.35 to 0.6 s

    _refuse(drawing, suffix, dpi)
    out = BytesIO()
    with mpl.rc_context(_SETTINGS):
        figure_of(drawing).savefig(out, format=suffix[1:], dpi=dpi, **_FORMATS[suffix])
    return out.getvalue()


def _letters(tables: Sequence[PanelRows], title: str) -> Letters:
    """The fonts for all text on the page; most grids have the same tokens."""
    grids = list(chain.from_iterable(chain.from_iterable(tables)))
    tokens = {token for grid in grids for token in (*grid.rows, *grid.columns)}
    return letters_for(tokens, {title, *(grid.caption for grid in grids)})


def _group(plan: PanelPlan, letters: Letters, top: float, canvas: Canvas) -> Iterator[PageMark]:
    """The panels that share a colour scale, with its legend and a remark on omitted labels."""
    grids = list(chain.from_iterable(plan.table))
    scale = colour_scale(grids, canvas.cmap)
    for panel in plan.panels(top):
        yield from panel_marks(panel, plan, scale, letters)
    yield from legend_marks(grids, scale, plan, top + plan.head)
    if plan.thinned:
        yield Word(plan.thinned, GAP, top + plan.height, plan.readable(8), "left", "top")


def _right(marks: Sequence[PageMark], letters: Letters) -> float:
    """The right edge of the labels beside the colour bar, the rightmost text."""
    words = [mark for mark in marks if isinstance(mark, Word) and mark.across == "left"]
    return max(word.x + letters.inches(word.text, word.size) for word in words)


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
