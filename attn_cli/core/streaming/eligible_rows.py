"""The rows of a text in which a head could do what a metric measures; no other rows count."""

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
"""Rows (R,) and a key for each (R,) to whether the row may look there."""

_BLOCK = 256  # rows: a rule that is no band is asked about the pairs of a block, of which we want a diagonal


def find_eligible_rows(
    metrics: Collection[Metric], tokens: KeyTokens, visible_keys: Integers, sees: Sees
) -> dict[Metric, Booleans]:
    """(T,) for each metric of a row: whether the text has what it asks for, and the row may look there.

    `visible_keys` (T,) is how many keys the rows may look at.
    """
    rows = np.arange(visible_keys.size)
    eligible: dict[Metric, Booleans] = {}
    for metric in metrics:
        nearest_keys = DEFINITIONS[metric].nearest_keys
        eligible[metric] = (
            visible_keys > 0 if nearest_keys is None else _sees_any(nearest_keys(tokens, rows), rows, sees)
        )
    return eligible


def sees_by_rule(operands: Operands) -> Sees:
    """What the mask of a layer says of single pairs."""
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


def sees_by_matrix(mask: Booleans) -> Sees:
    """What a mask (T, S) says of single pairs."""
    return lambda rows, keys: mask[rows, keys]


def _sees_any(keys: tuple[Indices, ...], rows: Indices, sees: Sees) -> Booleans:
    """(T,) whether each row may look at one of its keys."""
    visible = [(key != NO_KEY) & sees(rows, np.maximum(key, 0)) for key in keys]
    return np.asarray(np.any(visible, axis=0))
