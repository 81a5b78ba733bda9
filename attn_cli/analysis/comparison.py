"""Compares heads: the matrix of their distances, and the difference of two of them."""

from collections.abc import Iterable, Sequence

import numpy as np

from attn_cli.analysis.distance import (
    measure_distances,
    measure_distances_of_rows,
)
from attn_cli.grid import Head, Matrix
from attn_cli.record import record
from attn_cli.vocabulary import Distance, Kind, Step

_PAIR = 2


@record(frozen=True, slots=True)
class Comparison:
    """The distances between two or more heads; N heads, T queries, S keys."""

    kind: Kind
    distance: Distance
    items: tuple[str, ...]  # names of the heads
    matrix: Matrix  # (N, N)
    difference: Matrix | None  # (T, S) the first minus the second; None for more than two heads
    part: Head | None = None  # one of the heads, if the difference is of some rows and columns, or of cells

    def fields(self) -> dict[str, object]:
        """Its fields in the JSON object."""
        found: dict[str, object] = {
            "kind": self.kind.value,
            "distance": self.distance.value,
            "items": list(self.items),
            "matrix": self.matrix,
        }
        return found if self.difference is None else found | {"difference": self.difference} | self._places()

    def _places(self) -> dict[str, object]:
        """The rows and columns of the difference, if it does not have all of them."""
        if self.part is None:
            return {}
        places: dict[str, object] = {"queries": list(self.part.queries), "keys": list(self.part.keys)}
        return places | ({"cells": list(self.part.cells)} if self.part.is_pooled else {})


def compare_weights(
    heads: Sequence[Head], distance: Distance, rows: Iterable[Sequence[Matrix]] | None = None
) -> Comparison:
    """Compare the weights of heads of one kind with this distance.

    `rows`: the weights to measure, a block of rows of all heads at a time, if `heads` do not have all rows.
    """
    weights = [head.steps[Step.WEIGHTS].astype(np.float64) for head in heads]
    difference = weights[0] - weights[1] if len(weights) == _PAIR else None
    matrix = (
        measure_distances(weights, distance) if rows is None else measure_distances_of_rows(rows, distance)
    )
    part = None if rows is None else heads[0]
    items = tuple(head.name for head in heads)
    return Comparison(heads[0].kind, distance, items, matrix, difference, part)
