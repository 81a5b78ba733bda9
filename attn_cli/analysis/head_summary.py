"""Summarises each head on a text: a few numbers, and the name of its pattern."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite

import numpy as np

from attn_cli.analysis.patterns import name_pattern, tally_metric, tally_patterns
from attn_cli.core.streaming.formulas import WeightedSum
from attn_cli.core.streaming.metrics import DEFINITIONS
from attn_cli.core.streaming.row_metrics import RowMetrics
from attn_cli.grid import Matrix
from attn_cli.record import record
from attn_cli.vocabulary import Kind, Metric, Pattern


@record(frozen=True, slots=True)
class HeadSummary:
    """One head: the mean of each metric, and its pattern."""

    kind: Kind
    layer: int
    head: int
    metrics: Mapping[Metric, float | None]  # None: no row of the text counts for it
    pattern: Pattern | None  # None: no pattern stands out
    score: float | None  # for the pattern, 0 to 1

    @property
    def name(self) -> str:
        """`LAYER.HEAD`, as in `--heads`."""
        return f"{self.layer}.{self.head}"

    def fields(self) -> dict[str, int | float | str | None]:
        """Its fields in the JSON object."""
        return {
            "kind": str(self.kind),
            "layer": self.layer,
            "head": self.head,
            "pattern": None if self.pattern is None else str(self.pattern),
            "score": self.score,
            **{str(metric): value for metric, value in self.metrics.items()},
        }


def summarise_heads(
    measured: RowMetrics, kind: Kind, layer: int, heads: Sequence[int]
) -> Iterator[HeadSummary]:
    """Summarise the heads of one layer; `measured` has the metrics of `heads`, in the same order.

    Weights on certain tokens are averaged over the rows that could look at such tokens, other metrics over
    all rows that may look anywhere. For weights on certain tokens the first row does not count, except in
    cross-attention: it says nothing about where a head looks.
    """
    first_row = 0 if kind is Kind.CROSS else 1
    scores = {pattern: tally.scores for pattern, tally in tally_patterns(measured, first_row).items()}
    means = {metric: _means(measured, metric, first_row) for metric in measured.values}
    for index, head in enumerate(heads):
        finite = {pattern: of_heads for pattern, of_heads in scores.items() if isfinite(of_heads[index])}
        of_head = {pattern: float(of_heads[index]) for pattern, of_heads in finite.items()}
        pattern = name_pattern(of_head)
        score = None if pattern is None else _number(of_head[pattern])
        metrics = {metric: _number(of_heads[index]) for metric, of_heads in means.items()}
        yield HeadSummary(kind, layer, head, metrics, pattern, score)


def values_of(heads: Iterable[HeadSummary], metric: Metric) -> dict[tuple[int, int], float | None]:
    """A metric of the heads, by layer and head."""
    return {(summary.layer, summary.head): summary.metrics[metric] for summary in heads}


def _means(measured: RowMetrics, metric: Metric, first_row: int) -> Matrix:
    """(H,) the mean of the metric; NaN if no row counts for it."""
    definition = DEFINITIONS[metric]
    if definition.is_of_keys:
        looking = int((measured.visible_keys > 0).sum())
        return np.asarray(measured.values[metric].max(axis=-1) / max(1, looking))
    formula = definition.formula
    if Metric.SINK in measured.values and isinstance(formula, WeightedSum) and formula.is_mean:
        return _mean_over_tokens(measured, metric)
    asks_where = definition.nearest_keys is not None
    return np.asarray(tally_metric(measured, metric, first_row if asks_where else 0).scores)


def _mean_over_tokens(measured: RowMetrics, metric: Metric) -> Matrix:
    """(H,) the mean of rows that are means over tokens, each counted by what the sink leaves to tokens.

    NaN for a head whose sink takes everything.
    """
    rows = measured.eligible[metric]
    left = 1.0 - measured.values[Metric.SINK][:, rows].astype(np.float64)
    sums, totals = (left * measured.values[metric][:, rows]).sum(axis=-1), left.sum(axis=-1)
    return np.asarray(np.divide(sums, totals, out=np.full_like(sums, np.nan), where=totals > 0))


def _number(value: float) -> float | None:
    """The value rounded to float32, the precision of the metrics; None for NaN."""
    return float(str(np.float32(value))) if isfinite(value) else None
