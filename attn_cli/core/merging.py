"""Merges tokens into words: weight to a word is the sum over its tokens, from a word the mean over them.

Clark et al. 2019, arXiv:1906.04341, section 4.1. Rows of weights still sum to 1, less what a sink takes.
H query heads, T queries, S keys; P and W words of queries and of keys.
"""

from collections.abc import Sequence
from itertools import chain
from typing import TypeVar

import numpy as np

from attn_cli.core.arrays import Booleans, Floats, Indices
from attn_cli.record import record

_LONG = 64  # tokens of a word: shorter ones are faster summed token by token, for most words have one

Numbers = TypeVar("Numbers", Floats, Booleans)


@record(frozen=True, slots=True, eq=False)
class Groups:
    """The tokens of each word; every token belongs to one word, and every word has a token."""

    order: Indices | None  # the tokens, word by word; None: they stand so
    firsts: Indices  # (W,) the place in that order at which each word starts
    tokens: int

    @classmethod
    def of(cls, members: Sequence[Sequence[int]]) -> "Groups":
        """The groups of these tokens."""
        order = np.fromiter(chain.from_iterable(members), dtype=np.intp)
        counts = np.fromiter(map(len, members), dtype=np.intp, count=len(members))
        is_ordered = np.array_equal(order, np.arange(order.size))
        return cls(None if is_ordered else order, np.cumsum(counts) - counts, order.size)

    @property
    def count(self) -> int:
        """W, the number of words."""
        return int(self.firsts.size)

    def summed(self, values: Floats, axis: int) -> Floats:
        """The sum over the tokens of each word, along an axis of tokens."""
        ordered = self._ordered(values, axis)
        lengths = np.diff(self.firsts, append=self.tokens)
        if lengths.max() > _LONG:
            return np.asarray(np.add.reduceat(ordered, self.firsts, axis=axis))
        sums = ordered.take(self.firsts, axis=axis)
        for number in range(1, lengths.max()):
            longer = np.flatnonzero(lengths > number)
            place: list[slice | Indices] = [slice(None)] * sums.ndim
            place[axis] = longer
            sums[tuple(place)] += ordered.take(self.firsts[longer] + number, axis=axis)
        return sums

    def any_of(self, values: Booleans, axis: int) -> Booleans:
        """Whether it is true of any token of the word."""
        return np.asarray(np.logical_or.reduceat(self._ordered(values, axis), self.firsts, axis=axis))

    def _ordered(self, values: Numbers, axis: int) -> Numbers:
        return values if self.order is None else values.take(self.order, axis=axis)


@record(frozen=True, slots=True, eq=False)
class WordRows:
    """The weights of some words on all words, and what a learned sink takes of each row."""

    weights: Floats  # (H, P, W)
    mask: Booleans  # (P, W) whether any token of the query may look at any token of the key
    sink: Floats | None = None  # (H, P) None: there is none


def merged_rows(
    weights: Floats, mask: Booleans, queries: Groups, keys: Groups, sink: Floats | None = None
) -> WordRows:
    """The rows of words, from those of tokens: weights (H, T, S), mask (T, S), and a sink's weight (H, T).

    Without a sink, a token that may look nowhere counts in no mean: the rows of its word still sum to 1.
    """
    counted = np.ones(mask.shape[0], dtype=bool) if sink is not None else np.asarray(mask.any(axis=-1))
    count = np.maximum(1, queries.summed(counted.astype(weights.dtype), 0))
    of_words = queries.summed(keys.summed(weights, -1), -2) / count[:, None]
    seen = queries.any_of(keys.any_of(mask, -1), 0)
    return WordRows(of_words, seen, None if sink is None else queries.summed(sink, -1) / count)
