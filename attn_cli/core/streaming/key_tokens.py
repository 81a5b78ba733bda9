"""The tokens being looked at: their ids, which are special, and where each occurred before."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import Indices
from attn_cli.record import record

NO_KEY = -1
"""Stands for a key that does not exist."""


@record(frozen=True, eq=False)
class KeyTokens:
    """What metrics need to know of the tokens that are looked at; S keys."""

    ids: npt.NDArray[np.integer] | None = None  # (S,) where the queries are the same tokens; else None
    special: npt.NDArray[np.bool_] | None = None  # (S,) which are no text

    @cached_property
    def copies(self) -> "Copies":
        """Where each token stood before; only where the ids are known."""
        assert self.ids is not None, "copies are of tokens whose ids are known"
        return find_copies(self.ids)


UNKNOWN_TOKENS = KeyTokens()


@record(frozen=True, slots=True, eq=False)
class Copies:
    """The places of each token of a text, in order; nothing in it is as large as T × T."""

    order: Indices  # (T,) all places, those of one token together
    first: Indices  # (T,) for the token at a place: where in `order` its places begin
    before: Indices  # (T,) how many copies stand earlier

    def pairs(self, rows: range) -> tuple[Indices, Indices]:
        """The rows, counted from the first of `rows`, and the place of each earlier copy of their tokens."""
        counts = self.before[rows.start : rows.stop]
        row = np.repeat(np.arange(len(rows)), counts)
        ends = np.cumsum(counts)
        within = np.arange(row.size) - np.repeat(ends - counts, counts)
        return row, self.order[np.repeat(self.first[rows.start : rows.stop], counts) + within]

    def back(self, steps: Indices) -> Indices:
        """(T,) the place of the copy so many copies (T,) before each token; `NO_KEY` where there is none."""
        place = self.order[np.maximum(self.first + self.before - steps, 0)]
        return np.where(self.before >= steps, place, NO_KEY)


def find_copies(ids: npt.ArrayLike) -> Copies:
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
