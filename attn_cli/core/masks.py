"""Attention masks as composable rules about two positions, which store no matrix.

A rule takes the positions of the queries (T, 1) and the keys (1, S) and returns booleans that broadcast to
(T, S): whether the query may look at the key. Most rules are a `Band`, for which the keys that a block of
queries needs are known without evaluating any pair.
"""

from collections.abc import Callable
from typing import TypeAlias

from attn_cli.core.arrays import Array, namespace
from attn_cli.record import record

Rule: TypeAlias = Callable[[Array, Array], Array]


@record(frozen=True, slots=True)
class Band:
    """A query may look at `before` positions before its own and `after` positions after it; None: at all."""

    before: int | None = None
    after: int | None = None

    def __call__(self, queries: Array, keys: Array) -> Array:
        """Whether the query may look at the key."""
        allowed = (queries >= 0) & (keys >= 0)
        if self.before is not None:
            allowed = allowed & (keys >= queries - self.before)
        if self.after is not None:
            allowed = allowed & (keys <= queries + self.after)
        return allowed

    def reach(self, rows: range, keys: int) -> range:
        """Which of `keys` keys at least one of these queries may look at."""
        first = 0 if self.before is None else max(0, rows[0] - self.before)
        stop = keys if self.after is None else min(keys, rows[-1] + self.after + 1)
        return range(min(first, stop), stop)

    def shared(self, rows: range, keys: int) -> range:
        """Which of `keys` keys all of these queries may look at."""
        first = 0 if self.before is None else max(0, rows[-1] - self.before)
        stop = keys if self.after is None else min(keys, rows[0] + self.after + 1)
        return range(min(first, stop), stop)

    def narrowed(self, other: "Band") -> "Band":
        """The intersection of both bands."""
        return Band(_nearer(self.before, other.before), _nearer(self.after, other.after))


everywhere = Band()
"""Every query may look at every key."""

causal = Band(after=0)
"""A query may look at its own position and at earlier ones."""


def sliding(window: int) -> Band:
    """A query may look at the last `window` positions, its own included, and at all later ones.

    Combined with `causal` it is Mistral's window (`modeling_mistral.py` counts the query too).
    """
    return Band(before=window - 1)


def nearby(reach: int) -> Band:
    """A query may look up to `reach` positions to either side (ModernBERT, `masking_utils.py`)."""
    return Band(before=reach, after=reach)


def padding(real: Array) -> Rule:
    """A query may look at key j where `real[..., j]` is true: (S,), or (B, S) for a batch of texts."""

    def rule(queries: Array, keys: Array) -> Array:
        is_real = namespace(real).take(real, keys[0, :], axis=-1)
        of_text = is_real[None, :] if is_real.ndim == 1 else is_real[:, None, None, :]  # for every head
        return (queries >= 0) & of_text

    return rule


@record(frozen=True, slots=True)
class Narrowed:
    """A band restricted further by `rules`."""

    band: Band
    rules: tuple[Rule, ...]

    def __call__(self, queries: Array, keys: Array) -> Array:
        """Whether the query may look at the key."""
        allowed = self.band(queries, keys)
        for rule in self.rules:
            allowed = allowed & rule(queries, keys)
        return allowed


def both(*rules: Rule) -> Rule:
    """A query may look where all of `rules` allow it."""
    band, others = everywhere, list[Rule]()
    for rule in rules:
        one = narrowed(rule)
        band = band.narrowed(one.band)
        others += one.rules
    return Narrowed(band, tuple(others)) if others else band


def narrowed(rule: Rule) -> Narrowed:
    """Any rule as a band and the rules that restrict it further."""
    if isinstance(rule, Narrowed):
        return rule
    return Narrowed(rule, ()) if isinstance(rule, Band) else Narrowed(everywhere, (rule,))


def _nearer(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
