"""What a head does, judged by where its weight goes: to the previous token, to an earlier copy, and so on.

A score is the weight on the tokens of the pattern (for `broad`, the entropy divided by its maximum), averaged
over the rows in which the pattern could show: from 0 to 1, and 1 for a head that does nothing else. The
patterns are those of Clark et al. 2019 (arXiv:1906.04341) and Olsson et al. 2022 (arXiv:2209.11895).
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

_REPEATS = 3  # repeated tokens: with fewer, an induction head shows little but the first token
_SINGLED_OUT = 0.4  # the score from which a head is named after a pattern
_RESTING = 0.5  # the score for the first token, the attention sink of unneeded weight (arXiv:2309.17453)
_SPREAD = 0.75  # the score for `broad`

_METRICS = {pattern: Metric(pattern.value) for pattern in Pattern if pattern is not Pattern.BROAD}
NEEDED = (*_METRICS.values(), Metric.ENTROPY, Metric.SINK)
"""The metrics needed to name a head's pattern."""


def choose_pattern(ids: npt.NDArray[np.integer]) -> Pattern:
    """The pattern a text of these tokens (T,) shows best: induction if some repeat, else previous token."""
    _, first, kind = np.unique(ids, return_index=True, return_inverse=True)
    rows = np.arange(ids.size) - first[kind] > 1  # the token occurred before, and was followed by another
    return Pattern.INDUCTION if rows.sum() >= _REPEATS else Pattern.PREVIOUS


@record(frozen=True, slots=True, eq=False)
class Tally:
    """The weight of a layer's heads on the tokens of a pattern, summed over rows."""

    totals: Matrix  # (H,)
    rows: int

    @property
    def scores(self) -> Matrix:
        """(H,) the mean over rows, 0 to 1; NaN if no row counts."""
        return self.totals / self.rows if self.rows else np.full_like(self.totals, np.nan)


def tally_patterns(measured: "RowMetrics", first_row: int = 1) -> dict[Pattern, Tally]:
    """Tally every pattern whose metric was measured, for the heads of one layer.

    Rows before `first_row` do not count, for example the first half of a text that is repeated.
    """
    on_tokens = {
        pattern: tally_metric(measured, metric, first_row)
        for pattern, metric in _METRICS.items()
        if metric in measured.values
    }
    return on_tokens | {Pattern.BROAD: _breadth(measured, first_row)}


def tally_metric(measured: "RowMetrics", metric: Metric, first_row: int) -> Tally:
    """Sum one metric over the rows that count for it, from `first_row` on."""
    return _summed(measured.values[metric], measured.eligible[metric], first_row)


def add_tallies(tallies: Iterable[Tally]) -> Tally:
    """The tally over several texts."""
    texts = list(tallies)
    return Tally(np.sum([tally.totals for tally in texts], axis=0), sum(tally.rows for tally in texts))


def name_pattern(scores: Mapping[Pattern, float]) -> Pattern | None:
    """The pattern of a head with these scores; None if none stands out.

    A head that does something in some rows often rests on the first token in the others, so what it does
    takes precedence over where it rests.
    """
    doing = (Pattern.INDUCTION, Pattern.DUPLICATE, Pattern.PREVIOUS, Pattern.CURRENT)
    best = max(doing, key=lambda pattern: scores.get(pattern, 0.0))
    if scores.get(best, 0.0) >= _SINGLED_OUT:
        return best
    if scores.get(Pattern.FIRST, 0.0) >= _RESTING:
        return Pattern.FIRST
    return Pattern.BROAD if scores.get(Pattern.BROAD, 0.0) >= _SPREAD else None


def _breadth(measured: "RowMetrics", first_row: int) -> Tally:
    """The entropy of each row divided by the maximum for the number of keys it may look at, and a sink."""
    keys = measured.visible_keys + (Metric.SINK in measured.values) * (measured.visible_keys > 0)
    return _summed(measured.values[Metric.ENTROPY] / np.log(np.maximum(keys, 2)), keys > 1, first_row)


def _summed(values: Matrix, rows: npt.NDArray[np.bool_], first_row: int) -> Tally:
    counted = rows & (np.arange(rows.size) >= first_row)
    return Tally(values[:, counted].sum(axis=-1, dtype=np.float64), int(counted.sum()))
