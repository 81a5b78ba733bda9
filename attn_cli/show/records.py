"""Heads at a glance as files that a program reads: .json, .csv with a line for each head, .npz."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from attn_cli.show.data import as_json, as_npz

SUFFIXES = (".json", ".npz", ".csv")

Record: TypeAlias = Mapping[str, int | float | str | None]
"""A head by the words of a file; None where there is no value."""

_WORDS = ("kind", "layer", "head", "pattern", "score")  # before the metrics


def encode(suffix: str, document: Mapping[str, object], records: Sequence[Record]) -> bytes:
    """The content of a file of the kind that `suffix`, one of `SUFFIXES`, names; `records` are its heads."""
    metrics = cast("Sequence[str]", document["metrics"])
    match suffix:
        case ".json":
            return f"{as_json(document)}\n".encode()
        case ".npz":
            rest = {name: value for name, value in document.items() if name != "heads"}
            return as_npz(rest | _arrays(metrics, records), ())
        case ".csv":
            return _as_csv(metrics, records)
    raise AssertionError(suffix)


def _as_csv(metrics: Sequence[str], records: Sequence[Record]) -> bytes:
    """A head on a line; what has no value is empty."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, (*_WORDS, *metrics), lineterminator="\n")
    table.writeheader()
    table.writerows(records)
    return text.getvalue().encode()


def _arrays(metrics: Sequence[str], records: Sequence[Record]) -> dict[str, npt.NDArray[np.generic]]:
    """(L, H) for each number, NaN where there is none, `pattern` as words; `layer` (L,) and `head` (H,)."""
    layers, heads = (sorted({cast("int", each[side]) for each in records}) for side in ("layer", "head"))
    size = (len(layers), len(heads))
    numbers = {name: np.full(size, np.nan) for name in ("score", *metrics)}
    patterns = np.full(size, "", dtype="<U32")
    for each in records:
        place = layers.index(cast("int", each["layer"])), heads.index(cast("int", each["head"]))
        patterns[place] = each["pattern"] or ""
        for name, values in numbers.items():
            values[place] = np.nan if each[name] is None else each[name]
    sides = {"layer": np.asarray(layers, np.int64), "head": np.asarray(heads, np.int64)}
    return {**sides, "pattern": patterns, **numbers}
