"""The rows in which a head could do what a metric measures; no other rows count in its mean."""

from collections.abc import Callable, Collection
from typing import TypeAlias

import numpy as np

from attn_cli.core.arrays import Booleans, Indices, Integers, device_of, namespace, to_numpy
from attn_cli.core.attention import Operands
from attn_cli.core.masks import Band
from attn_cli.core.streaming.key_tokens import NO_KEY, KeyTokens
from attn_cli.core.streaming.metrics import DEFINITIONS
from attn_cli.vocabulary import Metric

Sees: TypeAlias = Callable[[Indices, Indices], Booleans]
"""Maps rows (R,) and one key for each (R,) to whether the row may look at that key."""

_BLOCK = 256  # rows: other rules than bands are evaluated on square blocks, of which the diagonal is used


def find_eligible_rows(
    metrics: Collection[Metric], tokens: KeyTokens, visible_keys: Integers, sees: Sees, first: int = 0
) -> dict[Metric, Booleans]:
    """(T,) for each row metric: whether the keys it is about exist for the row, and the row may look at them.

    `visible_keys` (T,) is the number of keys each row may look at. Rows are numbered from `first` on.
    """
    rows = range(first, first + visible_keys.size)
    places = tokens.places(rows)
    eligible: dict[Metric, Booleans] = {}
    for metric in metrics:
        nearest_keys = DEFINITIONS[metric].nearest_keys
        eligible[metric] = (
            visible_keys > 0
            if nearest_keys is None
            else _sees_any(nearest_keys(tokens, places), np.asarray(rows), sees)
        )
    return eligible


def sees_by_rule(operands: Operands) -> Sees:
    """Evaluate the mask of a layer on single pairs."""
    rule, like = operands.mask, operands.queries
    if isinstance(rule, Band):
        return lambda rows, keys: np.asarray(rule(rows, keys))
    xp, device = namespace(like), device_of(like)

    def of_pairs(rows: Indices, keys: Indices) -> Booleans:
        queries, columns = (xp.asarray(places, device=device) for places in (rows, keys))
        matrix = to_numpy(rule(queries[:, None], columns[None, :]))
        return np.broadcast_to(matrix, (rows.size, rows.size)).diagonal()

    def sees(rows: Indices, keys: Indices) -> Booleans:
        blocks = [slice(start, start + _BLOCK) for start in range(0, rows.size, _BLOCK)]
        return np.concatenate([np.zeros(0, bool), *(of_pairs(rows[block], keys[block]) for block in blocks)])

    return sees


def sees_by_matrix(mask: Booleans, first: int = 0) -> Sees:
    """Look up single pairs in a mask (T, S), whose rows are numbered from `first` on."""
    return lambda rows, keys: mask[rows - first, keys]


def _sees_any(keys: tuple[Indices, ...], rows: Indices, sees: Sees) -> Booleans:
    """(T,) whether each row may look at any of its keys."""
    visible = [(key != NO_KEY) & sees(rows, np.maximum(key, 0)) for key in keys]
    return np.asarray(np.any(visible, axis=0))
