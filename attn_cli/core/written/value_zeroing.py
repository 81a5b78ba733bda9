"""How much the values of each key matter to the output of a whole layer: value zeroing.

Mohebbi et al. 2023, arXiv:2301.12971: C_ij = 1 - cos(x̃_i without j, x̃_i), x̃ the output of the layer, when
the values of key j are zero in all of its heads. The weights stay as they are, so no second attention is
computed: the contexts of row i lose α_ij v_j, and the rest of the layer runs on them. H heads, T queries, S
keys, K of them at once, D features of a head, M of the model; leading axes are batches.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from attn_cli.core.arrays import Array, Booleans, Exact, exact, namespace, taken, to_numpy
from attn_cli.core.attention import Operands, allowed, trace

_NUMBERS = 1 << 21  # of changed contexts that are held at once: 8 MB, and a few times that in what follows
_ROWS = 64

Change: TypeAlias = Callable[[Array], Array]
"""Maps the contexts (..., H, T, D) of a layer's heads to others, which may have more leading axes."""

Rest: TypeAlias = Callable[[Sequence[int], Change], Array]
"""Maps some rows, and a change of their contexts, to the output (..., T, M) of the whole layer there."""


def value_zeroing(operands: Operands, rest: Rest) -> Array:
    """(..., T, S) the matrix of a layer: at most 2, and 0 where the query may not look.

    In the precision of the layer.
    """
    like, count = operands.queries, int(operands.queries.shape[-2])
    blocks = [range(first, min(first + _ROWS, count)) for first in range(0, count, _ROWS)]
    matrix = np.concatenate([_of_rows(operands.at(rows), partial(rest, rows)) for rows in blocks], axis=-2)
    return namespace(like).asarray(matrix, dtype=like.dtype, device=like.device)


def _of_rows(operands: Operands, rest: Callable[[Change], Array]) -> Exact:
    """(..., T, S) the same of a few rows."""
    mask, weights = to_numpy(allowed(operands)), trace(operands).weights
    values = taken(operands.values, [operands.kv_head(head) for head in range(operands.heads)], -3)
    whole = _directions(rest(lambda contexts: contexts))
    found = np.zeros((*whole.shape[:-1], mask.shape[-1]))
    for keys in _chunks(mask, operands.heads * int(values.shape[-1])):
        lost = _lost(taken(weights, keys, -1), taken(values, keys, -2))
        without = _directions(rest(partial(_less, lost)))
        halves = 0.5 * ((without - whole) ** 2).sum(axis=-1)  # 1 - cos, without cancellation
        found[..., keys] = np.moveaxis(halves, 0, -1)
    return np.where(mask, found, 0.0)


def _chunks(mask: Booleans, features: int) -> Iterator[list[int]]:
    """The keys that any row may look at, as many at once as memory allows."""
    keys = np.flatnonzero(mask.reshape(-1, mask.shape[-1]).any(axis=0)).tolist()
    size = max(1, _NUMBERS // (mask.shape[-2] * features))
    return (keys[first : first + size] for first in range(0, len(keys), size))


def _lost(weights: Array, values: Array) -> Array:
    """(K, ..., H, T, D) what each key adds, from weights (..., H, T, K) and values (..., H, K, D)."""
    xp = namespace(weights)
    return xp.moveaxis(weights, -1, 0)[..., None] * xp.moveaxis(values, -2, 0)[..., None, :]


def _less(lost: Array, contexts: Array) -> Array:
    """(K, ..., H, T, D) the contexts (..., H, T, D) without what each key adds to them."""
    return contexts[None] - lost


def _directions(vectors: Array) -> Exact:
    """The vectors (..., M) divided by their lengths, in float64; zeros stay zeros."""
    precise = exact(vectors)
    lengths = np.linalg.norm(precise, axis=-1, keepdims=True)
    return np.asarray(precise / np.where(lengths > 0, lengths, 1.0))
