"""Everything a view needs to know: labelled matrices, and the named steps of one head."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from attn_cli.record import record
from attn_cli.vocabulary import Kind, Pool, Step

Matrix = npt.NDArray[np.floating]

SINK = "sink"
"""The name of the column of a learned sink."""

HIDDEN = "hidden"
"""The name of the column of hidden keys."""

_TOTALS = {
    Step.NORMS.value: "norms of what {} keys add, summed",
    Step.NORM_SHARES.value: "share of the norms of {} keys",
}


@record(frozen=True, eq=False)
class Grid:
    """A labelled matrix, ready to be drawn; R rows, C columns.

    A cell that is false in `visible` is masked: its number in `values` is meaningless. Labels are text from
    outside: a view must not interpret them as markup or control sequences.
    """

    title: str
    values: Matrix  # (R, C)
    rows: tuple[str, ...]  # the query tokens, or the names of what is compared
    columns: tuple[str, ...]
    visible: npt.NDArray[np.bool_]  # (R, C)
    limits: tuple[float, float]  # the range that colours span, on a log scale if `is_log`
    are_tokens: bool = True  # whether the columns are tokens; False for an axis of numbered features
    allowed: npt.NDArray[np.bool_] | None = None  # (R, C) false where a later step masks the cell
    row_places: tuple[int, ...] | None = None  # positions in the text; None: 0, 1, 2, ...
    column_places: tuple[int, ...] | None = None
    names_rows: bool = False  # whether rows have names that are no tokens, so that they have no positions
    cells: tuple[int, int] = (1, 1)  # how many queries and keys a cell covers; fewer at the edge
    pool: Pool = Pool.MEAN  # what a cell is of its weights, if it covers several
    is_log: bool = False
    is_summed: bool = False  # whether a cell is the sum over its keys instead of their mean
    by_size: bool = False  # whether absolute values are ranked, as in a difference, so that -2 is above 1
    sink: npt.NDArray[np.floating] | None = None  # (R,) a column for a learned sink, beside those of the keys
    hidden: "HiddenColumn | None" = None  # one for what keys took that are out of sight, in tables
    row_landmarks: "Landmarks | None" = None  # (R,) what to call rows if there is no room for all labels
    column_landmarks: "Landmarks | None" = None  # (C,)
    merged: tuple[int, int] = (1, 1)  # how many of its cells one that is drawn stands for: the largest
    step: str = ""  # of a head; empty: the grid is no step of one head
    head: str = ""  # `LAYER.HEAD`
    unit: str = ""  # what the number of a cell is: `score`
    axes: tuple[str, str] = ("", "")  # what rows and columns are; queries and keys, if columns are tokens
    ranking: "Ranking | None" = None  # where the values of a row are the largest of many, not of all columns

    @property
    def row_axis(self) -> str:
        """What the rows are; empty if nothing says so."""
        return self.axes[0] or ("query" if self.are_tokens else "")

    @property
    def column_axis(self) -> str:
        """What the columns are; empty if nothing says so."""
        return self.axes[1] or ("key" if self.are_tokens else "")

    @property
    def cell_is(self) -> str:
        """What the number of a cell is: `weight`, or `largest weight of a block of 4 × 4`."""
        if not self.is_pooled:
            return self._merged(self.unit)
        rows, columns = self.cells
        pooled = "largest" if self.pool is Pool.MAX else "mean"
        unit = self.unit or "weight"
        what = f"difference of the {pooled} weights" if self.by_size else f"{pooled} {unit}"
        return self._merged(f"{what} of a block of {rows:,} × {columns:,}")

    def _merged(self, number: str) -> str:
        """What a cell is that stands for several of the grid: the largest of their numbers."""
        if self.merged == (1, 1):
            return number
        rows, columns = self.merged
        by_size = " by absolute value" if self.by_size else ""
        return f"{number}, largest{by_size} of {rows:,} × {columns:,}"

    @property
    def unmasked(self) -> npt.NDArray[np.bool_]:
        """(R, C) the cells that are visible and that no later step masks."""
        return self.visible if self.allowed is None else self.visible & self.allowed

    @property
    def sink_column(self) -> "Grid":
        """The column of the sink as a grid of its own, on the same scale; call it only if there is one."""
        assert self.sink is not None, "checked by the caller"
        return self._column(SINK, self.sink)

    @property
    def columns_beside(self) -> "tuple[Grid, ...]":
        """The columns beside those of the keys, each a grid of its own: of the sink, and of hidden keys."""
        beside = [] if self.sink is None else [self.sink_column]
        if self.hidden is not None:
            limits = (-1.0, 1.0) if self.by_size else self.limits
            beside.append(replace(self._column(HIDDEN, self.hidden.weight), limits=limits))
        return tuple(beside)

    def _column(self, name: str, numbers: npt.NDArray[np.floating]) -> "Grid":
        values = numbers[:, None]
        alone: dict[str, Any] = {"columns": (name,), "column_places": None, "allowed": None, "ranking": None}
        return replace(self, values=values, visible=np.isfinite(values), sink=None, hidden=None, **alone)

    @property
    def sink_limits(self) -> tuple[float, float] | None:
        """The range of the sink's colours if it is not that of the keys: differences of means are small."""
        is_apart = self.by_size and self.is_pooled and not self.is_summed
        return (-1.0, 1.0) if is_apart else None

    @property
    def numbers(self) -> Matrix:
        """(N,) the visible values, the sink's included."""
        seen = self.values[self.visible]
        return seen if self.sink is None else np.append(seen, self.sink[np.isfinite(self.sink)])

    @property
    def width(self) -> int:
        """How many columns a row has, those included that are not listed."""
        return len(self.columns) if self.ranking is None else self.ranking.out_of

    @property
    def all_numbers(self) -> Matrix:
        """(N,) the same, with those of the hidden keys: every number that a table of the grid shows."""
        return self.numbers if self.hidden is None else np.append(self.numbers, self.hidden.weight)

    @property
    def caption(self) -> str:
        """The title, and what hidden keys took."""
        hidden = "" if self.hidden is None else self.hidden.caption
        return " · ".join(filter(None, (self.title, hidden)))

    @property
    def is_masked_later(self) -> bool:
        """Whether a later step masks some of the visible cells."""
        return not np.array_equal(self.unmasked, self.visible)

    @property
    def is_pooled(self) -> bool:
        """Whether a cell covers several queries or keys."""
        return self.cells != (1, 1)

    @property
    def pooled(self) -> str:
        """A remark on what a cell is; empty if nothing is pooled."""
        rows, columns = self.cells
        if self.is_summed:
            what = _TOTALS.get(self.step, "total weight on {} keys").format(f"{columns:,}")
            return f"pooled: each cell is the {what}, averaged over {rows:,} queries"
        verb = "compares" if self.by_size else "is"
        what = self.step if self.step in _TOTALS else "weights"
        return f"pooled: each cell {verb} the {self.pooled_as} {what}" if self.is_pooled else ""

    @property
    def pooled_as(self) -> str:
        """What a cell is of how many numbers: `mean of 2 × 2`, or `largest of 2 × 2`."""
        rows, columns = self.cells
        return f"{'largest' if self.pool is Pool.MAX else 'mean'} of {rows:,} × {columns:,}"


@record(frozen=True, slots=True, eq=False)
class Ranking:
    """Which numbers the largest of each row are, in descending order; R rows, K numbers of each.

    A row with fewer unmasked numbers than K has arbitrary ones after them.
    """

    columns: npt.NDArray[np.int64]  # (R, K) of a head: indices of its keys; of a grid: of its columns
    counts: npt.NDArray[np.int64]  # (R,) the unmasked numbers of each row
    out_of: int  # how many numbers a row has
    span: tuple[float, float]  # the range of the unmasked numbers; the lower is above the higher without any
    leaves_out: bool = False  # whether masked ones are left out that have numbers

    @property
    def is_listed(self) -> npt.NDArray[np.bool_]:
        """(R, K) whether there is such a number."""
        ranks = np.arange(self.columns.shape[-1])
        return np.asarray(ranks < self.counts[:, None])


@record(frozen=True, slots=True, eq=False)
class HiddenColumn:
    """What the hidden keys of a grid took of its rows."""

    keys: int  # how many
    weight: npt.NDArray[np.floating]  # (R,)
    average: str  # of its rows, or that of two heads
    is_renormalized: bool

    @property
    def caption(self) -> str:
        """How much it is on average, and whether the rest is divided."""
        return f"{HIDDEN} {self.average}{', rest renormalized' if self.is_renormalized else ''}"


@record(frozen=True, slots=True, eq=False)
class Sink:
    """The learned sink of a head: a logit beside those of the keys, which takes weight and gives no value.

    With it, a row of weights sums to 1.
    """

    logit: npt.NDArray[np.floating] | None  # one number, or one per row (R,); None: pooled, and it differs
    weight: npt.NDArray[np.floating]  # (R,) what it takes of each row, or on average of the rows of a cell


@record(frozen=True, slots=True, eq=False)
class Hidden:
    """The keys of a head that are out of sight: they are no columns, but take part in the softmax.

    What they take, what is left and what a sink takes add up to 1.
    """

    keys: tuple[int, ...]  # positions
    weight: npt.NDArray[np.floating]  # (R,) what they take of each row, or on average of the rows of a cell
    left: npt.NDArray[np.floating]  # (R,) what is left of it on the other keys
    is_renormalized: bool = False  # whether the weights of a row are divided by what is left of it
    written: Mapping[Step, npt.NDArray[np.floating]] = field(default_factory=dict)
    """(R,) what they add, by step: their norms, summed, and the share of these before rows are divided."""

    @property
    def share(self) -> float:
        """What they take on average, of the rows that may look anywhere."""
        return self.average(self.weight)

    def average(self, numbers: npt.NDArray[np.floating]) -> float:
        """The mean of numbers (R,) over the rows that may look anywhere."""
        rows = self.weight + self.left > 0
        return float(numbers[rows].mean()) if rows.any() else 0.0


@record(frozen=True, slots=True)
class KeyShare:
    """The key that takes more of a head's weight than any other, and how much of each row on average."""

    key: int
    weight: float


@record(frozen=True, eq=False)
class Head:
    """The steps of one head, for a file or a table: arrays by `Step`."""

    kind: Kind
    layer: int
    head: int
    kv_head: int
    scale: float | None  # None: unknown
    queries: tuple[int, ...]  # positions in the list of tokens of the kind; for cells, the first of each
    keys: tuple[int, ...]
    steps: Mapping[Step, npt.NDArray[np.generic]]
    mask: npt.NDArray[np.bool_] | None = None  # (T, S) true where the query may look; None: everywhere
    absent: Mapping[Step, str] = field(
        default_factory=dict
    )  # requested steps that are missing, each with the reason
    cells: tuple[int, int] = (1, 1)  # how many rows and columns each number covers; fewer at the edge
    pool: Pool = Pool.MEAN  # what the number is of them
    sink: Sink | None = None  # None: the head has none
    hidden: Hidden | None = None  # None: no key is hidden
    favourite: KeyShare | None = None  # None: too few rows, or the weights are not among the steps
    rankings: Mapping[Step, Ranking] = field(default_factory=dict)  # steps that have only the largest numbers

    @property
    def is_masked(self) -> bool:
        """Whether any cell is masked."""
        return self.mask is not None and not self.mask.all()

    @property
    def is_pooled(self) -> bool:
        """Whether each weight stands for several."""
        return self.cells != (1, 1)

    @property
    def name(self) -> str:
        """`LAYER.HEAD`, as in `--heads`."""
        return f"{self.layer}.{self.head}"


class Rank(IntEnum):
    """How well a token tells a reader where in the text it stands; the lowest is the best."""

    SENTENCE = 0  # a sentence begins with it
    WORD = 1  # a word does
    MARK = 2  # a punctuation mark, a special token or a line end
    PIECE = 3  # it continues a word


@record(frozen=True, slots=True)
class Landmarks:
    """What to call positions of a text, if there is no room for the labels of all."""

    places: tuple[int, ...]  # positions
    words: tuple[str, ...]  # the word that begins at each
    ranks: tuple[Rank, ...]

    def best(self, firsts: Sequence[int], end: int) -> "Landmarks":
        """The best one from each of `firsts` to the next, the last time to `end`; the earlier of equals."""
        spans = zip(firsts, (*firsts[1:], end), strict=True)
        chosen = [
            min(range(first, max(first + 1, last)), key=self.ranks.__getitem__) for first, last in spans
        ]
        return self.at(chosen)

    def at(self, indices: Sequence[int]) -> "Landmarks":
        """Those at the indices."""
        return Landmarks(
            tuple(self.places[index] for index in indices),
            tuple(self.words[index] for index in indices),
            tuple(self.ranks[index] for index in indices),
        )


@record(frozen=True, slots=True)
class Sides:
    """The texts of the tokens, or of words: those of the queries, and those of the keys."""

    queries: Sequence[str]
    keys: Sequence[str]
    query_numbers: Sequence[int] | None = None  # the numbers that views print; None: 0, 1, 2, ...
    key_numbers: Sequence[int] | None = None
    landmarks: tuple[Landmarks, Landmarks] | None = None  # of queries and of keys; only pictures need them
