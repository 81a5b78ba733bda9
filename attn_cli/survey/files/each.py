"""Writes the numbers of every document as they come: a line per document and head."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from math import isnan
from typing import Any, BinaryIO

import numpy as np

from attn_cli.arrow import parquet_library
from attn_cli.record import record
from attn_cli.safe_text import printable
from attn_cli.survey.merging import MeasuredDocument
from attn_cli.survey.records import Layout
from attn_cli.vocabulary import Metric

SUFFIXES = (".parquet", ".csv")
_PLACES = ("document", "source", "place", "tokens", "kind", "layer", "head")
_WORDS = {"source", "kind"}
_AT_ONCE = 1 << 16  # lines of a group in a .parquet file


@record(frozen=True, slots=True)
class _Columns:
    """What stands in a line: where the numbers are from, the metrics, and the patterns."""

    layout: Layout
    metrics: Sequence[Metric]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns; a share of a pattern is `pattern.induction`."""
        patterns = (f"pattern.{pattern}" for pattern in self.layout.patterns)
        return (*_PLACES, *self.metrics, *patterns)

    def lines(self, document: MeasuredDocument) -> Iterator[list[Any]]:
        """A line per head; None for a missing number."""
        passage, layout = document.first, self.layout
        chosen = [layout.metrics.index(metric) for metric in self.metrics]
        numbers = np.concatenate([document.values[chosen], document.shares]).T
        about = [
            passage.document,
            printable(passage.source),
            passage.place,
            document.tokens,
            str(layout.kind),
        ]
        for (layer, head), of_head in zip(layout.places, numbers.tolist(), strict=True):
            yield [*about, layer, head, *(None if isnan(value) else value for value in of_head)]


def write_each(
    file: BinaryIO,
    suffix: str,
    layout: Layout,
    metrics: Sequence[Metric],
    documents: Iterable[MeasuredDocument],
) -> None:
    """Write the documents, in their order, to a .csv or .parquet file; few of them are in memory at once.

    Raises:
        AttnError: pyarrow is not installed.
    """
    columns = _Columns(layout, metrics)
    lines = (line for document in documents for line in columns.lines(document))
    (_write_csv if suffix == ".csv" else _write_parquet)(file, columns.names, lines)


def _write_csv(file: BinaryIO, names: Sequence[str], lines: Iterable[list[Any]]) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(lines)
    text.flush()
    text.detach()


def _write_parquet(file: BinaryIO, names: Sequence[str], lines: Iterable[list[Any]]) -> None:
    pa = parquet_library()
    schema = pa.schema([(name, _type(pa, name)) for name in names])
    with pa.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(lines):
            columns = [
                pa.array(column, field.type)
                for column, field in zip(zip(*group, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def _groups(lines: Iterable[list[Any]]) -> Iterator[list[list[Any]]]:
    group = list[list[Any]]()
    for line in lines:
        group.append(line)
        if len(group) >= _AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def _type(pa: Any, name: str) -> Any:
    if name in _WORDS:
        return pa.string()
    return pa.int64() if name in _PLACES else pa.float64()
