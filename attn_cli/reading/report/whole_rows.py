"""Whole rows of chosen queries, at every key and in full precision, beside weights that are pooled."""

from collections.abc import Sequence

import numpy as np

from attn_cli.answers.report import WholeRows
from attn_cli.core.arrays import to_numpy
from attn_cli.errors import AttnError
from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place
from attn_cli.reading.steps import ShownLayer, unwarned
from attn_cli.record import record

_BYTES = 5  # of a number that is kept as float32


@record(frozen=True, slots=True)
class RowChoice:
    """Queries whose whole rows are kept, of these heads; None: of all."""

    queries: Sequence[int]
    places: Sequence[Place] | None

    def heads_of(self, layer: int, count: int) -> list[int]:
        """The heads of this layer, which has so many, whose rows are kept."""
        if self.places is None:
            return list(range(count))
        return [head for number, head in self.places if number == layer]

    def size(self, reading: Reading, most: int) -> float:
        """Estimate the bytes of the rows.

        Raises:
            AttnError: they are more than `most`.
        """
        extent = reading.extent
        heads = len(extent.layers) * extent.heads if self.places is None else len(self.places)
        size = heads * len(self.queries) * len(reading.keys) * _BYTES
        if size > most:
            rows = "row" if len(self.queries) == 1 else "rows"
            of = "head" if heads == 1 else "heads"
            problem = f"{len(self.queries):,} whole {rows} of {heads:,} {of} are about {size / 1e6:,.0f} MB"
            fewer = "fewer --rows" if self.places is not None else "fewer --rows, or --heads for some heads"
            raise AttnError(f"{problem}, and a page holds {most / 1e6:,.0f} MB", fewer)
        return size


NO_ROWS = RowChoice((), ())
"""No whole rows."""


@unwarned
def whole_rows(shown: ShownLayer, choice: RowChoice) -> list[WholeRows]:
    """The rows of the heads of this layer.

    Raises:
        AttnError: a number is not finite.
    """
    heads, queries = choice.heads_of(shown.number, shown.layer.heads), choice.queries
    if not heads or not queries:
        return []
    mask = to_numpy(shown.layer.at(queries).mask)
    weights = np.where(mask, shown.weights(heads, queries), np.nan)
    sinks = [shown.weight_of_sink(head, queries) for head in heads]
    return [
        WholeRows(shown.number, head, queries, of_head, sink)
        for head, of_head, sink in zip(heads, weights, sinks, strict=True)
    ]
