"""Pictures of grids: panels with their tokens, a colour scale for each group, rendered as an image file."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import chain
from math import sqrt
from typing import Any

from attn_cli.errors import UsageError
from attn_cli.safe_text import printable
from attn_cli.show.picture.colours import colour_map, colour_scale
from attn_cli.show.picture.fonts import Letters, letters_for
from attn_cli.show.picture.layout import GAP, PanelPlan, PanelRows, plan_panels
from attn_cli.show.picture.legend import legend_marks
from attn_cli.show.picture.marks import INCH, Drawing, PageMark, Stroke, Word
from attn_cli.show.picture.painting import figure_of
from attn_cli.show.picture.panels import panel_marks

_PIXELS = 200_000_000  # 0.8 GB of memory while it is drawn
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # words stay words, to find and edit; anchored, so another font moves none
    "svg.hashsalt": "attn",  # without it the ids of an .svg are random
    "pdf.fonttype": 42,  # whole glyphs, not drawings of them: words stay words here too
    "hatch.linewidth": 0.4,
    "text.hinting": "none",  # a third of the time of a thousand labels went into hints
    "savefig.bbox": None,
    "savefig.transparent": False,
    "text.usetex": False,
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
}
_FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"pil_kwargs": {"compress_level": 1}},  # a fourth larger than 6, in two thirds of the time
    ".svg": {"metadata": {"Date": None}},
    ".pdf": {"metadata": {"CreationDate": None}},
}


def page(groups: Sequence[PanelRows], title: str, cmap: str | None = None) -> Drawing:
    """Groups of grids, one below the other, each with its own colour scale.

    A group of one row begins a new one after four grids. Tokens that a neighbour names are not named
    again. Raises `UsageError` where the colour map `cmap` does not exist.
    """
    tables = [rows for table in groups if (rows := [row for row in table if row])]
    assert tables, "a picture of nothing"
    letters = _letters(tables, title)
    plans = [plan_panels(table, letters) for table in tables]
    size = max(plan.readable(12) for plan in plans)
    heading = letters.title(title)
    width, height, marks = letters.inches(heading, size) + 2 * GAP, 2 * size / INCH, list[PageMark]()
    for plan in plans:
        group = list(_group(plan, letters, height, cmap))
        width = max(width, _right(group, letters) + GAP)
        height = max(height + plan.height, max(map(_bottom, group)) + GAP)
        marks += group
    above = Word(heading, width / 2, size / INCH, size)
    return Drawing(width, height, (above, *marks), letters.families, letters.missing)


def check_colours(cmap: str | None) -> None:
    """Raise `UsageError` where there is no such colour map, before anything else is done."""
    if cmap is not None:
        colour_map(cmap)


def render(drawing: Drawing, suffix: str, dpi: int = 150) -> bytes:
    """The file: the same drawing is the same bytes. `dpi` matters to .png only."""
    import matplotlib as mpl  # with its figure, which the other late imports load too: 0.35 to 0.6 s

    _refuse(drawing, suffix, dpi)
    out = BytesIO()
    with mpl.rc_context(_SETTINGS):
        figure_of(drawing).savefig(out, format=suffix[1:], dpi=dpi, **_FORMATS[suffix])
    return out.getvalue()


def _letters(tables: Sequence[PanelRows], title: str) -> Letters:
    """The fonts for every word of the page; most grids have the same tokens."""
    grids = list(chain.from_iterable(chain.from_iterable(tables)))
    tokens = {token for grid in grids for token in (*grid.rows, *grid.columns)}
    return letters_for(tokens, {title, *(grid.title for grid in grids)})


def _group(plan: PanelPlan, letters: Letters, top: float, cmap: str | None) -> Iterator[PageMark]:
    """The panels that share a colour scale, and what a reader has to know about them."""
    grids = list(chain.from_iterable(plan.table))
    scale = colour_scale(grids, cmap)
    for panel in plan.panels(top):
        yield from panel_marks(panel, plan, scale, letters)
    yield from legend_marks(grids, scale, plan, top + plan.head)
    if plan.thinned:
        yield Word(plan.thinned, GAP, top + plan.height, plan.readable(8), "left", "top")


def _right(marks: Sequence[PageMark], letters: Letters) -> float:
    """Where the words beside the colour bar end; nothing else stands as far to the right."""
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
    """Raise `UsageError` for a picture that no file can hold."""
    if suffix not in _FORMATS:
        raise UsageError(f"a picture cannot be '{printable(suffix)}'", f"one of {', '.join(_FORMATS)}")
    width, height = int(drawing.width * dpi), int(drawing.height * dpi)
    most = int(sqrt(_PIXELS / (drawing.width * drawing.height)))
    if dpi < 1 or (suffix == ".png" and dpi > most):
        size = f"{width} × {height} pixels" if dpi > 0 else "no picture"
        raise UsageError(f"--dpi {dpi} is out of range: it makes {size}", f"--dpi {min(most, 300)}, or .svg")
