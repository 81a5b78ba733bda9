"""How a head shows itself in a notebook: the page of its layer in a frame, and its weights as a table."""

from dataclasses import replace

from attn_cli.grid import Head
from attn_cli.reading.reading import Reading
from attn_cli.reading.report.report import report_of_layer
from attn_cli.reading.steps import ShownLayer, unwarned
from attn_cli.reading.window import Window
from attn_cli.vocabulary import Step

_MOST_ROWS = 40  # of a table
_MOST_CELLS = 1 << 18  # weights of a head in a frame, 512 × 512: the page of a layer of 12 heads has 0.3 MB
_BITS, _THREADS = 8, 1


def shown_in_notebook(reading: Reading, layer: ShownLayer, head: int, window: Window) -> str:
    """The head as HTML: a frame if all of a short text is shown, and a table of its rows, or the first."""
    title = _title(reading, layer.number, head)
    table = _table(reading, layer, head, window, title)
    is_whole = window == reading.whole and len(reading.queries) * len(reading.keys) <= _MOST_CELLS
    return _framed(reading, layer, head, title, table) if is_whole else table


def _framed(reading: Reading, layer: ShownLayer, head: int, title: str, table: str) -> str:
    from attn_cli.show.page.frame import frame_of  # jinja2: 0.05 s, for notebooks alone
    from attn_cli.show.page.writing import page_of

    page = page_of(report_of_layer(reading, layer, head), _BITS, _THREADS)
    return frame_of(page, title, table)


def _table(reading: Reading, layer: ShownLayer, head: int, window: Window, title: str) -> str:
    from attn_cli.show.grids import step_grid
    from attn_cli.show.html_table import html_table

    shown = replace(window, rows=window.rows[:_MOST_ROWS])
    grid = step_grid(reading.sides, _weights(layer, head, shown), Step.WEIGHTS)
    return html_table(grid, title, rows_in_all=len(window.rows))


@unwarned
def _weights(layer: ShownLayer, head: int, window: Window) -> Head:
    (computed,) = layer.heads([head], (Step.WEIGHTS,), window)
    return computed


def _title(reading: Reading, layer: int, head: int) -> str:
    kind = "" if str(reading.kind) == "self" else f" of {reading.kind} attention"
    return f"{reading.source.card.name} · weights {layer}.{head}{kind}"
