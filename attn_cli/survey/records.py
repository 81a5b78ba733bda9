"""What passes between the parts of a survey: plain values that can be sent to another process."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from attn_cli.models.source import SourceRequest
from attn_cli.record import record
from attn_cli.vocabulary import Kind, Metric, Pattern

Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@record(frozen=True, slots=True)
class Document:
    """A text, and where it is from."""

    source: str  # the file as it was named; "-" is standard input
    place: int  # its line or row in the file, from 1; 0: the whole file
    text: str


@record(frozen=True, slots=True)
class Unread:
    """What could not be read as a document, or not be measured."""

    source: str
    place: int
    why: str


@record(frozen=True, slots=True)
class Batch:
    """Documents that follow one another, with the number of the first one."""

    first: int
    documents: tuple[Document | Unread, ...]


@record(frozen=True, slots=True)
class SurveyRequest:
    """Everything that determines the numbers, but for the documents."""

    source: SourceRequest
    kind: Kind | None = None  # None: the model's first
    rows: str | None = None  # the queries that are measured in each document; None: all
    on: str | None = None  # the keys of `Metric.ON` in each document
    window: int | None = None  # tokens of a window; None: documents are not cut
    stride: int | None = None  # tokens from one window to the next; None: `window`
    effects: bool = False  # whether direct effects on the token that follows are measured too


@record(frozen=True, slots=True)
class Layout:
    """What the axes of the numbers mean: L · H heads in the order of `places`, M metrics, P patterns."""

    kind: Kind
    places: tuple[tuple[int, int], ...]
    metrics: tuple[Metric, ...]
    patterns: tuple[Pattern, ...]


@record(frozen=True, slots=True)
class Passage:
    """A document that was measured, or a window of it."""

    document: int  # its number, from 0
    source: str
    place: int
    start: int  # its first character in the document
    text: str
    tokens: int


@record(frozen=True, slots=True, eq=False)
class Measured:
    """One passage: the metrics of every head, and the patterns that it shows."""

    passage: Passage
    values: Numbers  # (M, heads); NaN: no row counts for it
    rows: Counts  # (M, heads) how many rows count
    shares: Numbers  # (P, heads) of each pattern; NaN: too few rows are evidence
    best: Counts  # (P, heads) the row that follows the pattern most; -1: there is none
    peaks: Numbers  # (P, heads) how strongly it does


@record(frozen=True, slots=True)
class BatchResult:
    """What became of a batch."""

    number: int
    documents: int
    measured: Sequence[Measured]
    unread: Sequence[Unread]
    tokens: int
    layout: Layout | None = None  # None: nothing was measured
