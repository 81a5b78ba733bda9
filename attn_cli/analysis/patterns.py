"""What a head does, judged by where its weight goes: the previous token, an earlier copy, and so on.

A score is the mean, over the rows in which the pattern could show, of the weight on the tokens that
the pattern names (of `broad`: of its entropy as a share of the largest): 0 to 1, and 1 for a head that
does nothing else. The patterns are those of Clark et al. 2019 (arXiv:1906.04341) and Olsson et al. 2022
(arXiv:2209.11895).
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from attn_cli.grid import Matrix
from attn_cli.record import record
from attn_cli.vocabulary import Metric, Pattern

if TYPE_CHECKING:
    from attn_cli.core.streaming.row_metrics import RowMetrics

_REPEATS = 3  # tokens that have stood before: fewer make a picture of little but the first token
_SINGLED_OUT = 0.4  # of the weight on one pattern's tokens: then the head has its name
_RESTING = 0.5  # on the first token, where weight goes that is not needed (arXiv:2309.17453)
_SPREAD = 0.75  # of the largest entropy that the rows could have

_METRICS = {pattern: Metric(pattern.value) for pattern in Pattern if pattern is not Pattern.BROAD}
NEEDED = (*_METRICS.values(), Metric.ENTROPY)
"""What must be known of a head to tell its pattern."""


def choose_pattern(ids: npt.NDArray[np.integer]) -> Pattern:
    """What a text of these tokens (T,) shows best: induction where some stand twice, else previous token."""
    _, first, kind = np.unique(ids, return_index=True, return_inverse=True)
    rows = np.arange(ids.size) - first[kind] > 1  # where the token stood before, and another followed
    return Pattern.INDUCTION if rows.sum() >= _REPEATS else Pattern.PREVIOUS


@record(frozen=True, slots=True, eq=False)
class Tally:
    """How much weight the heads of a layer put on a pattern's tokens, summed over rows."""

    totals: Matrix  # (H,)
    rows: int

    @property
    def scores(self) -> Matrix:
        """(H,) the mean of a row, 0 to 1; NaN where the pattern could show in none."""
        return self.totals / self.rows if self.rows else np.full_like(self.totals, np.nan)


def tally_patterns(measured: "RowMetrics", first_row: int = 1) -> dict[Pattern, Tally]:
    """How the heads of one layer score on every pattern whose metric was measured.

    Rows before `first_row` do not count: the first half of a text that repeats itself, say.
    """
    on_tokens = {
        pattern: tally_metric(measured, metric, first_row)
        for pattern, metric in _METRICS.items()
        if metric in measured.values
    }
    return on_tokens | {Pattern.BROAD: _breadth(measured, first_row)}


def tally_metric(measured: "RowMetrics", metric: Metric, first_row: int) -> Tally:
    """One metric over the rows in which it asks for something that exists."""
    return _summed(measured.values[metric], measured.eligible[metric], first_row)


def add_tallies(tallies: Iterable[Tally]) -> Tally:
    """Several texts as one."""
    texts = list(tallies)
    return Tally(np.sum([tally.totals for tally in texts], axis=0), sum(tally.rows for tally in texts))


def name_pattern(scores: Mapping[Pattern, float]) -> Pattern | None:
    """The pattern that a head of these scores is known by; None where none stands out.

    A head that finds something to do rests on the first token elsewhere, so what it does then counts
    before where it rests.
    """
    doing = (Pattern.INDUCTION, Pattern.DUPLICATE, Pattern.PREVIOUS, Pattern.CURRENT)
    best = max(doing, key=lambda pattern: scores.get(pattern, 0.0))
    if scores.get(best, 0.0) >= _SINGLED_OUT:
        return best
    if scores.get(Pattern.FIRST, 0.0) >= _RESTING:
        return Pattern.FIRST
    return Pattern.BROAD if scores.get(Pattern.BROAD, 0.0) >= _SPREAD else None


def _breadth(measured: "RowMetrics", first_row: int) -> Tally:
    """The entropy of a row as a share of the largest that as many tokens could have."""
    largest = np.log(np.maximum(measured.visible_keys, 2))
    return _summed(measured.values[Metric.ENTROPY] / largest, measured.visible_keys > 1, first_row)


def _summed(values: Matrix, rows: npt.NDArray[np.bool_], first_row: int) -> Tally:
    counted = rows & (np.arange(rows.size) >= first_row)
    return Tally(values[:, counted].sum(axis=-1, dtype=np.float64), int(counted.sum()))
