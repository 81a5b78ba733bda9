"""Measures the heads of a model on one passage after another, as `attn heads` does on a text."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from attn_cli.analysis.evidence_rows import count_different
from attn_cli.analysis.head_summary import MeasuredText
from attn_cli.analysis.patterns import counted_rows, is_enough
from attn_cli.core.streaming.stream import with_many_texts
from attn_cli.errors import AttnError, UsageError
from attn_cli.mapped_files import ChangedFileError
from attn_cli.models.free_memory import free_bytes
from attn_cli.models.open import open_source
from attn_cli.models.source import Source, Texts
from attn_cli.models.tokens.token import Token
from attn_cli.reading.effects.following import FollowingRun, check_follows, following_of
from attn_cli.reading.long_texts.duration import check_duration
from attn_cli.reading.measurement.focus import Focus, choose_focus
from attn_cli.reading.memory import Work, check
from attn_cli.reading.metrics import measured_text, metrics_of
from attn_cli.reading.reading import Reading, TextRequest, check_kind, read
from attn_cli.reading.steps import run_layers, unwarned
from attn_cli.survey.records import (
    Batch,
    BatchResult,
    Document,
    Layout,
    Measured,
    Numbers,
    Passage,
    SurveyRequest,
    Unread,
)
from attn_cli.survey.windows import Window, windows_of
from attn_cli.vocabulary import Kind, Metric, Pattern

_OF_FREE = 0.5  # the part of free memory that may hold weights between texts


class Surveyor:
    """A model that is opened once and reads many documents."""

    def __init__(
        self,
        request: SurveyRequest,
        environment: Mapping[str, str],
        source: Source | None = None,
        processes: int = 1,
    ) -> None:
        """Open the model, unless it is open; so many `processes` keep its weights in the same memory.

        Raises:
            AttnError: it is missing or damaged.
            UsageError: it has no such kind of attention, or an option does not apply to it.
        """
        self._request = request
        if source is None:
            source = open_source(request.source, environment)
            source.check()
        if request.kind is not None:
            check_kind(request.kind, source)
        self.source = source
        self._kind = request.kind or next(iter(source.kinds))
        if self._kind in {Kind.DECODER, Kind.CROSS}:
            problem = f"{self._kind} attention needs a text for the decoder, which documents do not have"
            raise UsageError(problem, "--kind encoder")
        self._sources: dict[str, Source] = {}
        self._processes = processes
        self.layout = self._layout()

    def measure(self, number: int, batch: Batch) -> BatchResult:
        """Measure the documents of a batch, in their order."""
        measured, unread = list[Measured](), list[Unread]()
        for at, document in enumerate(batch.documents, batch.first):
            if isinstance(document, Unread):
                unread.append(document)
                continue
            try:
                measured.extend(self._document(at, document))
            except ChangedFileError:  # no fault of the document
                raise
            except AttnError as error:  # usage errors too: a word of --on that this document lacks
                unread.append(Unread(document.source, document.place, error.problem))
        tokens = sum(one.passage.tokens for one in measured)
        return BatchResult(number, len(batch.documents), measured, unread, tokens, self.layout)

    def _document(self, number: int, document: Document) -> list[Measured]:
        request = self._request
        return [
            self._passage(number, document, window)
            for window in windows_of(self._read, self._split, document.text, request.window, request.stride)
        ]

    def _read(self, text: str) -> Reading:
        return read(self.source, TextRequest(text, kind=self._kind))

    def _split(self, text: str) -> tuple[Token, ...]:
        return self.source.tokens(text, None)

    def _layout(self) -> Layout:
        extent = self.source.kinds[self._kind]
        places = tuple((layer, head) for layer in extent.layers for head in range(extent.heads))
        focus = Focus(on=None if self._request.on is None else (0,))
        example = Reading(TextRequest(""), self.source, Texts(()), self._kind)
        metrics = tuple(metric for metric in metrics_of(example, focus) if not metric.is_written)
        if self._request.effects:
            check_follows(self.source, "--effects")
            metrics = (*metrics, Metric.DIRECT)
        are_named = self._request.rows is None
        return Layout(self._kind, places, metrics, tuple(Pattern) if are_named else ())

    @unwarned
    @with_many_texts()
    def _passage(self, number: int, document: Document, window: Window) -> Measured:
        """The heads on one passage; layers run one after another, and no matrix is kept."""
        focus = choose_focus(window.reading, self._request.rows, self._request.on)
        reading = self._suited(window.reading)
        layout = self.layout
        layers = sorted({layer for layer, _ in layout.places})
        heads = len(layout.places) // len(layers)
        tokens, run = len(reading.tokens), self._following(reading, window.after, focus)
        work = Work(
            len(reading.queries),
            len(reading.keys),
            layers=1 + layers[-1],
            kept=0 if run is None else run.numbers_held,
            measured=len(layout.places),
        )
        check_duration(reading, 1 + layers[-1])
        check(reading.source, work, "--window 512, which cuts long documents")
        found = _Columns(layout)
        running = run_layers(reading, layers) if run is None else run.layers(layers)
        for index, (layer, attention) in enumerate(running):
            text = measured_text(reading, attention, layer, range(heads), layout.metrics, focus)
            found.fill(slice(index * heads, (index + 1) * heads), text)
        if run is not None:
            found.fill_effects(run.effects(), run.rows)
        passage = Passage(number, document.source, document.place, window.start, reading.request.text, tokens)
        return Measured(passage, found.values, found.rows, found.shares, found.best, found.peaks)

    def _following(self, reading: Reading, after: int | None, focus: Focus) -> FollowingRun | None:
        """A run that leads to the effects on the tokens that follow; None: there are none, or none wanted."""
        if not self._request.effects:
            return None
        following = following_of(reading, after, focus.rows)
        return FollowingRun(reading, following) if following.rows else None

    def _suited(self, reading: Reading) -> Reading:
        """The reading with the library that is fastest for its length, and weights that are kept."""
        suited = reading.with_suited_backend(1 + max(layer for layer, _ in self.layout.places))
        name = suited.source.backend.name
        if name not in self._sources:
            free = free_bytes(suited.source.backend.device)
            room = math.inf if free is None else _OF_FREE * free / self._processes
            self._sources[name] = suited.source.for_many_texts(room)
        return replace(reading, source=self._sources[name])


class _Columns:
    """The numbers of one passage, filled layer by layer."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        metrics, patterns, heads = len(layout.metrics), len(layout.patterns), len(layout.places)
        self.values = np.full((metrics, heads), np.nan)
        self.rows = np.zeros((metrics, heads), np.int64)
        self.shares = np.full((patterns, heads), np.nan)
        self.best = np.full((patterns, heads), -1)
        self.peaks = np.zeros((patterns, heads))

    def fill(self, heads: slice, text: MeasuredText) -> None:
        """Add the heads of one layer."""
        for index, metric in enumerate(self._layout.metrics):
            if metric in text.metrics.values:
                totals, rows = text.sums(metric)
                np.divide(totals, rows, out=self.values[index, heads], where=rows > 0)
                self.rows[index, heads] = rows
        if self._layout.patterns:
            self._fill_patterns(heads, text)

    def fill_effects(self, means: Numbers, rows: int) -> None:
        """Add the mean direct effect of each head, over so many rows."""
        index = self._layout.metrics.index(Metric.DIRECT)
        self.values[index], self.rows[index] = means, rows

    def _fill_patterns(self, heads: slice, text: MeasuredText) -> None:
        """The share of each pattern that has enough evidence, and the row that follows it most."""
        for pattern, (values, counted) in counted_rows(text.metrics, text.first_row, text.evidence).items():
            rows = np.flatnonzero(counted)
            if not is_enough(pattern, rows.size, count_different(text.tokens, counted)):
                continue
            index, found = self._layout.patterns.index(pattern), values[:, rows]
            self.shares[index, heads] = found.mean(axis=-1, dtype=np.float64)
            self.best[index, heads] = rows[found.argmax(axis=-1)]
            self.peaks[index, heads] = found.max(axis=-1)
