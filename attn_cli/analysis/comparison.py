"""Heads against heads: their distances as a matrix, and where two of them differ."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from attn_cli.analysis.distance import distances
from attn_cli.core.grid import Grid, Head, Matrix, grid
from attn_cli.vocabulary import Distance, Step

_PAIR = 2


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two or more heads have in common; N heads, T queries, S keys."""

    distance: Distance
    items: tuple[str, ...]  # the heads' names
    matrix: Matrix  # (N, N)
    difference: Matrix | None  # (T, S) the first less the second; None where there are more than two

    def fields(self) -> dict[str, object]:
        """What the JSON object holds of it."""
        found: dict[str, object] = {
            "distance": self.distance.value,
            "items": list(self.items),
            "matrix": self.matrix,
        }
        return found if self.difference is None else found | {"difference": self.difference}


def comparison(heads: Sequence[Head], kind: Distance) -> Comparison:
    """The weights of the heads, measured by `kind`."""
    weights = [head.steps[Step.WEIGHTS].astype(np.float64) for head in heads]
    difference = weights[0] - weights[1] if len(weights) == _PAIR else None
    return Comparison(kind, tuple(head.name for head in heads), distances(weights, kind), difference)


def measures(compared: Comparison, views: Sequence[Grid]) -> list[Grid]:
    """The distances, and of two heads, whose weights `views` are, the difference."""
    apart = [distance_view(compared)]
    return apart if compared.difference is None else [*apart, difference_view(compared, *views)]


def distance_view(compared: Comparison) -> Grid:
    """The distances with the heads' names on both sides, coloured from 0 to 1."""
    names = compared.items
    return grid(str(compared.distance), compared.matrix, names, names, limits=(0.0, 1.0), are_tokens=False)


def difference_view(compared: Comparison, one: Grid, other: Grid) -> Grid:
    """The first head's weights less the second's, where either may look."""
    assert compared.difference is not None, "only two heads have a difference"
    title = f"weights {compared.items[0]} − {compared.items[1]}"
    values = np.asarray(compared.difference, dtype=np.float64)
    seen = grid(title, values, one.rows, one.columns, one.visible | other.visible)
    reach = max(abs(limit) for limit in seen.limits)
    return replace(seen, limits=(-reach, reach), by_size=True)
