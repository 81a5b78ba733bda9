"""What do several heads see that one of the same width does not? A row in each head, and in a wide one."""

import math
from collections.abc import Sequence

import numpy as np

from attn_cli.answers.lessons.row import SoftmaxRow
from attn_cli.core.arrays import Exact
from attn_cli.record import record


@record(frozen=True, slots=True, eq=False)
class HeadsStudy:
    """A query's row in each of the H heads of a layer, and in one head of their width together; S keys."""

    model: str
    place: tuple[int, int]
    query: int
    key: int
    size: int  # d_k of each head
    kv_heads: int  # G
    scale: float  # of each head
    width: int | None  # M, the numbers of an input vector; None: unknown
    queries: int  # T
    scores: Exact  # (H, S) q·k × scale in each head
    rows: Sequence[SoftmaxRow]  # H of them
    wide_scores: Exact  # (S,) the sum of the heads' scores, divided by √H
    visible: Sequence[int]  # the keys that the query may look at
    wide: SoftmaxRow
    distances: Exact  # (H + 1, H + 1) Jensen-Shannon between the rows; the last is that of the wide head
    has_bias: bool  # then the wide head has the mean of the heads' biases
    softcap: float | None
    has_sink: bool  # then the wide head has the mean of the heads' sinks

    @property
    def heads(self) -> int:
        """H."""
        return len(self.rows)

    @property
    def has_root(self) -> bool:
        """Whether a head's scale is 1/√d_k."""
        return math.isclose(self.scale, self.size**-0.5, rel_tol=1e-6)

    @property
    def sharing(self) -> int:
        """How many heads read the same keys."""
        return self.heads // self.kv_heads

    @property
    def deviation(self) -> float:
        """The standard deviation of a head's scores over the visible keys: the root of the mean variance.

        If the scores of different heads were uncorrelated, those of the wide head would have the same.
        """
        return float(np.sqrt(self.scores[:, list(self.visible)].var(axis=-1).mean()))

    @property
    def wide_deviation(self) -> float:
        """The standard deviation of the wide head's scores over the visible keys."""
        return float(self.wide_scores[list(self.visible)].std())

    @property
    def keys(self) -> int:
        """S."""
        return int(self.wide_scores.size)
