"""The rows of a survey as a table: .csv, and .parquet with everything else of the JSON object beside it."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from attn_cli.arrow import parquet_library
from attn_cli.show.data import csv_table

COLUMNS = (
    *("kind", "layer", "head", "metric", "mean", "deviation", "low", "high", "rows", "documents"),
    "patterns",
)
"""The columns of a row; the last one has the patterns of the head, each with its share of the documents."""

OF_PATTERN = ("pattern", "share", "low", "high", "weight", "documents")
META = b"attn"
"""The name of what a .parquet file says beside its rows: the JSON object without `survey`."""

_WORDS = {"kind", "metric", "pattern"}
_COUNTS = {"layer", "head", "rows", "documents"}

Row = Mapping[str, Any]


def as_csv(document: Mapping[str, object]) -> bytes:
    """A line per head and metric; missing numbers are empty, and `patterns` is a JSON list."""
    rows = ([*(row[name] for name in COLUMNS[:-1]), json.dumps(row["patterns"])] for row in _rows(document))
    return csv_table([COLUMNS, *rows])


def as_parquet(document: Mapping[str, object]) -> bytes:
    """The same table with types, `patterns` as a list of structures, and the rest as JSON in the metadata.

    Raises:
        AttnError: pyarrow is not installed.
    """
    pa = parquet_library()
    pattern = pa.struct([_field(pa, name) for name in OF_PATTERN])
    fields = [_field(pa, name) for name in COLUMNS[:-1]]
    rest = json.dumps({name: value for name, value in document.items() if name != "survey"})
    schema = pa.schema([*fields, pa.field("patterns", pa.list_(pattern))], {META: rest.encode()})
    buffer = io.BytesIO()
    table = pa.Table.from_pylist(list(_rows(document)), schema)
    pa.parquet.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _rows(document: Mapping[str, object]) -> Iterator[Row]:
    """The rows, each with the patterns of its head."""
    patterns: dict[tuple[int, int], list[Row]] = {}
    for shown in cast("Sequence[Row]", document["patterns"]):
        fields = {name: shown[name] for name in OF_PATTERN}
        patterns.setdefault((shown["layer"], shown["head"]), []).append(fields)
    for row in cast("Sequence[Row]", document["survey"]):
        yield {**row, "patterns": patterns.get((row["layer"], row["head"]), [])}


def _field(pa: Any, name: str) -> Any:
    kind = pa.string() if name in _WORDS else pa.int64() if name in _COUNTS else pa.float64()
    return pa.field(name, kind)
