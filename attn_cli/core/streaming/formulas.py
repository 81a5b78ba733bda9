"""The four kinds of formula a metric can have, evaluated on blocks of rows or full matrices.

A number of what the softmax leaves behind, a sum over all keys, a sum over some pairs, what a key receives.
R rows, C columns of a block; rows are counted from its first.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from attn_cli.core.arrays import Array, Integers
from attn_cli.core.streaming.key_tokens import KeyTokens


class SoftmaxRows(NamedTuple):
    """What the softmax of some rows leaves behind, (..., R) each; of a row that may look nowhere zeros."""

    largest: Array  # max_j α_ij
    total: Array  # Σ_j α_ij: 1, less what the sink takes
    logsumexp: Array  # of the logits, the sink's among them
    mean_logit: Array | None  # Σ_j α_ij · logit_ij; None where no formula needs it


class SoftmaxFormula(NamedTuple):
    """A number for each row, out of what its softmax leaves behind."""

    compute: Callable[[SoftmaxRows], Array]
    needs_mean_logit: bool = False


class Coefficients(NamedTuple):
    """c_ij = `columns` + `slope` · i in some rows and columns."""

    columns: Array  # (C,); or (R, C), where rows differ by more than a slope
    slope: int = 0


class WeightedSum(NamedTuple):
    """Σ_j α_ij c_ij: a number for each row, out of one for each key, or for each pair.

    `coefficients` takes the tokens, some rows and some columns, and an array whose library and device are
    those of its answer; None: all are 0. Columns behind the last key have no weight, whatever it answers.
    """

    coefficients: Callable[[KeyTokens, range, range, Array], Coefficients | None]


class WeightOnPairs(NamedTuple):
    """Σ α_ij over some pairs: a number for each row.

    `pairs` takes the tokens and some rows, and answers with the row and the key of each pair; a key that does
    not exist has no weight.
    """

    pairs: Callable[[KeyTokens, range], tuple[Integers, Integers]]


class WeightReceived:
    """Σ_i α_ij: a number for each key, not for each row."""


Formula: TypeAlias = SoftmaxFormula | WeightedSum | WeightOnPairs | WeightReceived
