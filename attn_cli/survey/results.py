"""What a survey says: a row for each head and metric, and in how many documents a head shows each pattern."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from attn_cli.analysis.head_summary import HeadSummary
from attn_cli.analysis.patterns import sort_shares
from attn_cli.record import record
from attn_cli.shares import PatternShare
from attn_cli.survey.records import Layout
from attn_cli.survey.totals import ShownPattern, Summary, Totals
from attn_cli.vocabulary import Kind, Metric, Pattern

Place = tuple[int, int]


@record(frozen=True, slots=True)
class MetricRow:
    """A metric of a head over the documents that have it; without any, there are no numbers."""

    kind: Kind
    layer: int
    head: int
    metric: Metric
    mean: float | None
    deviation: float | None  # with n - 1; None: fewer than two documents
    low: float | None  # of the 95 % interval of the mean
    high: float | None
    rows: int
    documents: int


@record(frozen=True, slots=True)
class StrongRow:
    """A row that follows a pattern as few others do, and the command that shows it again."""

    source: str
    place: int  # the line or row of the document in its file; 0: it is the whole file
    start: int  # the first character of the window in the document
    row: int  # its position in the window, or in the document if that was not cut
    weight: float
    command: str | None  # None: the text cannot be typed


@record(frozen=True, slots=True)
class PatternRow:
    """In how many documents a head shows a pattern, of those with enough evidence for or against it."""

    kind: Kind
    layer: int
    head: int
    pattern: Pattern
    share: float  # of the documents
    low: float  # of the 95 % interval of that share
    high: float
    weight: float  # the mean over documents of what goes to the tokens of the pattern
    documents: int
    examples: tuple[StrongRow, ...] = ()


@record(frozen=True, slots=True)
class SurveyResult:
    """The rows of a survey, and what else its JSON object says; that is empty if a .csv file was read."""

    rows: tuple[MetricRow, ...]
    patterns: tuple[PatternRow, ...]
    about: Mapping[str, Any]

    @property
    def kind(self) -> Kind:
        """The kind of attention, which is the same in all rows."""
        return self.rows[0].kind

    @property
    def places(self) -> tuple[Place, ...]:
        """The layer and head of every head."""
        return tuple(dict.fromkeys((row.layer, row.head) for row in self.rows))

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics, in the order of the vocabulary."""
        found = {row.metric for row in self.rows}
        return tuple(metric for metric in Metric if metric in found)

    def of(self, metric: Metric) -> dict[Place, MetricRow]:
        """The rows of one metric."""
        return {(row.layer, row.head): row for row in self.rows if row.metric is metric}

    def shown(self) -> dict[tuple[Place, Pattern], PatternRow]:
        """The patterns by head and pattern."""
        return {((row.layer, row.head), row.pattern): row for row in self.patterns}

    def only(self, places: Sequence[Place]) -> "SurveyResult":
        """The rows of these heads, in this order."""
        order = {place: number for number, place in enumerate(places)}

        def chosen(rows: Sequence[Any]) -> tuple[Any, ...]:
            inside = (row for row in rows if (row.layer, row.head) in order)
            return tuple(sorted(inside, key=lambda row: order[row.layer, row.head]))

        return SurveyResult(chosen(self.rows), chosen(self.patterns), self.about)

    def summaries(self) -> Iterator[HeadSummary]:
        """Each head as `attn heads` lists it: means for metrics, and mean weights for patterns."""
        means: dict[Place, dict[Metric, float | None]] = {place: {} for place in self.places}
        shares: dict[Place, list[PatternShare]] = {place: [] for place in means}
        for row in self.rows:
            means[row.layer, row.head][row.metric] = row.mean
        for shown in self.patterns:
            share = PatternShare(shown.pattern, shown.weight, None)
            shares[shown.layer, shown.head].append(share)
        for (layer, head), metrics in means.items():
            ordered = {metric: metrics.get(metric) for metric in self.metrics}
            yield HeadSummary(self.kind, layer, head, ordered, sort_shares(shares[layer, head]))

    def fields(self) -> dict[str, Any]:
        """Its fields in the JSON object."""
        return {
            **self.about,
            "survey": [asdict(row) for row in self.rows],
            "patterns": [asdict(row) for row in self.patterns],
        }


def metric_rows(totals: Totals, metrics: Sequence[Metric]) -> Iterator[MetricRow]:
    """A row for each head and each of these metrics, by head."""
    layout = totals.layout
    summaries = {(metric, head): summary for metric, head, summary in totals.metrics()}
    for index, (layer, head) in enumerate(layout.places):
        for number, metric in enumerate(layout.metrics):
            if metric in metrics:
                summary = summaries.get((number, index), _NOTHING)
                yield MetricRow(layout.kind, layer, head, metric, **asdict(summary))


def pattern_rows(totals: Totals) -> Iterator[tuple[PatternRow, ShownPattern]]:
    """A row for each head and pattern, by head, and the examples that are not yet in it."""
    layout: Layout = totals.layout
    shown = {(head, pattern): one for pattern, head, one in totals.patterns()}
    for (index, number), one in sorted(shown.items(), key=lambda item: item[0]):
        place, pattern = layout.places[index], layout.patterns[number]
        share = one.shown / one.documents
        yield PatternRow(layout.kind, *place, pattern, share, *one.interval, one.share, one.documents), one


_NOTHING = Summary(None, None, None, None, 0, 0)
