"""Compares heads: the matrix of their distances, and the difference of two of them."""

from collections.abc import Iterable, Sequence

import numpy as np

from attn_cli.analysis.distance import (
    measure_distances,
    measure_distances_of_rows,
)
from attn_cli.grid import Head, Hidden, Matrix
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
    sink_difference: Matrix | None = None  # (T,) the same of their learned sinks; None if neither has one
    hidden: tuple[Hidden, ...] = ()  # of each head; empty if no key is hidden

    def fields(self) -> dict[str, object]:
        """Its fields in the JSON object."""
        found: dict[str, object] = {
            "kind": self.kind.value,
            "distance": self.distance.value,
            "items": list(self.items),
            "matrix": self.matrix,
        }
        if self.hidden:
            found["hidden"] = self._hidden()
        if self.difference is None:
            return found
        of_sinks = {} if self.sink_difference is None else {"sink_difference": self.sink_difference}
        of_hidden = {} if self.hidden_difference is None else {"hidden_difference": self.hidden_difference}
        return found | {"difference": self.difference} | of_sinks | of_hidden | self._places()

    @property
    def hidden_difference(self) -> Matrix | None:
        """(T,) the difference of what hidden keys take of the two heads; None if none is hidden."""
        if self.difference is None or not self.hidden:
            return None
        one, other = (hidden.weight.astype(np.float64) for hidden in self.hidden)
        return one - other

    def _hidden(self) -> dict[str, object]:
        """The hidden keys, and what they take of the rows of each item."""
        keys, weights = list(self.hidden[0].keys), [hidden.weight for hidden in self.hidden]
        renormalized = {"renormalized": True} if self.hidden[0].is_renormalized else {}
        return {"keys": keys, "weight": np.stack(weights)} | renormalized

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
    weights = with_columns(
        [head.steps[Step.WEIGHTS].astype(np.float64) for head in heads],
        [None if head.sink is None else head.sink.weight for head in heads],
    )
    keys = len(heads[0].keys)
    difference = weights[0] - weights[1] if len(weights) == _PAIR else None
    matrix = (
        measure_distances(weights, distance) if rows is None else measure_distances_of_rows(rows, distance)
    )
    return Comparison(
        heads[0].kind,
        distance,
        items=tuple(head.name for head in heads),
        matrix=matrix,
        difference=None if difference is None else difference[:, :keys],
        part=None if rows is None else heads[0],
        sink_difference=None if difference is None or keys == difference.shape[-1] else difference[:, -1],
        hidden=tuple(head.hidden for head in heads if head.hidden is not None),
    )


def with_columns(weights: Sequence[Matrix], given: Sequence[Matrix | None]) -> list[Matrix]:
    """The weights (T, S) of each head, or (T, S + 1) if any has a learned sink or hidden keys: one more key.

    `given` (T,) is what those take; a head without any gives them nothing.
    """
    if all(column is None for column in given):
        return list(weights)
    columns = [
        np.zeros(len(rows)) if column is None else column for rows, column in zip(weights, given, strict=True)
    ]
    return [
        np.concatenate([rows, column[:, None]], axis=-1)
        for rows, column in zip(weights, columns, strict=True)
    ]
