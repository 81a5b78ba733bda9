"""Distances between the weights of two heads: 0 for identical weights, 1 for nothing in common.

A row of weights is a distribution over the keys, of which a learned sink is one; the distance between two
heads is the mean over the rows that are not empty in both.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from attn_cli.grid import Matrix
from attn_cli.vocabulary import Distance

RowDistances = npt.NDArray[np.floating]


def measure_distances(weights: Sequence[Matrix], kind: Distance) -> Matrix:
    """(N, N) the pairwise distances of N heads, each (T, S): symmetric, with 0 on the diagonal.

    NaN for two heads of which every row is empty.
    """
    return measure_distances_of_rows([weights], kind)


def measure_distances_of_rows(blocks: Iterable[Sequence[Matrix]], kind: Distance) -> Matrix:
    """(N, N) the same, from blocks of rows: each block has (R, S) for every head."""
    totals, counts = np.zeros(()), np.zeros(())
    for block in blocks:
        of_block, counted = _summed(block, MEASURES[kind])
        totals, counts = totals + of_block, counts + counted
    means: Matrix = np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)
    np.fill_diagonal(means, 0.0)
    return means


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


def _summed(
    weights: Sequence[Matrix], measure: Callable[[Matrix, Matrix], RowDistances]
) -> tuple[Matrix, Matrix]:
    """(N, N) the pairwise distances, summed over the rows that are not empty in both; and (N, N) how many."""
    exact = [np.asarray(of_head, dtype=np.float64) for of_head in weights]
    have_weight = [of_head.any(axis=-1) for of_head in exact]
    totals, counts = np.zeros((2, len(exact), len(exact)))
    for one in range(len(exact)):
        for other in range(one):
            rows = measure(exact[one], exact[other])
            rows = np.where(have_weight[one] & have_weight[other], rows, 1.0)  # else nothing in common
            counted = have_weight[one] | have_weight[other]
            totals[one, other] = totals[other, one] = rows[counted].sum()
            counts[one, other] = counts[other, one] = counted.sum()
    return totals, counts


def _entropy_to_mean(p: Matrix, both: Matrix) -> RowDistances:
    """(T,) Σ p·log2(p/m) with the mean m = both / 2; terms with p = 0 are 0.

    p is doubled instead of halving `both`, because half of the smallest number would be 0.
    """
    ratio = np.divide(2 * p, both, out=np.ones_like(p), where=p > 0)
    return np.asarray((p * np.log2(ratio)).sum(axis=-1))
