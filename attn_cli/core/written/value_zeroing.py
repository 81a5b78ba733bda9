"""How much the value of each key matters to the output of a whole layer: value zeroing.

Mohebbi et al. 2023, arXiv:2301.12971: C_ij = 1 - cos(x̃_i without j, x̃_i), x̃ the output of the layer, when the
value of key j is zero in all of its heads. The weights stay as they are, so no second attention is computed:
the contexts of row i lose α_ij v_j, and the rest of the layer runs on them. H heads, R rows, K keys, D
features.
"""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attn_cli.core.arrays import Array, Booleans, Exact, exact, namespace, taken, to_numpy
from attn_cli.core.attention import trace

if TYPE_CHECKING:
    from attn_cli.core.multihead import Attention

_NUMBERS = 1 << 21  # of changed contexts that are held at once: 8 MB, and a few times that in what follows
_ROWS = 64


def value_zeroing(attention: "Attention") -> Array:
    """(T, S) the matrix of a layer; call it only if the rest of the layer is known.

    0 where the query may not look, and at most 2. In the precision of the layer.
    """
    like, count = attention.operands.queries, int(attention.operands.queries.shape[-2])
    blocks = [range(first, min(first + _ROWS, count)) for first in range(0, count, _ROWS)]
    matrix = np.concatenate([_of_rows(attention.at(rows)) for rows in blocks])
    xp = namespace(like)
    return xp.asarray(matrix, dtype=like.dtype, device=like.device)


def _of_rows(attention: "Attention") -> Exact:
    """(R, S) the same of a few rows."""
    assert attention.rest is not None, "checked by the caller"
    operands, rest = attention.operands, attention.rest
    mask = to_numpy(attention.mask)
    weights = trace(operands).weights  # (H, R, S)
    values = taken(operands.values, [operands.kv_head(head) for head in range(operands.heads)], -3)
    whole = _directions(rest(attention, lambda contexts: contexts))
    found = np.zeros(mask.shape)
    for keys in _chunks(mask, operands.heads * int(values.shape[-1])):
        lost = _lost(taken(weights, keys, -1), taken(values, keys, -2))
        without = _directions(rest(attention, partial(_less, lost)))
        found[:, keys] = 0.5 * ((without - whole) ** 2).sum(axis=-1).T  # 1 - cos, without cancellation
    return np.where(mask, found, 0.0)


def _chunks(mask: Booleans, features: int) -> Iterator[list[int]]:
    """The keys that any row may look at, as many at once as memory allows."""
    keys = np.flatnonzero(mask.any(axis=0)).tolist()
    size = max(1, _NUMBERS // (mask.shape[0] * features))
    return (keys[first : first + size] for first in range(0, len(keys), size))


def _less(lost: Array, contexts: Array) -> Array:
    """(K, H, R, D) the contexts (H, R, D) without what each key adds to them."""
    return contexts[None] - lost


def _lost(weights: Array, values: Array) -> Array:
    """(K, H, R, D) what each key adds to the contexts, from weights (H, R, K) and values (H, K, D)."""
    xp = namespace(weights)
    return xp.moveaxis(weights, -1, 0)[..., None] * xp.moveaxis(values, -2, 0)[:, :, None, :]


def _directions(vectors: Array) -> Exact:
    """The vectors (..., M) divided by their lengths, in float64; zeros stay zeros."""
    precise = exact(vectors)
    lengths = np.linalg.norm(precise, axis=-1, keepdims=True)
    return np.asarray(precise / np.where(lengths > 0, lengths, 1.0))
