"""Writes the metrics of heads to data files: .npz with arrays (layers × heads), .csv with a line per head."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from attn_cli.show import data

Record: TypeAlias = Mapping[str, int | float | str | None]
"""A head as named fields; None for a missing value."""

_WORDS = ("kind", "layer", "head", "pattern", "score", "rows")  # before the metrics


def as_npz(document: Mapping[str, object]) -> bytes:
    """An array (L, H) for each number, NaN if missing; `pattern` as strings, and the kind in `meta`."""
    rest = {name: value for name, value in document.items() if name != "heads"}
    records = _heads_of(document)
    kind = {"kind": records[0]["kind"]} if records else {}  # the same for all
    return data.as_npz(rest | kind | _arrays(_metrics(document), records), ())


def as_csv(document: Mapping[str, object]) -> bytes:
    """One line per head; missing values are empty."""
    records = _heads_of(document)
    words = (*(word for word in _WORDS if not records or word in records[0]), *_metrics(document))
    return data.csv_table([words, *([record[word] for word in words] for record in records)])


def _metrics(document: Mapping[str, object]) -> Sequence[str]:
    return cast("Sequence[str]", document["metrics"])


def _heads_of(document: Mapping[str, object]) -> Sequence[Record]:
    return cast("Sequence[Record]", document["heads"])


def _arrays(metrics: Sequence[str], records: Sequence[Record]) -> dict[str, npt.NDArray[np.generic]]:
    """(L, H) per number, NaN if missing, and `pattern` as strings; also `layer` (L,) and `head` (H,)."""
    layers, heads = (sorted({cast("int", record[side]) for record in records}) for side in ("layer", "head"))
    size = (len(layers), len(heads))
    named = [name for name in ("score", "rows") if not records or name in records[0]]
    numbers = {name: np.full(size, np.nan) for name in (*named, *metrics)}
    patterns = np.full(size, "", dtype="<U32")
    for record in records:
        place = layers.index(cast("int", record["layer"])), heads.index(cast("int", record["head"]))
        patterns[place] = record["pattern"] or ""
        for name, values in numbers.items():
            values[place] = np.nan if record[name] is None else record[name]
    sides = {"layer": np.asarray(layers, np.int64), "head": np.asarray(heads, np.int64)}
    return {**sides, "pattern": patterns, **numbers}
