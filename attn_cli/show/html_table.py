"""Writes a matrix of weights as an HTML table, shaded, for a notebook; tokens are text, never markup."""

from collections.abc import Iterator
from html import escape

from attn_cli.grid import Grid
from attn_cli.safe_text import label
from attn_cli.show.scale import fractions

_MOST_COLUMNS = 40  # a matrix with more is written as the largest weights of each row
_LARGEST = 8  # of a row
_DARK = 0.55  # a shade from which text is white
_STYLE = "border-collapse:collapse;font:12px monospace"
_CELL = "padding:1px 5px;text-align:right;border:0"
_NAME = "padding:1px 5px;text-align:right;border:0;font-weight:normal"
_ISOLATED = "<bdi style='unicode-bidi:isolate;white-space:pre'>{}</bdi>"


def html_table(grid: Grid, title: str, rows_in_all: int | None = None) -> str:
    """The weights on their scale, with the tokens of rows and columns.

    `rows_in_all` is how many rows the head has; the grid may hold the first of them. If there are many
    columns, each row has its largest weights instead, each with its token.
    """
    is_wide = len(grid.columns) > _MOST_COLUMNS
    body = _largest(grid) if is_wide else _matrix(grid)
    rows = len(grid.rows) if rows_in_all is None else rows_in_all
    caption = ", ".join([title, *_left_out(grid, rows, is_wide=is_wide)])
    return (
        f"<table style='{_STYLE}'><caption style='text-align:left'>{escape(label(caption))}</caption>"
        f"{''.join(body)}</table>"
    )


def _left_out(grid: Grid, rows: int, *, is_wide: bool) -> Iterator[str]:
    if is_wide:
        yield f"the {_LARGEST} largest of {len(grid.columns):,} weights of each row"
    if len(grid.rows) < rows:
        yield f"the first {len(grid.rows):,} of {rows:,} rows; others: rows="


def _matrix(grid: Grid) -> Iterator[str]:
    names = "".join(
        _name("th", name, place) for name, place in zip(grid.columns, _columns(grid), strict=True)
    )
    beside = "".join(f"<th style='{_NAME}'>{column.columns[0]}</th>" for column in grid.columns_beside)
    yield f"<tr><td></td>{names}{beside}</tr>"
    for index, name in enumerate(grid.rows):
        cells = "".join(_cells(grid, index))
        others = "".join("".join(_cells(column, index)) for column in grid.columns_beside)
        yield f"<tr>{_name('th', name, _rows(grid)[index])}{cells}{others}</tr>"


def _largest(grid: Grid) -> Iterator[str]:
    for index, name in enumerate(grid.rows):
        seen = [column for column in range(len(grid.columns)) if grid.visible[index, column]]
        best = sorted(seen, key=lambda column: (-grid.values[index, column], column))[:_LARGEST]
        cells = (
            _cell(grid, index, column, f"{_name_of(grid.columns[column], _columns(grid)[column])} ")
            for column in best
        )
        yield f"<tr>{_name('th', name, _rows(grid)[index])}{''.join(cells)}</tr>"


def _cells(grid: Grid, row: int) -> Iterator[str]:
    for column in range(len(grid.columns)):
        yield _cell(grid, row, column) if grid.visible[row, column] else f"<td style='{_CELL}'>·</td>"


def _cell(grid: Grid, row: int, column: int, before: str = "") -> str:
    value = grid.values[row, column]
    shade = float(fractions(value.clip(*grid.limits), grid.limits, is_log=grid.is_log))
    colour = ";color:white" if shade > _DARK else ""
    return f"<td style='{_CELL};background:rgba(31,119,180,{shade:.2f}){colour}'>{before}{value:.2f}</td>"


def _name(tag: str, name: str, place: int) -> str:
    return f"<{tag} style='{_NAME}'>{_name_of(name, place)}</{tag}>"


def _name_of(name: str, place: int) -> str:
    return f"{place} {_ISOLATED.format(escape(label(name)))}"


def _rows(grid: Grid) -> tuple[int, ...]:
    return grid.row_places or tuple(range(len(grid.rows)))


def _columns(grid: Grid) -> tuple[int, ...]:
    return grid.column_places or tuple(range(len(grid.columns)))
