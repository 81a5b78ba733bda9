"""How much of a matrix is shown: chosen rows and columns, all of it, or means if it is too large."""

from collections.abc import Collection, Iterator, Sequence

from attn_cli.errors import UsageError
from attn_cli.reading.selection import tokens
from attn_cli.record import record
from attn_cli.vocabulary import Step

LARGEST = 1 << 20
"""Numbers of a matrix that is shown whole: 1,024 × 1,024, as a screen has, and 12 MB of JSON."""

_MOST = 1 << 28  # numbers of a matrix that somebody insists on: 1 GB


@record(frozen=True, slots=True)
class TextSide:
    """The tokens along one side of a matrix: how many there are, and of which text."""

    count: int
    text: str = "the text"


@record(frozen=True, slots=True)
class Window:
    """The chosen rows and columns of a matrix of T queries and S keys, or how coarse its picture is."""

    queries: int  # T
    keys: int  # S
    rows: Sequence[int]  # positions, upwards
    columns: Sequence[int]
    most: int = 0  # the rows and columns of the picture, where the weights are pooled; 0: they are not

    @property
    def is_pooled(self) -> bool:
        """Whether there are only means."""
        return self.most > 0

    @property
    def is_whole(self) -> bool:
        """Whether it is all of a matrix, number by number."""
        is_all = (len(self.rows), len(self.columns)) == (self.queries, self.keys)
        return is_all and not self.is_pooled

    @property
    def fits(self) -> bool:
        """Whether it is small enough to be shown whole."""
        return len(self.rows) * len(self.columns) <= LARGEST

    def blocks(self, heads: int = 1) -> Iterator[Sequence[int]]:
        """The rows, so many at a time that so many heads hold no more numbers than one that is shown whole.

        They are whole: columns are chosen after the softmax.
        """
        size = max(1, LARGEST // (self.keys * heads))
        return (self.rows[first : first + size] for first in range(0, len(self.rows), size))


def whole_window(queries: int, keys: int) -> Window:
    """All of a matrix."""
    return Window(queries, keys, range(queries), range(keys))


def chosen_window(
    queries: TextSide,
    keys: TextSide,
    rows: str | None,
    columns: str | None,
    steps: Collection[Step] | None,
    most: int,
) -> Window:
    """What was chosen after `--rows` and `--columns`; where nothing was and it is too large, a picture.

    `steps`: those that were asked for. `most`: how many rows and columns a picture of weights may have.

    Raises:
        UsageError: it is malformed or out of range; or too large, and no weights alone.
    """
    entire = whole_window(queries.count, keys.count)
    if rows is None and columns is None:
        return entire if entire.fits else _pooled(entire, steps, most)
    window = Window(
        queries.count,
        keys.count,
        tokens("all" if rows is None else rows, queries.count, "row", queries.text),
        tokens("all" if columns is None else columns, keys.count, "column", keys.text),
    )
    if len(window.rows) * len(window.columns) > _MOST:
        raise _too_large(window, next(iter(steps or ()), Step.WEIGHTS), "")
    return window


def _pooled(entire: Window, steps: Collection[Step] | None, most: int) -> Window:
    """The picture of the weights; what has no matrix of tokens stays as it is.

    Raises:
        UsageError: another matrix was asked for, or something beside the weights.
    """
    asked = tuple(dict.fromkeys(steps or (Step.WEIGHTS,)))
    matrices = [step for step in asked if step.is_pairwise]
    if not matrices:
        return entire
    if asked != (Step.WEIGHTS,):
        other = next((step for step in matrices if step is not Step.WEIGHTS), Step.WEIGHTS)
        raise _too_large(entire, other, ", or -s weights alone, which are pooled")
    return Window(entire.queries, entire.keys, entire.rows, entire.columns, max(1, most))


def _too_large(window: Window, step: Step, otherwise: str) -> UsageError:
    rows, columns = len(window.rows), len(window.columns)
    megabytes = rows * columns * (1 if step is Step.MASK else 4) / 2**20
    verb = "is" if step in {Step.BIAS, Step.MASK} else "are"
    problem = f"{step} of {rows:,} × {columns:,} tokens {verb} {megabytes:,.0f} MB a head"
    return UsageError(problem, f"--rows 0-{max(1, LARGEST // columns) - 1}{otherwise}")
