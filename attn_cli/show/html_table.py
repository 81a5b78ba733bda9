"""Writes a matrix of weights as an HTML table, shaded, for a notebook; tokens are text, never markup."""

from collections.abc import Callable, Iterator
from html import escape

from attn_cli.grid import Grid
from attn_cli.record import record
from attn_cli.safe_text import label
from attn_cli.show.scale import fractions

_MOST_COLUMNS = 40  # a matrix with more is written as the largest weights of each row
_LARGEST = 8  # of a row
_DARK = 0.55  # a shade from which text is white
_CELL = "padding:1px 5px;text-align:right;border:0"
SHADES = 20
"""How many shades classes tell apart, besides none: `s0` to `s20`."""


@record(frozen=True, slots=True)
class TableStyle:
    """How the parts of a table say what they look like, as attributes."""

    table: str
    caption: str
    name: str
    isolated: str
    masked: str
    cell: Callable[[float], str]  # from a shade, 0 to 1


def _inline(shade: float) -> str:
    colour = ";color:white" if shade > _DARK else ""
    return f"style='{_CELL};background:rgba(31,119,180,{shade:.2f}){colour}'"


INLINE = TableStyle(
    table="style='border-collapse:collapse;font:12px monospace'",
    caption="style='text-align:left'",
    name="style='padding:1px 5px;text-align:right;border:0;font-weight:normal'",
    isolated="style='unicode-bidi:isolate;white-space:pre'",
    masked=f"style='{_CELL}'",
    cell=_inline,
)
"""In attributes of their own, for a notebook."""

IN_CLASSES = TableStyle(
    table="class=weights",
    caption="",
    name="scope=row",
    isolated="",
    masked="",
    cell=lambda shade: f"class=s{round(shade * SHADES)}" if shade * SHADES >= 1 / 2 else "",
)
"""In classes, for a page with a style sheet whose policy allows no other style."""


def html_table(grid: Grid, title: str, rows_in_all: int | None = None, style: TableStyle = INLINE) -> str:
    """The weights on their scale, with the tokens of rows and columns.

    `rows_in_all` is how many rows the head has; the grid may hold the first of them. If there are many
    columns, each row has its largest weights instead, each with its token.
    """
    is_wide = len(grid.columns) > _MOST_COLUMNS
    body = _largest(grid, style) if is_wide else _matrix(grid, style)
    rows = len(grid.rows) if rows_in_all is None else rows_in_all
    caption = ", ".join([title, *_left_out(grid, rows, is_wide=is_wide)])
    return (
        f"<table {style.table}><caption {style.caption}>{escape(label(caption))}</caption>"
        f"{''.join(body)}</table>"
    )


def _left_out(grid: Grid, rows: int, *, is_wide: bool) -> Iterator[str]:
    if is_wide:
        yield f"the {_LARGEST} largest of {len(grid.columns):,} weights of each row"
    if len(grid.rows) < rows:
        yield f"the first {len(grid.rows):,} of {rows:,} rows; others: rows="


def _matrix(grid: Grid, style: TableStyle) -> Iterator[str]:
    names = "".join(
        _name("th", name, place, style) for name, place in zip(grid.columns, _columns(grid), strict=True)
    )
    beside = "".join(f"<th {style.name}>{column.columns[0]}</th>" for column in grid.columns_beside)
    yield f"<tr><td></td>{names}{beside}</tr>"
    for index, name in enumerate(grid.rows):
        cells = "".join(_cells(grid, index, style))
        others = "".join("".join(_cells(column, index, style)) for column in grid.columns_beside)
        yield f"<tr>{_name('th', name, _rows(grid)[index], style)}{cells}{others}</tr>"


def _largest(grid: Grid, style: TableStyle) -> Iterator[str]:
    for index, name in enumerate(grid.rows):
        seen = [column for column in range(len(grid.columns)) if grid.visible[index, column]]
        best = sorted(seen, key=lambda column: (-grid.values[index, column], column))[:_LARGEST]
        cells = (
            _cell(
                grid,
                index,
                column,
                style,
                f"{_name_of(grid.columns[column], _columns(grid)[column], style)} ",
            )
            for column in best
        )
        yield f"<tr>{_name('th', name, _rows(grid)[index], style)}{''.join(cells)}</tr>"


def _cells(grid: Grid, row: int, style: TableStyle) -> Iterator[str]:
    for column in range(len(grid.columns)):
        yield _cell(grid, row, column, style) if grid.visible[row, column] else f"<td {style.masked}>·</td>"


def _cell(grid: Grid, row: int, column: int, style: TableStyle, before: str = "") -> str:
    value = grid.values[row, column]
    shade = float(fractions(value.clip(*grid.limits), grid.limits, is_log=grid.is_log))
    return f"<td {style.cell(shade)}>{before}{value:.2f}</td>"


def _name(tag: str, name: str, place: int, style: TableStyle) -> str:
    return f"<{tag} {style.name}>{_name_of(name, place, style)}</{tag}>"


def _name_of(name: str, place: int, style: TableStyle) -> str:
    return f"{place} <bdi {style.isolated}>{escape(label(name))}</bdi>"


def _rows(grid: Grid) -> tuple[int, ...]:
    return grid.row_places or tuple(range(len(grid.rows)))


def _columns(grid: Grid) -> tuple[int, ...]:
    return grid.column_places or tuple(range(len(grid.columns)))
