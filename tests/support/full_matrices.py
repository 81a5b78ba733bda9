"""The facts about heads from full matrices, cell by cell: what `summarise` is judged by."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands, trace

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Expected:
    """Every fact in float64."""

    weights: Numbers  # (H, T, S)
    mask: npt.NDArray[np.bool_]  # (T, S)
    facts: dict[str, Numbers]


def summary_of(
    operands: Operands, ids: npt.NDArray[np.int64] | None, special: npt.NDArray[np.bool_], picture: int
) -> Expected:
    """From the matrices that `trace` holds."""
    spelled = trace(operands)
    weights = to_numpy(spelled.weights).astype(np.float64)
    logits = to_numpy(spelled.logits).astype(np.float64)
    mask = to_numpy(spelled.mask)
    _, rows, columns = weights.shape
    i, j = np.arange(rows)[:, None], np.arange(columns)[None, :]
    facts: dict[str, Any] = {
        "logsumexp": _logsumexp(logits, operands.sink),
        "seen": mask.sum(axis=-1),
        "entropy": -np.where(weights > 0, weights * np.log(np.where(weights > 0, weights, 1)), 0).sum(-1),
        "largest": weights.max(axis=-1),
        "distance": (weights * abs(i - j)).sum(axis=-1),
        "current_token": (weights * (i == j)).sum(axis=-1),
        "previous_token": (weights * (i - 1 == j)).sum(axis=-1),
        "first_token": weights[..., 0],
        "special": weights[..., special].sum(axis=-1),
        "received": weights.sum(axis=-2),
        "picture": _pooled(weights, picture),
    }
    if ids is not None:
        facts |= {"duplicate_token": np.zeros(weights.shape[:2]), "induction": np.zeros(weights.shape[:2])}
        for query in range(rows):
            for copy in range(query):
                if ids[copy] == ids[query]:
                    facts["duplicate_token"][:, query] += weights[:, query, copy]
                    if copy + 1 < query:
                        facts["induction"][:, query] += weights[:, query, copy + 1]
    return Expected(weights, mask, facts)


def _logsumexp(logits: Numbers, sink: Any) -> Numbers:
    found = np.logaddexp.reduce(logits, axis=-1)
    return found if sink is None else np.logaddexp(found, to_numpy(sink).astype(np.float64)[:, None])


def _pooled(weights: Numbers, most: int) -> Numbers:
    heads, rows, columns = weights.shape
    tall, wide = -(-rows // most), -(-columns // most)
    cells = [
        [weights[:, r : r + tall, c : c + wide].mean(axis=(-2, -1)) for c in range(0, columns, wide)]
        for r in range(0, rows, tall)
    ]
    return np.moveaxis(np.array(cells), -1, 0).reshape(heads, len(cells), len(cells[0]))
