"""Documents in tables: the text of one column of a .csv or .parquet file, row by row."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attn_cli.arrow import parquet_library
from attn_cli.safe_text import text_encoding
from attn_cli.survey.inputs.lines import (
    LONGEST,
    TOO_LONG,
    Entry,
    Lost,
    as_document,
    bounded_lines,
    shown,
)
from attn_cli.survey.records import Unread

_USUAL = "text"
_NAMED = 8  # fields in a sentence
_AT_ONCE = 256  # rows of a .parquet file that are in memory


class NoSuchFieldError(Exception):
    """The table has no such field, or none of the usual name; the message says which it has."""


def of_csv(file: io.BufferedReader, source: str, field: str | None) -> Iterator[Entry]:
    """A document for each row below the names of the columns."""
    csv.field_size_limit(LONGEST)
    encoding = text_encoding(file.peek(4)[:4])
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    text = io.TextIOWrapper(file, encoding, errors, newline="")
    place = 0
    try:
        reader = csv.reader(_LinesOfTable(text), strict=True)
        column, place = _column(next(reader, []), field), 1
        for row in _rows(reader):
            if row:
                yield _of_row(row, column, source, place)
                place += 1
    except NoSuchFieldError as error:
        yield Unread(source, 0, str(error))
    except csv.Error as error:  # of the names
        yield Unread(source, 0, f"not CSV: {error}")
    except UnicodeDecodeError:
        yield Unread(source, place, f"not {encoding.upper()}, here and after it")
    finally:
        text.detach()


class _LinesOfTable:
    """The lines of a table, for a reader that goes on after an error: one that is too long is an error."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._lines = bounded_lines(text, "\n")

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if isinstance(line, Lost):
            raise csv.Error(line.value)
        return line


def of_parquet(path: Path, source: str, field: str | None) -> Iterator[Entry]:
    """A document for each row; a damaged file ends where it is damaged.

    Raises:
        AttnError: pyarrow is not installed.
    """
    pyarrow = parquet_library()
    place = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            name = _text_field(table.schema_arrow, field)
            for batch in table.iter_batches(_AT_ONCE, columns=[name], use_threads=False):
                for value in batch.column(0):
                    place += 1
                    yield _of_value(value, source, place, name)
    except NoSuchFieldError as error:
        yield Unread(source, 0, str(error))
    except (pyarrow.ArrowException, OSError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        where = place + 1 if place else 0
        yield Unread(source, where, f"damaged .parquet file{' from here on' if place else ''}: {shown(why)}")


def _text_field(schema: Any, field: str | None) -> str:
    """The name of the column with the texts."""
    import pyarrow as pa  # already imported

    name = str(schema.names[_column(schema.names, field)])
    kind = schema.field(schema.names.index(name)).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if not is_text:
        raise NoSuchFieldError(f"field '{shown(name)}' has no texts: its type is {shown(str(kind))}")
    return name


def _of_value(value: Any, source: str, place: int, field: str) -> Entry:
    try:
        return as_document(source, place, value.as_py(), field)
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} is 0x{error.object[error.start]:02x}"
        return Unread(source, place, f"not UTF-8: {byte}")


def _rows(reader: Any) -> Iterator[list[str] | str]:
    """The rows; of one that is broken, why."""
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            why = str(error)
            is_lost = why in {lost.value for lost in Lost}
            yield why if is_lost else TOO_LONG if "field limit" in why else f"not CSV: {why}"


def _of_row(row: list[str] | str, column: int, source: str, place: int) -> Entry:
    if isinstance(row, str):
        return Unread(source, place, row)
    if column >= len(row):
        return Unread(source, place, f"only {len(row)} of the fields: the text is field {column + 1}")
    return as_document(source, place, row[column])


def _column(names: Sequence[str], field: str | None) -> int:
    """The number of the column with the texts."""
    if field is None and len(names) == 1:
        return 0
    if (field or _USUAL) in names:
        return names.index(field or _USUAL)
    fields = ", ".join(map(shown, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")
    raise NoSuchFieldError(
        f"no field '{shown(field or _USUAL)}': its fields are {fields}" if names else "empty"
    )
