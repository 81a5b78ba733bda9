"""Attention masks as composable rules about two positions, which store no matrix.

A rule takes the positions of the queries (T, 1) and the keys (1, S) and returns booleans that broadcast to
(T, S): whether the query may look at the key. Most rules are a `Band`, for which the keys that a block of
queries needs are known without evaluating any pair.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

from attn_cli.core.arrays import Array, device_of, namespace
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


@record(frozen=True, slots=True, eq=False)
class Padding:
    """A query may look at key j where `real[..., j]` is true: (S,), or (B, S) for a batch of texts."""

    real: Array

    def __call__(self, queries: Array, keys: Array) -> Array:
        """Whether the query may look at the key."""
        is_real = namespace(self.real).take(self.real, keys[0, :], axis=-1)
        of_text = is_real[None, :] if is_real.ndim == 1 else is_real[:, None, None, :]  # for every head
        return (queries >= 0) & of_text


def padding(real: Array) -> Padding:
    """A query may look at the keys that are `real`: (S,), or (B, S) for a batch of texts."""
    return Padding(real)


@record(frozen=True, slots=True, eq=False)
class OfRows:
    """A mask rule, or a bias, of some of the queries, which keep their positions."""

    whole: Callable[[Array, Array], Array]
    places: Array  # (T,) the positions of the queries

    def __call__(self, queries: Array, keys: Array) -> Array:
        """What `whole` says of the queries in these rows."""
        return self.whole(self.places[queries], keys)


@record(frozen=True, slots=True, eq=False)
class OfKeys:
    """A mask rule, or a bias, of some of the keys, which keep their positions."""

    whole: Callable[[Array, Array], Array]
    places: Array  # (S,) the positions of the keys

    def __call__(self, queries: Array, keys: Array) -> Array:
        """What `whole` says of the keys in these columns."""
        return self.whole(queries, self.places[keys])


@record(frozen=True, slots=True, eq=False)
class Shifted:
    """A mask rule, or a bias, of consecutive queries and keys that do not start at position 0."""

    whole: Callable[[Array, Array], Array]
    query: int  # the position of the first query
    key: int  # the position of the first key

    def __call__(self, queries: Array, keys: Array) -> Array:
        """What `whole` says of the queries in these rows and the keys in these columns."""
        return self.whole(queries + self.query, keys + self.key)


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


def shifted(rule: Rule, query: int, key: int = 0) -> Rule:
    """The rule for consecutive queries and keys, the first of which stand at these positions.

    A band remains a band.
    """
    if not query and not key:
        return rule
    whole, apart = narrowed(rule), query - key
    before, after = whole.band.before, whole.band.after
    band = Band(
        None if before is None else before - apart,
        None if after is None else after + apart,
    )
    return both(band, *(Shifted(one, query, key) for one in whole.rules))


@record(frozen=True, slots=True)
class HiddenBy:
    """Why a query may not look at a key: what hides it, and how many positions that leaves.

    `causal`: the key is later than the query. `window`: the key is not among the last `positions`, the
    query's own included. `nearby`: it is more than `positions` away, in a window to both sides. `padding`:
    it is padding. `other`: a rule that does not say why, as for a recorded mask.
    """

    cause: Literal["causal", "window", "nearby", "padding", "other"]
    positions: int | None = None


def reason(rule: Rule, query: int, key: int, like: Array) -> HiddenBy | None:
    """Why the query in row `query` may not look at the key; None if it may.

    If several rules hide the key, one of them is named: causal before window before padding. `like` is an
    array of the library and on the device of the rule's own arrays. In a batch the key is hidden if it is
    for every text.
    """
    if isinstance(rule, OfRows):
        return reason(rule.whole, int(rule.places[query]), key, like)
    if isinstance(rule, Shifted):
        return reason(rule.whole, query + rule.query, key + rule.key, like)
    whole = narrowed(rule)
    hidden = _outside(whole.band, query, key)
    if hidden is not None:
        return hidden
    return next(filter(None, (_hidden_by_rule(one, query, key, like) for one in whole.rules)), None)


def _outside(band: Band, query: int, key: int) -> HiddenBy | None:
    """Which side of a band hides the key."""
    if band.after is not None and key > query + band.after:
        return HiddenBy("nearby", band.after) if band.after else HiddenBy("causal")
    if band.before is not None and key < query - band.before:
        return HiddenBy("nearby", band.before) if band.after else HiddenBy("window", band.before + 1)
    return None


def _hidden_by_rule(rule: Rule, query: int, key: int, like: Array) -> HiddenBy | None:
    if isinstance(rule, OfRows | Shifted):
        return reason(rule, query, key, like)
    xp, device = namespace(like), device_of(like)
    places = (xp.asarray([[place]], device=device) for place in (query, key))
    if bool(xp.any(rule(*places))):
        return None
    return HiddenBy("padding" if isinstance(rule, Padding) else "other")


def _nearer(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
