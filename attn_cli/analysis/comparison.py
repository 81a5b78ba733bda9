"""Heads against heads: their distances as a matrix, and where two of them differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attn_cli.analysis.distance import distances
from attn_cli.core.grid import Grid, grid
from attn_cli.vocabulary import Distance

Matrix = npt.NDArray[np.floating]


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


def comparison(names: Sequence[str], weights: Sequence[Matrix], kind: Distance) -> Comparison:
    """The heads `names`, each with its weights (T, S), measured by `kind`."""
    is_pair = len(weights) == 2  # noqa: PLR2004
    difference = np.asarray(weights[0] - weights[1]) if is_pair else None
    return Comparison(kind, tuple(names), distances(weights, kind), difference)


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
    return grid(title, values, one.rows, one.columns, seen.visible, (-reach, reach))
