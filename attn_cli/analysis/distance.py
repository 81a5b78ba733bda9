"""Distances between the weights of two heads: 0 for identical weights, 1 for nothing in common.

A row of weights is a distribution over the keys, of which a learned sink is one; the distance between two
heads is the mean over the rows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from attn_cli.grid import Matrix
from attn_cli.vocabulary import Distance

RowDistances = npt.NDArray[np.floating]


def measure_distances(weights: Sequence[Matrix], kind: Distance) -> Matrix:
    """(N, N) the pairwise distances of N heads, each (T, S): symmetric, with 0 on the diagonal."""
    return measure_distances_of_rows([weights], kind)


def measure_distances_of_rows(blocks: Iterable[Sequence[Matrix]], kind: Distance) -> Matrix:
    """(N, N) the same, from blocks of rows: each block has (R, S) for every head."""
    totals, count = np.zeros(()), 0
    for block in blocks:
        totals, count = totals + _summed(block, MEASURES[kind]), count + len(block[0])
    return np.asarray(totals / count)


def jensen_shannon(p: Matrix, q: Matrix) -> RowDistances:
    """(T,) the square root of the Jensen-Shannon divergence in bits: a metric, from 0 to 1.

    Lin 1991; Endres and Schindelin 2003, 10.1109/TIT.2003.813506.
    """
    both = p + q
    divergence = (_entropy_to_mean(p, both) + _entropy_to_mean(q, both)) / 2
    return np.asarray(np.sqrt(np.clip(divergence, 0.0, 1.0)))


def cosine(p: Matrix, q: Matrix) -> RowDistances:
    """(T,) 1 minus the cosine of the angle between the rows."""
    product = (p * q).sum(axis=-1)
    lengths = np.linalg.norm(p, axis=-1) * np.linalg.norm(q, axis=-1)
    alike = np.divide(product, lengths, out=np.ones_like(product), where=lengths > 0)
    return np.asarray(np.clip(1.0 - alike, 0.0, 1.0))


def total_variation(p: Matrix, q: Matrix) -> RowDistances:
    """(T,) half the sum of the absolute differences: the weight to move to turn one row into the other."""
    return np.asarray(np.abs(p - q).sum(axis=-1) / 2)


MEASURES: Mapping[Distance, Callable[[Matrix, Matrix], RowDistances]] = MappingProxyType(
    {
        Distance.JENSEN_SHANNON: jensen_shannon,
        Distance.COSINE: cosine,
        Distance.TOTAL_VARIATION: total_variation,
    }
)


def _summed(weights: Sequence[Matrix], measure: Callable[[Matrix, Matrix], RowDistances]) -> Matrix:
    """(N, N) the pairwise distances, summed over rows."""
    exact = [np.asarray(of_head, dtype=np.float64) for of_head in weights]
    table = np.zeros((len(exact), len(exact)))
    for one in range(len(exact)):
        for other in range(one):
            rows = _unless_one_is_empty(exact[one], exact[other], measure(exact[one], exact[other]))
            table[one, other] = table[other, one] = rows.sum()
    return table


def _unless_one_is_empty(p: Matrix, q: Matrix, rows: RowDistances) -> RowDistances:
    """(T,) `rows`, but 1 where exactly one of the two rows is all zeros: they have nothing in common."""
    return np.asarray(np.where(p.any(axis=-1) != q.any(axis=-1), 1.0, rows))


def _entropy_to_mean(p: Matrix, both: Matrix) -> RowDistances:
    """(T,) Σ p·log2(p/m) with the mean m = both / 2; terms with p = 0 are 0.

    p is doubled instead of halving `both`, because half of the smallest number would be 0.
    """
    ratio = np.divide(2 * p, both, out=np.ones_like(p), where=p > 0)
    return np.asarray((p * np.log2(ratio)).sum(axis=-1))
