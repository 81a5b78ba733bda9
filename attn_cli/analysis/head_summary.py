"""A summary of each head on a text: a few numbers, and the name of its pattern."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite

import numpy as np

from attn_cli.analysis.patterns import name_pattern, tally_metric, tally_patterns
from attn_cli.core.streaming.metrics import DEFINITIONS
from attn_cli.core.streaming.row_metrics import RowMetrics
from attn_cli.grid import Matrix
from attn_cli.record import record
from attn_cli.vocabulary import Kind, Metric, Pattern


@record(frozen=True, slots=True)
class HeadSummary:
    """One head: the mean of each metric, and the pattern that it is known by."""

    kind: Kind
    layer: int
    head: int
    metrics: Mapping[Metric, float | None]  # None: no row of the text has what it asks for
    pattern: Pattern | None  # None: no pattern stands out
    score: float | None  # of the pattern, 0 to 1

    @property
    def name(self) -> str:
        """`LAYER.HEAD`, as a person selects it."""
        return f"{self.layer}.{self.head}"

    def fields(self) -> dict[str, int | float | str | None]:
        """All of it by the words of a file."""
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
    """The heads of one layer; `measured` are those of `heads`, in their order.

    Weights on certain tokens are means over the rows that could look at such tokens, other metrics over
    those that look at all. The first row of a text says nothing about where a head looks; that of a
    decoder that looks at another text does.
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
    """A metric of the heads by their layers and numbers."""
    return {(summary.layer, summary.head): summary.metrics[metric] for summary in heads}


def _means(measured: RowMetrics, metric: Metric, first_row: int) -> Matrix:
    """(H,) NaN where no row of the text has what the metric asks for."""
    definition = DEFINITIONS[metric]
    if definition.is_of_keys:
        looking = int((measured.visible_keys > 0).sum())
        return np.asarray(measured.values[metric].max(axis=-1) / max(1, looking))
    asks_where = definition.nearest_keys is not None
    return np.asarray(tally_metric(measured, metric, first_row if asks_where else 0).scores)


def _number(value: float) -> float | None:
    """In the precision of the metrics, float32, as a short decimal; None for NaN."""
    return float(str(np.float32(value))) if isfinite(value) else None
