"""How much of a matrix is shown: chosen rows and columns, all of it, or pooled cells if it is too large."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from attn_cli.errors import UsageError
from attn_cli.record import record
from attn_cli.vocabulary import Pool, Step

if TYPE_CHECKING:
    from attn_cli.core.hiding import Hiding

LARGEST = 1 << 20
"""Largest matrix shown whole, in numbers: 1,024 × 1,024, about the pixels of a screen, or 12 MB of JSON."""

POOLED = frozenset({Step.WEIGHTS, Step.NORMS, Step.NORM_SHARES})
"""The steps of which blocks can be shown as one number."""

FEW_ROWS = 20
"""Rows of a long text that a terminal lists, unless rows are chosen."""

_MOST = 1 << 28  # numbers of a matrix shown on explicit request: 1 GB


@record(frozen=True, slots=True)
class Window:
    """The chosen rows and columns of a matrix of T queries and S keys, or the size of its pooled picture."""

    queries: int  # T
    keys: int  # S
    rows: Sequence[int]  # positions, in ascending order
    columns: Sequence[int]
    most: int = 0  # maximum rows and columns of the picture if the weights are pooled; 0: not pooled
    pool: Pool = Pool.MEAN  # what each of its cells is
    hiding: "Hiding | None" = None  # keys that are no columns; None: none is hidden
    top: int = 0  # how many keys of each row are kept, those with the largest numbers; 0: all

    @property
    def is_pooled(self) -> bool:
        """Whether cells stand for several weights."""
        return self.most > 0

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole matrix, not pooled."""
        is_all = (len(self.rows), len(self.columns)) == (self.queries, self.keys)
        return is_all and not self.is_pooled and not self.top

    def without(self, hiding: "Hiding") -> "Window":
        """The same without the columns of the hidden keys."""
        hidden = set(hiding.keys)
        columns = tuple(column for column in self.columns if column not in hidden)
        return replace(self, columns=columns, hiding=hiding)

    @property
    def fits(self) -> bool:
        """Whether it is small enough to be shown whole."""
        return len(self.rows) * len(self.columns) <= LARGEST

    def blocks(self, heads: int = 1) -> Iterator[Sequence[int]]:
        """The rows in blocks, such that `heads` heads together hold at most `LARGEST` numbers.

        Rows are computed over all keys, because columns are selected after the softmax.
        """
        size = max(1, LARGEST // (self.keys * heads))
        return (self.rows[first : first + size] for first in range(0, len(self.rows), size))


def whole_window(queries: int, keys: int) -> Window:
    """The whole matrix."""
    return Window(queries, keys, range(queries), range(keys))


def chosen_window(
    size: tuple[int, int],
    rows: Sequence[int] | None,
    columns: Sequence[int] | None,
    steps: Collection[Step] | None,
    most: int,
) -> Window:
    """The window of chosen rows and columns; by default the whole matrix, or a picture if it is too large.

    `size` is T and S; `steps` are the requested steps; `most`: the maximum rows and columns of a picture.

    Raises:
        UsageError: it is too large, or steps other than the weights would have to be averaged.
    """
    entire = whole_window(*size)
    if rows is None and columns is None:
        return entire if entire.fits else _pooled(entire, steps, most)
    window = Window(
        entire.queries,
        entire.keys,
        entire.rows if rows is None else rows,
        entire.columns if columns is None else columns,
    )
    if len(window.rows) * len(window.columns) > _MOST:
        raise _too_large(window, next(iter(steps or ()), Step.WEIGHTS), "")
    return window


def listed_window(
    size: tuple[int, int],
    rows: Sequence[int] | None,
    columns: Sequence[int] | None,
    top: int,
    few: int | None = None,
) -> Window:
    """The window of the `top` largest keys of each row: of the chosen rows, else of all.

    `few`: the maximum number of rows if none are chosen; evenly spaced, the last one included.
    """
    queries, keys = size
    if rows is None:
        count = queries if few is None else min(few, queries)
        rows = [queries * (number + 1) // count - 1 for number in range(count)]
    return Window(queries, keys, rows, range(keys) if columns is None else columns, top=top)


def _pooled(entire: Window, steps: Collection[Step] | None, most: int) -> Window:
    """The window of a pooled picture of the weights; the whole window if no step is a (T, S) matrix.

    Raises:
        UsageError: steps other than the weights are requested.
    """
    asked = tuple(dict.fromkeys(steps or (Step.WEIGHTS,)))
    matrices = [step for step in asked if step.is_pairwise]
    if not matrices:
        return entire
    if not set(asked) <= POOLED:
        other = next((step for step in matrices if step not in POOLED), matrices[0])
        raise _too_large(entire, other, ", or only -s weights, which are pooled")
    return Window(entire.queries, entire.keys, entire.rows, entire.columns, max(1, most))


def _too_large(window: Window, step: Step, otherwise: str) -> UsageError:
    rows, columns = len(window.rows), len(window.columns)
    megabytes = rows * columns * (1 if step is Step.MASK else 4) / 2**20
    verb = "is" if step in {Step.BIAS, Step.MASK, Step.VALUE_ZEROING} else "are"
    problem = f"{step} of {rows:,} × {columns:,} tokens {verb} too large: {megabytes:,.0f} MB per head"
    return UsageError(problem, f"--rows 0-{max(1, LARGEST // columns) - 1}{otherwise}")
