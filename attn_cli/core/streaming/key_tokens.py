"""The tokens of the keys, where each occurred before, and which queries are measured."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import Indices
from attn_cli.record import record

NO_KEY = -1
"""The index of a key that does not exist."""


@record(frozen=True, eq=False)
class KeyTokens:
    """What metrics need to know about the tokens of the keys; S keys."""

    ids: npt.NDArray[np.integer] | None = None  # (S,); None if the queries are other tokens
    special: npt.NDArray[np.bool_] | None = None  # (S,) true for special tokens
    hidden: npt.NDArray[np.bool_] | None = None  # (S,) true for hidden keys; None: none is hidden
    on: npt.NDArray[np.bool_] | None = None  # (S,) true for the keys of `Metric.ON`; None: none were chosen
    rows: Indices | None = None  # (T,) the positions of the measured queries; None: 0 to T - 1

    def places(self, rows: range) -> Indices:
        """(R,) the positions of the queries in these rows."""
        return np.arange(rows.start, rows.stop) if self.rows is None else self.rows[rows.start : rows.stop]

    @cached_property
    def copies(self) -> "Copies":
        """The earlier occurrences of each token; the ids must be known."""
        assert self.ids is not None, "copies need token ids"
        return find_copies(self.ids)


UNKNOWN_TOKENS = KeyTokens()


@record(frozen=True, slots=True, eq=False)
class Copies:
    """The positions of each token of a text, in order; nothing in it is as large as T × T."""

    order: Indices  # (T,) all positions, grouped by token id
    first: Indices  # (T,) for each position: where in `order` the group of its token starts
    before: Indices  # (T,) for each position: the number of earlier copies of its token

    def pairs(self, places: Indices) -> tuple[Indices, Indices]:
        """The row, an index of `places` (R,), and the key of each earlier copy of the token there."""
        counts = self.before[places]
        row = np.repeat(np.arange(places.size), counts)
        ends = np.cumsum(counts)
        within = np.arange(row.size) - np.repeat(ends - counts, counts)
        return row, self.order[np.repeat(self.first[places], counts) + within]

    def back(self, places: Indices, steps: Indices) -> Indices:
        """(R,) the position of the copy `steps` (R,) copies before the token at each of `places` (R,).

        `NO_KEY` if there is none.
        """
        before = self.before[places]
        copies = self.order[np.maximum(self.first[places] + before - steps, 0)]
        return np.where(before >= steps, copies, NO_KEY)


def find_copies(ids: npt.ArrayLike) -> Copies:
    """Group the positions of a text by token id (T,)."""
    tokens = np.asarray(ids)
    order = np.argsort(tokens, kind="stable")
    grouped = tokens[order]
    begins = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]]) if tokens.size else np.zeros(0, int)
    first_in_order = np.repeat(begins, np.diff(np.r_[begins, tokens.size]))
    first, before = np.empty_like(order), np.empty_like(order)
    first[order] = first_in_order
    before[order] = np.arange(tokens.size) - first_in_order
    return Copies(order, first, before)
