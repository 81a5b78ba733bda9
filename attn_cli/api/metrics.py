"""The metrics of all heads of a reading, from Python: a matrix of layers by heads for each."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from attn_cli.analysis.head_summary import HeadSummary
from attn_cli.errors import UsageError
from attn_cli.safe_text import printable
from attn_cli.vocabulary import Metric


class HeadMetrics:
    """The metrics of L layers × H heads, means over the rows of a text that count for each."""

    def __init__(self, heads: Sequence[HeadSummary]) -> None:
        self._heads = heads
        self._size = 1 + max(head.layer for head in heads), 1 + max(head.head for head in heads)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics that were measured."""
        return tuple(map(str, self._heads[0].metrics))

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        """(L, H) one metric; NaN where no row counts for it, and in layers without attention.

        Raises:
            UsageError: it was not measured.
        """
        if name not in self.names:
            problem = f"there is no metric '{printable(str(name))}' of this text"
            raise UsageError(problem, f"one of {', '.join(self.names)}")
        values = np.full(self._size, np.nan)
        for head in self._heads:
            value = head.metrics[Metric(name)]
            values[head.layer, head.head] = np.nan if value is None else value
        return values

    @property
    def patterns(self) -> npt.NDArray[np.object_]:
        """(L, H) the name of the pattern of each head, as a string; None where none stands out."""
        names = np.full(self._size, None, dtype=object)
        for head in self._heads:
            names[head.layer, head.head] = None if head.pattern is None else str(head.pattern)
        return names

    def __repr__(self) -> str:
        layers, heads = self._size
        return f"<HeadMetrics of {layers} × {heads} heads: {', '.join(self.names)}>"
