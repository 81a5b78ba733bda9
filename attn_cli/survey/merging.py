"""A document that was read in windows is one document: its numbers are those of all of its rows."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np

from attn_cli.record import record
from attn_cli.survey.records import Counts, Measured, Numbers, Passage


@record(frozen=True, slots=True, eq=False)
class MeasuredDocument:
    """The numbers of one document, over all of its windows, and the windows."""

    values: Numbers  # (M, heads) the means over all rows that count; NaN: none does
    rows: Counts  # (M, heads)
    shares: Numbers  # (P, heads) the means over the windows with enough evidence, by their tokens; NaN: none
    windows: tuple[Measured, ...]

    @property
    def first(self) -> Passage:
        """Its first window, or all of it."""
        return self.windows[0].passage

    @property
    def tokens(self) -> int:
        """The tokens of all windows."""
        return sum(one.passage.tokens for one in self.windows)


def of_documents(measured: Iterable[Measured]) -> Iterator[MeasuredDocument]:
    """The documents of passages that follow one another."""
    for _, windows in groupby(measured, key=lambda one: one.passage.document):
        yield _merged(tuple(windows))


def _merged(windows: tuple[Measured, ...]) -> MeasuredDocument:
    first = windows[0]
    if len(windows) == 1:
        return MeasuredDocument(first.values, first.rows, first.shares, windows)
    values = _mean([one.values for one in windows], [one.rows for one in windows])
    sizes = [np.full(one.shares.shape, one.passage.tokens) for one in windows]
    shares = _mean([one.shares for one in windows], sizes)
    return MeasuredDocument(values, np.sum([one.rows for one in windows], axis=0), shares, windows)


def _mean(numbers: Sequence[Numbers], weights: Sequence[Counts]) -> Numbers:
    """The means with these weights; a number that is missing has none."""
    known = [np.isfinite(each) for each in numbers]
    weighed = [np.where(there, weight, 0) for there, weight in zip(known, weights, strict=True)]
    sums = [np.where(there, each, 0) * w for each, there, w in zip(numbers, known, weighed, strict=True)]
    total, weight = np.sum(sums, axis=0), np.sum(weighed, axis=0, dtype=np.float64)
    return np.asarray(np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0))
