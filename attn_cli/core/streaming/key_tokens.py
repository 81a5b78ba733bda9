"""Where a token stood before: the pairs of a query and an earlier copy of its token, block by block."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """The places of each token of a text, in order; nothing in it is as large as T × T."""

    order: Indices  # (T,) all places, those of one token together
    first: Indices  # (T,) for the token at a place: where in `order` its places begin
    before: Indices  # (T,) how many copies stand earlier

    def earlier(self, rows: range) -> tuple[Indices, Indices]:
        """The pairs: the row, counted from the first of `rows`, and the place of an earlier copy."""
        counts = self.before[rows.start : rows.stop]
        row = np.repeat(np.arange(len(rows)), counts)
        ends = np.cumsum(counts)
        within = np.arange(row.size) - np.repeat(ends - counts, counts)
        return row, self.order[np.repeat(self.first[rows.start : rows.stop], counts) + within]


def copies(ids: npt.ArrayLike) -> Copies:
    """The copies in a text of these token ids (T,)."""
    tokens = np.asarray(ids)
    order = np.argsort(tokens, kind="stable")
    grouped = tokens[order]
    begins = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]]) if tokens.size else np.zeros(0, int)
    first_in_order = np.repeat(begins, np.diff(np.r_[begins, tokens.size]))
    first, before = np.empty_like(order), np.empty_like(order)
    first[order] = first_in_order
    before[order] = np.arange(tokens.size) - first_in_order
    return Copies(order, first, before)
