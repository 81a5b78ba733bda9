"""What a head does on one text: its score for a pattern, and the pair of tokens that shows it best."""

import numpy as np
import numpy.typing as npt

from attn_cli.analysis.evidence_rows import count_different
from attn_cli.core.streaming.formulas import WeightOnPairs
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import DEFINITIONS
from attn_cli.grid import Matrix
from attn_cli.record import record
from attn_cli.vocabulary import Metric, Pattern


@record(frozen=True, slots=True)
class TokenPair:
    """A query, a key that it attends to, and the weight."""

    query: int
    key: int
    weight: float


@record(frozen=True, slots=True)
class Evidence:
    """How clearly one head shows a pattern on one text."""

    pattern: Pattern
    score: float  # 0 to 1: the mean weight on the pattern's keys, over the rows that could show it
    clearest: TokenPair
    rows: int  # those rows
    different: int  # their different tokens


def find_evidence(
    weights: Matrix,
    mask: npt.NDArray[np.bool_],
    tokens: KeyTokens,
    pattern: Pattern,
    counted: npt.NDArray[np.bool_] | None = None,
) -> Evidence | None:
    """How clearly weights (T, S) with a mask (T, S) show the pattern; None if no row could show it.

    The first row does not count, as in `summarise_heads`; nor do rows outside `counted` (T,), if it is given.
    The pattern must be one with keys: any but `broad`.
    """
    formula = DEFINITIONS[Metric(pattern.value)].formula
    assert isinstance(formula, WeightOnPairs), f"{pattern} names no keys"
    rows, keys = formula.pairs(tokens, range(weights.shape[0]))
    exist = (rows > 0) & (keys >= 0) & (keys < weights.shape[1])
    if counted is not None:
        exist &= counted[rows]
    rows, keys = rows[exist], keys[exist]
    visible = mask[rows, keys]
    rows, keys = rows[visible], keys[visible]
    if not rows.size:
        return None
    values = weights[rows, keys].astype(np.float64)
    best = int(values.argmax())
    clearest = TokenPair(int(rows[best]), int(keys[best]), float(values[best]))
    which = np.zeros(weights.shape[0], bool)
    which[rows] = True
    count = int(which.sum())
    return Evidence(pattern, float(values.sum()) / count, clearest, count, count_different(tokens, which))
