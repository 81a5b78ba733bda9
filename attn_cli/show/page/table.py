"""The head that a page begins with, as an HTML table for readers without scripts."""

import numpy as np

from attn_cli.answers.report import Report
from attn_cli.grid import Grid
from attn_cli.show.html_table import IN_CLASSES, html_table
from attn_cli.show.page.document import shown_label
from attn_cli.show.page.payload import PackedKind
from attn_cli.show.scale import LINEAR_LIMITS

_MOST_ROWS = 24  # a reader without scripts sees the first ones


def telling_table(report: Report, packed: PackedKind) -> str:
    """The weights of the head that the page begins with; of a long text those of the first rows."""
    telling, kind = packed.telling, packed.kind
    few = slice(_MOST_ROWS)
    rows, columns = (
        [shown_label(name) for name in report.texts[text].labels[::cell]]
        for text, cell in zip((kind.queries, kind.keys), kind.cells, strict=True)
    )
    values = np.asarray(telling.weights[few], dtype=np.float64)
    grid = Grid(
        f"weights {telling.layer}.{telling.head}",
        values,
        tuple(rows[few]),
        tuple(columns),
        telling.mask[few],
        LINEAR_LIMITS,
        are_tokens=True,
        row_places=_places(len(values), kind.cells[0]),
        column_places=_places(len(columns), kind.cells[1]),
        sink=None if telling.sink is None else telling.sink[few],
    )
    return html_table(grid, grid.title, len(rows), IN_CLASSES)


def _places(count: int, cell: int) -> tuple[int, ...]:
    return tuple(range(0, count * cell, cell))
