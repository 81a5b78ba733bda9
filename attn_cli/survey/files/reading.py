"""Reads the results of a survey back from the files that it wrote."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from attn_cli.arrow import parquet_library
from attn_cli.errors import AttnError, UsageError
from attn_cli.safe_text import printable
from attn_cli.survey.results import MetricRow, PatternRow, StrongRow, SurveyResult
from attn_cli.vocabulary import Kind, Metric, Pattern

_OF_ROW = ("kind", "layer", "head", "metric", "mean", "deviation", "low", "high", "rows", "documents")
_OF_PATTERN = ("pattern", "share", "low", "high", "weight", "documents")
_OF_EXAMPLE = ("source", "place", "start", "row", "weight", "command")
_META = b"attn"
_HINT = "a .parquet, .csv or .json file that attn survey wrote"

Fields = Mapping[str, Any]


def read_results(path: Path) -> SurveyResult:
    """The results in a file.

    Raises:
        UsageError: it is of another kind.
        AttnError: it cannot be read, or attn survey did not write it.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise UsageError(f"results are in no '{printable(suffix)}' file: {_shown(path)}", _HINT)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise AttnError(f"{_shown(path)} does not exist", "check the path after --from") from error
    except OSError as error:
        problem = f"{_shown(path)} cannot be read: {(error.strerror or '').lower()}"
        raise AttnError(problem, "check the path after --from") from error
    try:
        result = _READERS[suffix](content)
        _check(result)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise AttnError(f"{_shown(path)} has no results of attn survey: {_why(error)}", _HINT) from error
    return result


def _of_json(content: bytes) -> SurveyResult:
    document = json.loads(content)
    return _of_document(document, document["survey"])


def _of_parquet(content: bytes) -> SurveyResult:
    pa = parquet_library()
    try:
        table = pa.parquet.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise ValueError("it is damaged") from error
    about = (table.schema.metadata or {}).get(_META)
    if about is None:
        raise ValueError("its metadata say nothing of attn")
    return _of_document(json.loads(about), table.select(_OF_ROW).to_pylist())


def _of_csv(content: bytes) -> SurveyResult:
    text = content.decode("utf-8-sig")
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    patterns: dict[tuple[str, str, str], list[Fields]] = {}
    for line in lines:
        patterns.setdefault((line["kind"], line["layer"], line["head"]), json.loads(line["patterns"]))
    rows = [{name: line[name] or None for name in _OF_ROW} for line in lines]
    shown = [
        {"kind": kind, "layer": layer, "head": head, "examples": (), **one}
        for (kind, layer, head), each in patterns.items()
        for one in each
    ]
    return SurveyResult(tuple(map(_row, rows)), tuple(map(_pattern, shown)), {})


_READERS: Mapping[str, Callable[[bytes], SurveyResult]] = {
    ".parquet": _of_parquet,
    ".csv": _of_csv,
    ".json": _of_json,
}


def _of_document(document: Mapping[str, Any], rows: Iterable[Fields]) -> SurveyResult:
    about = {name: value for name, value in document.items() if name not in {"survey", "patterns"}}
    corpus = about["corpus"]
    if not isinstance(corpus, dict) or not isinstance(about["model"], dict):
        raise TypeError("its fields are of another kind")
    return SurveyResult(tuple(map(_row, rows)), tuple(map(_pattern, document["patterns"])), about)


def _row(fields: Fields) -> MetricRow:
    mean, deviation, low, high = (_number(fields[name]) for name in _OF_ROW[4:8])
    return MetricRow(
        *(Kind(fields["kind"]), int(fields["layer"]), int(fields["head"]), Metric(fields["metric"])),
        *(mean, deviation, low, high),
        *(int(fields["rows"]), int(fields["documents"])),
    )


def _pattern(fields: Fields) -> PatternRow:
    pattern, *numbers, documents = (fields[name] for name in _OF_PATTERN)
    share, low, high, weight = map(float, numbers)
    place = Kind(fields["kind"]), int(fields["layer"]), int(fields["head"])
    examples = tuple(StrongRow(*(one[name] for name in _OF_EXAMPLE)) for one in fields["examples"])
    return PatternRow(*place, Pattern(pattern), share, low, high, weight, int(documents), examples)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _check(result: SurveyResult) -> None:
    """Raise `ValueError` if it cannot be what a survey wrote."""
    if not result.rows:
        raise ValueError("it has no rows")
    rows: list[MetricRow | PatternRow] = [*result.rows, *result.patterns]
    if len({row.kind for row in rows}) > 1:
        raise ValueError("its rows are of several kinds of attention")
    _check_once([(row.layer, row.head, row.metric) for row in result.rows])
    _check_once([(row.layer, row.head, row.pattern) for row in result.patterns])
    places = set(result.places)
    for row in rows:
        numbers = [value for value in _values(row) if isinstance(value, int | float)]
        if not all(map(isfinite, numbers)) or row.layer < 0 or row.head < 0 or row.documents < 0:
            raise ValueError(f"a number of head {row.layer}.{row.head} cannot be")
        if (row.layer, row.head) not in places:
            raise ValueError(f"head {row.layer}.{row.head} has patterns and no metrics")


def _values(row: MetricRow | PatternRow) -> Sequence[object]:
    if isinstance(row, MetricRow):
        return row.mean, row.deviation, row.low, row.high, row.rows
    return row.share, row.low, row.high, row.weight


def _check_once(names: Sequence[tuple[object, ...]]) -> None:
    seen = set[tuple[object, ...]]()
    for layer, head, word in names:
        if (layer, head, word) in seen:
            raise ValueError(f"head {layer}.{head} has {word} twice")
        seen.add((layer, head, word))


def _why(error: Exception) -> str:
    """Why a file has no results, in words."""
    if isinstance(error, KeyError):
        return f"no {printable(str(error.args[0]))}"
    if isinstance(error, UnicodeDecodeError | json.JSONDecodeError | RecursionError | csv.Error):
        return "it cannot be parsed"
    if isinstance(error, TypeError | AttributeError):
        return "its fields are of another kind"
    return printable(str(error))


def _shown(path: Path) -> str:
    return printable(str(path))
