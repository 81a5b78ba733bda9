"""Heads compared: the matrix of their distances, and where two of them differ."""

from collections.abc import Iterable, Sequence

import numpy as np

from attn_cli.analysis.distance import (
    measure_distances,
    measure_distances_of_rows,
)
from attn_cli.grid import Head, Matrix
from attn_cli.record import record
from attn_cli.vocabulary import Distance, Step

_PAIR = 2


@record(frozen=True, slots=True)
class Comparison:
    """What two or more heads have in common; N heads, T queries, S keys."""

    distance: Distance
    items: tuple[str, ...]  # the heads' names
    matrix: Matrix  # (N, N)
    difference: Matrix | None  # (T, S) the first less the second; None where there are more than two
    part: Head | None = None  # one of two heads, where the difference is that of some places or of cells

    def fields(self) -> dict[str, object]:
        """What the JSON object holds of it."""
        found: dict[str, object] = {
            "distance": self.distance.value,
            "items": list(self.items),
            "matrix": self.matrix,
        }
        return found if self.difference is None else found | {"difference": self.difference} | self._places()

    def _places(self) -> dict[str, object]:
        """Which rows and columns the difference has, where it has not all."""
        if self.part is None:
            return {}
        places: dict[str, object] = {"queries": list(self.part.queries), "keys": list(self.part.keys)}
        return places | ({"cells": list(self.part.cells)} if self.part.is_pooled else {})


def compare_weights(
    heads: Sequence[Head], kind: Distance, rows: Iterable[Sequence[Matrix]] | None = None
) -> Comparison:
    """The weights of the heads, measured by `kind`.

    `rows`: the weights to measure, some rows of all heads at a time, where `heads` have not all of them.
    """
    weights = [head.steps[Step.WEIGHTS].astype(np.float64) for head in heads]
    difference = weights[0] - weights[1] if len(weights) == _PAIR else None
    matrix = measure_distances(weights, kind) if rows is None else measure_distances_of_rows(rows, kind)
    part = None if rows is None else heads[0]
    return Comparison(kind, tuple(head.name for head in heads), matrix, difference, part)
