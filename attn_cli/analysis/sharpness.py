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
    telling = telling_cells(special) if keys is None else crossing_cells(special, keys)
    rows = telling.any(axis=-1)
    if not rows.any():
        return np.zeros(weights.shape[0])
    above_average: Matrix = weights - weights[:, ~special].mean(axis=-2, keepdims=True)
    return np.asarray(np.where(telling, above_average, 0.0)[:, rows].max(axis=-1).mean(axis=-1))


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
