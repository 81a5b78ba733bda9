"""How sharply a head focuses on tokens it selects by content; used to choose the default head.

Most heads look at the token itself, at a neighbour, or at a special token or the first one, which absorb
unneeded weight (arXiv:1906.04341, arXiv:2309.17453). Heads whose rows look elsewhere are more informative.
"""

import numpy as np
import numpy.typing as npt

from attn_cli.grid import Matrix


def measure_sharpness(
    weights: Matrix, special: npt.NDArray[np.bool_], keys: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.floating]:
    """(H,) how sharply the rows of each head focus on informative tokens, from 0 to 1.

    The mean over rows of the largest weight on a token that is not the row's own, nor adjacent to it, nor
    special, nor the first, minus the average weight of that token over all rows: a head whose rows all look
    at the same word says little. Rows of special tokens do not count. Shapes: weights (H, T, S), special
    (T,). If the keys belong to another text, `keys` (S,) tells which of those are special.
    """
    telling = _telling(special, keys)
    rows = telling.any(axis=-1)
    if not rows.any():
        return np.zeros(weights.shape[0])
    return np.asarray(_above_average(weights, special, telling)[:, rows].max(axis=-1).mean(axis=-1))


def find_sharpest_pair(
    weights: Matrix, special: npt.NDArray[np.bool_], keys: npt.NDArray[np.bool_] | None = None
) -> tuple[int, int]:
    """The query and the key at which a head of weights (T, S) looks most sharply, as measured above."""
    telling = _telling(special, keys)
    (above,) = _above_average(weights[None], special, telling)
    looked_at = telling & (weights > 0)  # a masked key is below no average
    query, key = np.unravel_index(int(np.where(looked_at, above, -np.inf).argmax()), above.shape)
    return int(query), int(key)


def _telling(special: npt.NDArray[np.bool_], keys: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_]:
    return telling_cells(special) if keys is None else crossing_cells(special, keys)


def _above_average(weights: Matrix, special: npt.NDArray[np.bool_], telling: npt.NDArray[np.bool_]) -> Matrix:
    """(H, T, S) the weight of informative cells minus the average weight of their key; 0 in other cells."""
    above: Matrix = weights - weights[:, ~special].mean(axis=-2, keepdims=True)
    return np.asarray(np.where(telling, above, 0.0))


def telling_cells(special: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(T, T) true for pairs of tokens at least two positions apart, where neither is special."""
    places = np.arange(special.size)
    apart = np.abs(places[:, None] - places[None, :]) > 1
    keys = ~special & (places > 0)
    return np.asarray(apart & keys[None, :] & ~special[:, None])


def crossing_cells(special: npt.NDArray[np.bool_], keys: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(T, S) true for pairs from two texts where neither token is special and the key is not the first."""
    places = np.arange(keys.size)
    return np.asarray(~special[:, None] & (~keys & (places > 0))[None, :])
