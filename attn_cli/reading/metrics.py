"""Measures the heads of a reading in memory that grows with the text, not with its square."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attn_cli.analysis.evidence_rows import count_different, find_evidence_rows
from attn_cli.analysis.head_filter import HeadFilter
from attn_cli.analysis.head_summary import HeadSummary, MeasuredText, summarise_texts, with_sink_metric
from attn_cli.analysis.patterns import NEEDED, choose_pattern, is_enough, rows_needed
from attn_cli.core.hiding import Hiding
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import DEFINITIONS, metrics_of_kind
from attn_cli.core.streaming.pooling import Pooled
from attn_cli.core.streaming.row_metrics import RowMetrics
from attn_cli.core.streaming.stream import RowProgress
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.source import Layer
from attn_cli.reading.default_head import are_special
from attn_cli.reading.long_texts.duration import check_duration, layers_of
from attn_cli.reading.measurement.focus import WHOLE_TEXT, Focus
from attn_cli.reading.memory import Work, check
from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place
from attn_cli.reading.steps import as_read, check_finite, run_layers, unwarned
from attn_cli.record import record
from attn_cli.vocabulary import Kind, Metric, Pattern, Pool, Step

_COPYING = (Pattern.INDUCTION, Pattern.DUPLICATE)
_ENABLED_BY = {
    Metric.HIDDEN: "--hide first, or other keys",
    Metric.ON: "--on 0-9, or other keys",
    Metric.WRITTEN_ON: "--on 0-9, or other keys",
    Metric.DIRECT: "attn effects TEXT, or of many documents attn survey --effects",
}
"""The option without which there is no such metric, or the command that has it."""


@unwarned
def measure_heads(
    reading: Reading,
    places: Sequence[Place],
    progress: RowProgress,
    hiding: Hiding | None = None,
    *,
    names: bool = True,
    focus: Focus = WHOLE_TEXT,
    is_writing: bool = False,
) -> list[HeadSummary]:
    """Measure the heads at `places`, in their order; layers after the last one do not run.

    `progress` is called with the number of query rows done and their total over all layers. If keys are
    hidden, metrics are those of the rows as they are shown, and if queries are chosen, of these alone; but
    patterns are those of all whole rows. `names`: whether patterns are needed. `is_writing`: whether it is
    measured too what heads write.

    Raises:
        AttnError: the weights are damaged, a head's weights are not finite numbers, memory is too small, or
            what the heads write is not known.
    """
    layers = sorted({layer for layer, _ in places})
    queries, keys = len(reading.queries), len(reading.keys)
    check_duration(reading, layers_of(places, reading.extent.heads))
    work = Work(queries, keys, layers=1 + max(layers), measured=len(places))
    check(reading.source, work, "a shorter text, or fewer layers or heads")
    rows = queries if focus.rows is None else len(focus.rows)
    summaries: dict[Place, HeadSummary] = {}
    for index, (layer, attention) in enumerate(run_layers(reading.of_tokens, layers)):
        chosen = [head for at, head in places if at == layer]
        measuring = _Measuring(reading, attention, layer, chosen, focus, is_writing)
        found = measuring.summaries(_shifted(progress, index * rows, len(layers) * rows), hiding, names=names)
        summaries |= {(layer, head.head): head for head in found}
    return with_sink_metric([summaries[place] for place in places], has_sinks=reading.extent.has_sinks)


def measure_and_pool(
    reading: Reading, number: int, layer: Layer, most: int, way: Pool
) -> tuple[list[HeadSummary], Pooled]:
    """All heads of a layer between tokens that has run, as `measure_heads` has them, with their weights.

    The weights are pooled into at most `most` rows and columns; with as many as tokens they are whole.

    Raises:
        AttnError: a number is not finite.
    """
    metrics = tuple(metric for metric in metrics_of_kind(reading.kind) if not metric.is_written)
    heads, tokens = range(layer.heads), _key_tokens(reading)
    if layer.opened is None:
        measured, pooled = layer.measure(heads, metrics, tokens), layer.pooled(heads, most, way)
    else:
        measured, pooled = layer.opened.measured_and_pooled(metrics, tokens, most, way)
    for head, is_finite in zip(heads, measured.are_finite & pooled.are_finite, strict=True):
        check_finite(bool(is_finite), f"weights of head {number}.{head}")
    dtype = reading.source.backend.dtype
    text = _as_text(reading, measured, tokens)
    summaries = list(summarise_texts([text], reading.kind, number, heads, dtype))
    return with_sink_metric(summaries, has_sinks=reading.extent.has_sinks), pooled


@record(frozen=True, slots=True, eq=False)
class _Measuring:
    """A layer of which some heads are measured."""

    reading: Reading
    attention: Layer  # between tokens
    number: int
    heads: Sequence[int]
    focus: Focus
    is_writing: bool

    def summaries(self, progress: RowProgress, hiding: Hiding | None, *, names: bool) -> list[HeadSummary]:
        """The heads, in their order."""
        kind = self.reading.kind
        shown = self._measure(self.reading, self._metrics, self.focus, progress, hiding)
        if hiding is None and self.reading.words is None and self.focus.rows is None:
            return shown
        needed = tuple(metric for metric in metrics_of_kind(kind) if metric in NEEDED)
        whole = self._measure(self.reading.of_tokens, needed, WHOLE_TEXT) if names else shown
        is_renormalized = hiding is not None and hiding.is_renormalized
        return [
            replace(head, patterns=of_whole.patterns, is_renormalized=is_renormalized)
            for head, of_whole in zip(shown, whole, strict=True)
        ]

    @property
    def _metrics(self) -> tuple[Metric, ...]:
        """What is measured of the rows that are shown.

        Raises:
            AttnError: what heads write is asked for, and not known.
        """
        every = metrics_of_kind(self.reading.kind)
        if not self.is_writing:
            return tuple(metric for metric in every if not metric.is_written)
        absent = self.attention.absent
        if Step.NORMS in absent:
            name = self.reading.source.card.name
            problem = f"{name} has no {Metric.WRITTEN} in layer {self.number}: {absent[Step.NORMS]}"
            raise AttnError(problem, "another metric, or other layers")
        return every

    def _measure(
        self,
        reading: Reading,
        metrics: Sequence[Metric],
        focus: Focus,
        progress: RowProgress | None = None,
        hiding: Hiding | None = None,
    ) -> list[HeadSummary]:
        text = measured_text(
            reading, self.attention, self.number, self.heads, metrics, focus, progress, hiding
        )
        dtype = reading.source.backend.dtype
        return list(summarise_texts([text], reading.kind, self.number, self.heads, dtype))


def measured_text(
    reading: Reading,
    attention: Layer,
    number: int,
    heads: Sequence[int],
    metrics: Sequence[Metric],
    focus: Focus = WHOLE_TEXT,
    progress: RowProgress | None = None,
    hiding: Hiding | None = None,
) -> MeasuredText:
    """The metrics of the heads of one layer between tokens, whose number is `number`, on one text.

    For weights on certain tokens the first row does not count, except in cross-attention: it says nothing
    about where a head looks.

    Raises:
        AttnError: the weights of a head are not finite numbers.
    """
    tokens = focus.tokens(_key_tokens(reading))
    whole = as_read(reading, attention)
    chosen = whole if focus.rows is None else whole.at(focus.rows)
    measured = chosen.measure(heads, metrics, tokens, progress, hiding)
    for head, is_finite in zip(heads, measured.are_finite, strict=True):
        check_finite(bool(is_finite), f"weights of head {number}.{head}")
    return _as_text(reading, measured, tokens)


def _as_text(reading: Reading, measured: RowMetrics, tokens: KeyTokens) -> MeasuredText:
    return MeasuredText(measured, tokens, 0 if reading.kind is Kind.CROSS else 1)


@record(frozen=True, slots=True)
class TooFewRows:
    """A pattern that some rows of a text could show, but too few to name a head."""

    pattern: Pattern
    rows: int  # that are evidence
    needed: int
    different: int  # tokens of those rows


def find_too_few_rows(reading: Reading) -> list[TooFewRows]:
    """The patterns after which the text can name no head, though it has a row that could show them.

    The rows are those of a layer that hides no earlier token.
    """
    reading = reading.of_tokens
    tokens, size = _key_tokens(reading), len(reading.queries)
    keys = len(reading.keys)
    visible = np.minimum(np.arange(size) + 1, keys) if reading.source.is_causal else np.full(size, keys)
    found = []
    for pattern, rows in find_evidence_rows(tokens, visible).items():
        is_possible = pattern not in _COPYING or bool((tokens.copies.before > 0).any())
        count, different = int(rows.sum()), count_different(tokens, rows)
        if is_possible and not is_enough(pattern, count, different):
            found.append(TooFewRows(pattern, count, rows_needed(pattern), different))
    return found


def choose_metric(
    reading: Reading,
    metric: Metric | None,
    head_filter: HeadFilter,
    focus: Focus = WHOLE_TEXT,
    *,
    hides: bool = False,
) -> Metric:
    """The metric of the map: `metric`, by default the weight on the chosen keys, if keys were chosen.

    Else it is induction if the whole text is measured and has repetitions, and entropy if not.

    Raises:
        UsageError: it, or a metric in the filter, cannot be measured for this kind of attention.
    """
    measured = metrics_of(reading, focus, hides=hides)
    for name in filter(None, (metric, *head_filter.metrics)):
        if name not in measured:
            others = f"one of {', '.join(measured)}"
            raise UsageError(_why_not(reading, name), _ENABLED_BY.get(name, others))
    return metric or _default_metric(reading, focus)


def _default_metric(reading: Reading, focus: Focus) -> Metric:
    if focus.on is not None:
        return Metric.ON
    ids = _key_tokens(reading).ids
    repeats = focus.rows is None and ids is not None and choose_pattern(ids) is Pattern.INDUCTION
    return Metric.INDUCTION if repeats else Metric.ENTROPY


def metrics_of(reading: Reading, focus: Focus = WHOLE_TEXT, *, hides: bool = False) -> tuple[Metric, ...]:
    """The metrics that heads of this kind of attention can have in this model; `hides`: keys are hidden."""
    has_sinks, has_on = reading.extent.has_sinks, focus.on is not None
    definitions = {metric: DEFINITIONS[metric] for metric in metrics_of_kind(reading.kind)}
    return tuple(
        metric
        for metric, definition in definitions.items()
        if (has_sinks or not definition.needs_sink)
        and (hides or not definition.needs_hidden)
        and (has_on or not definition.needs_on)
    )


def _why_not(reading: Reading, metric: Metric) -> str:
    """Why a metric cannot be measured."""
    if metric.is_effect:
        return f"{metric} is about what the model predicts, which attn heads does not measure of a text"
    if DEFINITIONS[metric].needs_hidden:
        return f"{metric} is the weight on hidden keys: no key is hidden"
    if DEFINITIONS[metric].needs_on:
        what = "what chosen keys add" if metric.is_written else "the weight on chosen keys"
        return f"{metric} is {what}: no key is chosen"
    if DEFINITIONS[metric].needs_sink:
        return f"{reading.source.card.name} has no {metric}: no head of it has a learned sink"
    return f"{reading.kind} attention has no {metric}: its queries and keys are different texts"


def _key_tokens(reading: Reading) -> KeyTokens:
    """What metrics need to know about the key tokens; their ids only if the queries are the same text."""
    keys = reading.keys
    is_one_text = reading.kind is not Kind.CROSS
    return KeyTokens(np.asarray([token.id for token in keys]) if is_one_text else None, are_special(keys))


def _shifted(progress: RowProgress, before: int, total: int) -> RowProgress:
    """`progress` for one layer of several: `before` rows of `total` are done when the layer starts."""
    return lambda done, _: progress(before + done, total)
