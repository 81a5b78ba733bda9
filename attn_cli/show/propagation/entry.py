"""Rollout and flow as a field of the JSON object, and as data files with a record for each token."""

from collections.abc import Mapping, Sequence
from typing import cast

from attn_cli.answers.propagation import Propagation
from attn_cli.show import data
from attn_cli.show.writers import FileKind, Results

_FIELD = "propagation"


def propagation_entry(propagation: Propagation) -> dict[str, object]:
    """The field that stands beside those of every JSON object."""
    return {_FIELD: {"kind": str(propagation.kind), "position": propagation.position} | _numbers(propagation)}


def propagation_records(propagation: Propagation, texts: Sequence[str]) -> dict[str, object]:
    """The numbers as arrays, and the texts of the tokens that they are about, for .csv and .npz."""
    place = {"kind": str(propagation.kind), "position": propagation.position}
    return place | {"texts": list(texts)} | _numbers(propagation)


def _numbers(propagation: Propagation) -> dict[str, object]:
    """The arrays that were asked for."""
    numbers = {"rollout": propagation.rollout, "flow": propagation.flow}
    return {name: array for name, array in numbers.items() if array is not None}


def _as_json(results: Results) -> bytes:
    return f"{data.as_json(results.document)}\n".encode()


def _as_npz(results: Results) -> bytes:
    """`rollout` (L, T) after each layer and `flow` (T,), and the rest as JSON in `meta`."""
    return data.as_npz(results.document, ())


def _as_csv(results: Results) -> bytes:
    """A line for each token, with its rollout after the last layer."""
    document = cast("Mapping[str, Sequence[float]]", results.document)
    texts = cast("Sequence[str]", results.document["texts"])
    columns = {"position": range(len(texts)), "text": map(data.text_cell, texts)}
    if "rollout" in document:
        columns["rollout"] = cast("Sequence[Sequence[float]]", document["rollout"])[-1]
    if "flow" in document:
        columns["flow"] = document["flow"]
    return data.csv_table([columns, *zip(*columns.values(), strict=True)])


PROPAGATIONS = FileKind({".json": _as_json, ".npz": _as_npz, ".csv": _as_csv})
"""How much of each token reaches a position."""
