"""Which token may look where: composable rules over two positions that store no matrix.

A rule takes the positions of the queries (T, 1) and of the keys (1, S) and says, as booleans that
broadcast to (T, S), whether the query may look at the key. Most rules are a `Band`, of which one can tell
without looking at a single pair which keys a block of queries needs.
"""

from collections.abc import Callable
from typing import TypeAlias

from attn_cli.core.arrays import Array, namespace
from attn_cli.record import record

Rule: TypeAlias = Callable[[Array, Array], Array]


@record(frozen=True, slots=True)
class Band:
    """A query may look at so many positions before its own, and so many after it; None: at all of them."""

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
        """The keys, of so many, that some of these queries may look at."""
        first = 0 if self.before is None else max(0, rows[0] - self.before)
        stop = keys if self.after is None else min(keys, rows[-1] + self.after + 1)
        return range(min(first, stop), stop)

    def shared(self, rows: range, keys: int) -> range:
        """The keys, of so many, that every one of these queries may look at."""
        first = 0 if self.before is None else max(0, rows[-1] - self.before)
        stop = keys if self.after is None else min(keys, rows[0] + self.after + 1)
        return range(min(first, stop), stop)

    def narrowed(self, other: "Band") -> "Band":
        """What both bands allow."""
        return Band(_nearer(self.before, other.before), _nearer(self.after, other.after))


everywhere = Band()
"""Every query may look at every key."""

causal = Band(after=0)
"""A query may look at itself and at what came before."""


def sliding(window: int) -> Band:
    """A query may look at the last `window` positions, itself included, and at all that follow.

    Together with `causal` it is Mistral's window (`modeling_mistral.py` counts the query too).
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
    """A band in which not every cell may be looked at: `rules` say which."""

    band: Band
    rules: tuple[Rule, ...]

    def __call__(self, queries: Array, keys: Array) -> Array:
        """Whether the query may look at the key."""
        allowed = self.band(queries, keys)
        for rule in self.rules:
            allowed = allowed & rule(queries, keys)
        return allowed


def both(*rules: Rule) -> Rule:
    """A query may look where every one of `rules` lets it."""
    band, others = everywhere, list[Rule]()
    for rule in rules:
        one = narrowed(rule)
        band = band.narrowed(one.band)
        others += one.rules
    return Narrowed(band, tuple(others)) if others else band


def narrowed(rule: Rule) -> Narrowed:
    """Any rule as the band that it stays in, and what must be asked inside of it."""
    if isinstance(rule, Narrowed):
        return rule
    return Narrowed(rule, ()) if isinstance(rule, Band) else Narrowed(everywhere, (rule,))


def _nearer(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
