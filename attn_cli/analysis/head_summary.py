"""Summarises each head on a text: a few numbers, and the name of its pattern."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite

import numpy as np

from attn_cli.analysis.evidence_rows import EvidenceRows, find_evidence_rows
from attn_cli.analysis.patterns import Tally, add_tallies, name_of, shares_of, tally_metric, tally_patterns
from attn_cli.core.streaming.formulas import WeightedSum
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import DEFINITIONS
from attn_cli.core.streaming.row_metrics import RowMetrics
from attn_cli.grid import Matrix
from attn_cli.record import record
from attn_cli.shares import PatternShare
from attn_cli.vocabulary import DType, Kind, Metric, Pattern


@record(frozen=True, slots=True)
class HeadSummary:
    """One head: the mean of each metric, and its patterns."""

    kind: Kind
    layer: int
    head: int
    metrics: Mapping[Metric, float | None]  # None: no row of the text counts for it
    patterns: tuple[PatternShare, ...] = ()  # those with enough rows, and a share worth telling
    is_renormalized: bool = False  # whether rows were divided by what hidden keys leave of them

    @property
    def name(self) -> str:
        """`LAYER.HEAD`, as in `--heads`."""
        return f"{self.layer}.{self.head}"

    @property
    def known_for(self) -> PatternShare | None:
        """The pattern that gives the head its name; None if none stands out."""
        return name_of(self.patterns)

    @property
    def pattern(self) -> Pattern | None:
        """The name of the head."""
        return None if self.known_for is None else self.known_for.pattern

    def named(self, patterns: Sequence[PatternShare]) -> "HeadSummary":
        """The same head with patterns that were measured elsewhere."""
        return replace(self, patterns=tuple(patterns))

    def fields(self) -> dict[str, object]:
        """Its fields in the JSON object."""
        known = self.known_for
        return {
            "kind": str(self.kind),
            "layer": self.layer,
            "head": self.head,
            "pattern": None if known is None else str(known.pattern),
            "score": None if known is None else known.share,
            "rows": None if known is None else known.rows,
            "patterns": [share.fields() for share in self.patterns],
            **{str(metric): value for metric, value in self.metrics.items()},
        }


@record(frozen=True, slots=True, eq=False)
class MeasuredText:
    """The metrics of a layer on one text, and the rows of the text that count."""

    metrics: RowMetrics
    tokens: KeyTokens
    first_row: int  # of weights on certain tokens; other metrics count every row, unless `is_later_only`
    is_later_only: bool = False

    @property
    def evidence(self) -> EvidenceRows:
        """The rows that are evidence for each pattern."""
        return find_evidence_rows(self.tokens, self.metrics.visible_keys)

    @property
    def patterns(self) -> Mapping[Pattern, Tally]:
        """The patterns of the heads; none if only some rows were measured: few of them would be evidence."""
        if self.tokens.rows is not None:
            return {}
        return tally_patterns(self.metrics, self.first_row, self.tokens, self.evidence)

    def sums(self, metric: Metric) -> tuple[Matrix, Matrix | float]:
        """(H,) a metric of the heads, summed over the rows that count for it, and what to divide by.

        Rows that are means over tokens count by what a learned sink leaves to tokens; others count once.
        """
        definition, measured = DEFINITIONS[metric], self.metrics
        if definition.is_of_keys:
            return measured.values[metric].max(axis=-1), int((measured.visible_keys > 0).sum())
        first_row = self.first_row if definition.skips_first_row or self.is_later_only else 0
        formula = definition.formula
        has_less = measured.left is not None or Metric.SINK in measured.values
        if has_less and isinstance(formula, WeightedSum) and formula.is_mean:
            return _sums_over_tokens(measured, metric, first_row)
        tally = tally_metric(measured, metric, first_row)
        return tally.totals, tally.rows


def summarise_heads(
    measured: RowMetrics,
    kind: Kind,
    layer: int,
    heads: Sequence[int],
    tokens: KeyTokens,
    dtype: DType = DType.FLOAT32,
) -> Iterator[HeadSummary]:
    """Summarise the heads of one layer on one text; `measured` has the metrics of `heads`, in their order.

    Weights on certain tokens are averaged over the rows that could look at such tokens, other metrics over
    all rows that may look anywhere. For weights on certain tokens the first row does not count, except in
    cross-attention: it says nothing about where a head looks.
    """
    text = MeasuredText(measured, tokens, 0 if kind is Kind.CROSS else 1)
    return summarise_texts([text], kind, layer, heads, dtype)


def summarise_texts(
    texts: Sequence[MeasuredText],
    kind: Kind,
    layer: int,
    heads: Sequence[int],
    dtype: DType = DType.FLOAT32,
) -> Iterator[HeadSummary]:
    """Summarise the heads of one layer over all rows of several texts; `dtype` is that of the model."""
    rounded = float if dtype is DType.FLOAT64 else _rounded
    tallied = [text.patterns for text in texts]
    patterns = {pattern: add_tallies(each[pattern] for each in tallied) for pattern in tallied[0]}
    names = texts[0].metrics.values
    means = {metric: _mean([text.sums(metric) for text in texts]) for metric in names}
    for index, head in enumerate(heads):
        numbers = {metric: float(of_heads[index]) for metric, of_heads in means.items()}
        metrics = {metric: rounded(one) if isfinite(one) else None for metric, one in numbers.items()}
        shares = (replace(share, share=rounded(share.share)) for share in shares_of(patterns, index))
        yield HeadSummary(kind, layer, head, metrics, tuple(shares))


def values_of(heads: Iterable[HeadSummary], metric: Metric) -> dict[tuple[int, int], float | None]:
    """A metric of the heads, by layer and head."""
    return {(summary.layer, summary.head): summary.metrics[metric] for summary in heads}


def with_sink_metric(heads: Sequence[HeadSummary], *, has_sinks: bool) -> list[HeadSummary]:
    """The heads; if the model has learned sinks, those without one have no value for that metric."""
    if not has_sinks and not any(Metric.SINK in head.metrics for head in heads):
        return list(heads)
    values = ({Metric.SINK: None, **head.metrics} for head in heads)
    ordered = ({metric: each[metric] for metric in Metric if metric in each} for each in values)
    return [replace(head, metrics=metrics) for head, metrics in zip(heads, ordered, strict=True)]


def _mean(sums: Iterable[tuple[Matrix, Matrix | float]]) -> Matrix:
    """(H,) the mean over all rows; NaN if no row counts, or a learned sink takes everything."""
    each = list(sums)
    totals = np.sum([total for total, _ in each], axis=0, dtype=np.float64)
    rows = np.broadcast_to(sum(count for _, count in each), totals.shape)
    return np.asarray(np.divide(totals, rows, out=np.full_like(totals, np.nan), where=rows > 0))


def _sums_over_tokens(measured: RowMetrics, metric: Metric, first_row: int) -> tuple[Matrix, Matrix]:
    """(H,) the sum of rows that are means over tokens, each times what the sink leaves to them, and that."""
    rows = measured.eligible[metric] & measured.are_from(first_row)
    of_rows = measured.left if measured.left is not None else 1.0 - measured.values[Metric.SINK]
    left = of_rows[:, rows].astype(np.float64)
    return (left * measured.values[metric][:, rows]).sum(axis=-1), left.sum(axis=-1)


def _rounded(value: float) -> float:
    """The value as float32, the precision of the metrics unless the model is in float64."""
    return float(str(np.float32(value)))
