"""What is known after each document: means, deviations, shares and the strongest rows, in constant memory.

Documents are added in their order, in float64: the result does not depend on who measured them.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from attn_cli.analysis.patterns import least_share
from attn_cli.record import record
from attn_cli.survey.interval import student_quantile, wilson_interval
from attn_cli.survey.merging import MeasuredDocument
from attn_cli.survey.records import Counts, Layout, Measured, Numbers, Passage

_ARRAYS = (
    *("means", "squares", "counts", "rows"),
    *("possible", "shown", "share_means", "worst"),
)


@record(frozen=True, slots=True)
class Summary:
    """A number over all documents that have it, with its 95 % interval."""

    mean: float | None  # None: no document has it
    deviation: float | None  # with n - 1; None: one document
    low: float | None
    high: float | None
    rows: int
    documents: int


@record(frozen=True, slots=True)
class Example:
    """A row that follows a pattern: its passage, its position there, and how much it does so."""

    passage: Passage
    row: int
    weight: float


class Totals:
    """The sums over all documents so far."""

    def __init__(self, layout: Layout, examples: int) -> None:
        """Nothing is added yet; `examples`: how many rows are kept of each head and pattern."""
        self.layout, self._kept = layout, examples
        metrics, patterns, heads = len(layout.metrics), len(layout.patterns), len(layout.places)
        self._means = np.zeros((metrics, heads))
        self._squares = np.zeros((metrics, heads))  # of the distances to the mean (Welford 1962)
        self._counts = np.zeros((metrics, heads), np.int64)
        self._rows = np.zeros((metrics, heads), np.int64)
        self._possible = np.zeros((patterns, heads), np.int64)
        self._shown = np.zeros((patterns, heads), np.int64)
        self._share_means = np.zeros((patterns, heads))
        self._least = np.array([least_share(pattern) for pattern in layout.patterns])
        self._examples: dict[tuple[int, int], list[Example]] = {}
        self._worst = np.full((patterns, heads), -1.0 if examples else np.inf)  # weight kept

    def add(self, measured: MeasuredDocument) -> None:
        """Add one document."""
        known = np.isfinite(measured.values)
        self._counts += known
        self._rows += measured.rows
        counts = np.maximum(self._counts, 1)
        distances = np.where(known, measured.values - self._means, 0.0)
        self._means += distances / counts
        self._squares += distances * np.where(known, measured.values - self._means, 0.0)
        possible = np.isfinite(measured.shares)
        self._possible += possible
        self._shown += possible & (np.where(possible, measured.shares, -1) >= self._least[:, None])
        rest = np.where(possible, measured.shares - self._share_means, 0.0)
        self._share_means += rest / np.maximum(self._possible, 1)
        for window in measured.windows:
            self._add_examples(window)

    def _add_examples(self, measured: Measured) -> None:
        better = (measured.best >= 0) & (measured.peaks > self._worst)
        for pattern, head in zip(*np.nonzero(better), strict=True):
            place = int(pattern), int(head)
            row, weight = int(measured.best[place]), float(measured.peaks[place])
            kept = [*self._examples.get(place, ()), Example(measured.passage, row, weight)]
            kept.sort(key=lambda example: -example.weight)  # stable: the earlier document first
            self._examples[place] = kept[: self._kept]
            if len(kept) >= self._kept:
                self._worst[place] = self._examples[place][-1].weight

    def state(self) -> tuple[dict[str, Numbers | Counts], dict[str, Any]]:
        """The sums as arrays, and the examples as JSON can hold them."""
        passages: dict[Passage, int] = {}
        examples = [
            [pattern, head, one.row, one.weight, passages.setdefault(one.passage, len(passages))]
            for (pattern, head), kept in self._examples.items()
            for one in kept
        ]
        about = {"passages": [asdict(passage) for passage in passages], "examples": examples}
        return {name: getattr(self, f"_{name}") for name in _ARRAYS}, about

    def restore(self, arrays: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Go on from what `state` told."""
        for name in _ARRAYS:
            setattr(self, f"_{name}", arrays[name])
        passages = [Passage(**passage) for passage in about["passages"]]
        self._examples = {}
        for pattern, head, row, weight, index in about["examples"]:
            kept = self._examples.setdefault((pattern, head), [])
            kept.append(Example(passages[index], row, weight))

    def metrics(self) -> Iterator[tuple[int, int, Summary]]:
        """The index of each metric and head, and its summary; none if no document has the metric."""
        for (metric, head), documents in np.ndenumerate(self._counts):
            if documents:
                mean, rows = float(self._means[metric, head]), int(self._rows[metric, head])
                deviation = half = None
                if documents > 1:
                    deviation = math.sqrt(float(self._squares[metric, head]) / (int(documents) - 1))
                    half = student_quantile(int(documents) - 1) * deviation / math.sqrt(int(documents))
                low, high = (None, None) if half is None else (mean - half, mean + half)
                yield metric, head, Summary(mean, deviation, low, high, rows, int(documents))

    def patterns(self) -> "Iterator[tuple[int, int, ShownPattern]]":
        """The index of each pattern and head, and in how many documents the head shows it."""
        for (pattern, head), documents in np.ndenumerate(self._possible):
            if documents:
                shown = int(self._shown[pattern, head])
                examples = tuple(self._examples.get((pattern, head), ()))
                interval = wilson_interval(shown, int(documents))
                mean = float(self._share_means[pattern, head])
                yield pattern, head, ShownPattern(shown, int(documents), interval, mean, examples)


@record(frozen=True, slots=True)
class ShownPattern:
    """In how many documents a head shows a pattern, of those with enough rows of evidence for it."""

    shown: int
    documents: int
    interval: tuple[float, float]  # of the share of documents
    share: float  # the mean share of the head's weight on the tokens of the pattern
    examples: tuple[Example, ...]
