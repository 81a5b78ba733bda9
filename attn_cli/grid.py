"""All that a view needs to know: labelled matrices, and the named steps of one head."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attn_cli.record import record
from attn_cli.vocabulary import Kind, Step

Matrix = npt.NDArray[np.floating]


@record(frozen=True, eq=False)
class Grid:
    """A labelled matrix, ready to be drawn; R rows, C columns.

    A cell that is false in `visible` is masked: it has no value, whatever stands in `values`.
    Labels are text from outside: a view must not take them for markup or control sequences.
    """

    title: str
    values: Matrix  # (R, C)
    rows: tuple[str, ...]  # the tokens that look, or the names of what is compared
    columns: tuple[str, ...]
    visible: npt.NDArray[np.bool_]  # (R, C)
    limits: tuple[float, float]  # the range that colours span
    are_tokens: bool = True  # whether the columns are tokens: a numbered feature axis says False
    allowed: npt.NDArray[np.bool_] | None = None  # (R, C) false: a mask that is applied later hides it
    row_places: tuple[int, ...] | None = None  # positions in the text; None: 0, 1, 2, ...
    column_places: tuple[int, ...] | None = None
    cells: tuple[int, int] = (1, 1)  # how many queries and keys a cell stands for; fewer at the edge
    is_summed: bool = False  # whether such a cell has its keys' weights together, not their mean
    by_size: bool = False  # whether -2 stands out more than 1, as in a difference; a score does not

    @property
    def unmasked(self) -> npt.NDArray[np.bool_]:
        """(R, C) which cells have a value that no mask hides, now or later."""
        return self.visible if self.allowed is None else self.visible & self.allowed

    @property
    def is_masked_later(self) -> bool:
        """Whether a mask that is applied later hides some of the values."""
        return not np.array_equal(self.unmasked, self.visible)

    @property
    def is_pooled(self) -> bool:
        """Whether a cell stands for several."""
        return self.cells != (1, 1)

    @property
    def pooled(self) -> str:
        """What such a cell is; nothing where a cell is one number."""
        rows, columns = self.cells
        if self.is_summed:
            return (
                f"pooled: each cell is the weight on {columns:,} keys together, the mean of {rows:,} queries"
            )
        return f"pooled: each cell is the mean of {rows:,} × {columns:,} weights" if self.is_pooled else ""


@record(frozen=True, eq=False)
class Head:
    """The steps of one head, for a file or a table: arrays by the words of `Step`."""

    kind: Kind
    layer: int
    head: int
    kv_head: int
    scale: float | None  # None: not known
    queries: tuple[int, ...]  # positions in the list of tokens that the kind reads; of a cell its first
    keys: tuple[int, ...]
    steps: Mapping[Step, npt.NDArray[np.generic]]
    mask: npt.NDArray[np.bool_] | None = None  # (T, S) true where the query may look; None: everywhere
    absent: Mapping[Step, str] = field(
        default_factory=dict
    )  # steps that were asked for, and why they are not there
    cells: tuple[int, int] = (1, 1)  # how many rows and columns a number is the mean of; fewer at the edge

    @property
    def is_masked(self) -> bool:
        """Whether some query may not look everywhere."""
        return self.mask is not None and not self.mask.all()

    @property
    def is_pooled(self) -> bool:
        """Whether a number of its weights stands for several."""
        return self.cells != (1, 1)

    @property
    def name(self) -> str:
        """`LAYER.HEAD`, as a person selects it."""
        return f"{self.layer}.{self.head}"


class Sides(NamedTuple):
    """What the tokens stand for: those that look, and those that are looked at."""

    queries: Sequence[str]
    keys: Sequence[str]
