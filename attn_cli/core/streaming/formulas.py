"""The kinds of formula a metric can have, evaluated on blocks of rows or full matrices.

They are a function of the softmax's statistics, a weighted sum over all keys, the weight on some pairs, the
weight a key receives, and norms of what is written, which need W^O. R rows, C columns of a block; rows are
counted from its first.
"""

from collections.abc import Callable
from typing import TypeAlias

from attn_cli.core.arrays import Array, Integers
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.record import record


@record(frozen=True, slots=True)
class SoftmaxRows:
    """Statistics of the softmax of some rows, (..., R) each; zeros for a row that may look nowhere.

    Logits count from the largest of the row, because those of 30 or 300 have fewer decimals than an entropy.
    """

    largest: Array  # max_j α_ij
    total: Array  # Σ_j α_ij: 1, less what the sink takes
    logsumexp: Array  # of the logits less the largest, including the sink
    mean_logit: Array | None  # Σ_j α_ij · (logit_ij - largest); None if no formula needs it
    sink: Array | None = None  # the weight of the sink, 1 for a row that may look nowhere; None without one


@record(frozen=True, slots=True)
class SoftmaxFormula:
    """A number per row, computed from the statistics of its softmax."""

    compute: Callable[[SoftmaxRows], Array]
    needs_mean_logit: bool = False


@record(frozen=True, slots=True)
class Coefficients:
    """c_ij = `columns` + `slope` · i in some rows and columns."""

    columns: Array  # (C,), or (R, C) if rows differ by more than a slope
    slope: int = 0


@record(frozen=True, slots=True)
class WeightedSum:
    """Σ_j α_ij c_ij: a number per row, with a coefficient for each key or each pair.

    `coefficients` takes the tokens, some rows and some columns, and an array whose library and device the
    result should have; None means all are 0. Columns after the last key have no weight, whatever it returns.
    """

    coefficients: Callable[[KeyTokens, range, range, Array], Coefficients | None]
    is_mean: bool = False  # whether it is divided by Σ_j α_ij, which is 1 unless a sink takes weight


@record(frozen=True, slots=True)
class WeightOnPairs:
    """Σ α_ij over some pairs: a number per row.

    `pairs` takes the tokens and some rows, and returns the row and the key of each pair; a key that does not
    exist has no weight.
    """

    pairs: Callable[[KeyTokens, range], tuple[Integers, Integers]]


class WeightReceived:
    """Σ_i α_ij: a number per key instead of per row."""


class NormWritten:
    """Σ_j ‖α_ij f(x_j)‖ or a share of it: not of weights alone, so `core.written.norms` computes it."""


class DirectEffect:
    """Σ_j α_ij f(x_j) · r_i: known when all layers have run, so `reading.effects.following` computes it."""


Formula: TypeAlias = (
    SoftmaxFormula | WeightedSum | WeightOnPairs | WeightReceived | NormWritten | DirectEffect
)
