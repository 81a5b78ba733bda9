"""Who may look where: rules over two positions, which compose and never hold a matrix of their own.

A rule takes the positions of the queries (T, 1) and of the keys (1, S) and says, as booleans that
broadcast to (T, S), whether the query may look at the key.
"""

from collections.abc import Callable
from typing import TypeAlias

from attn_cli.core.arrays import Array, namespace

Rule: TypeAlias = Callable[[Array, Array], Array]


def everywhere(queries: Array, keys: Array) -> Array:
    """Every query may look at every key."""
    return (queries >= 0) & (keys >= 0)


def causal(queries: Array, keys: Array) -> Array:
    """A query may look at itself and at what came before."""
    return keys <= queries


def sliding(window: int) -> Rule:
    """A query may look at the last `window` positions, itself included, and at all that follow.

    Together with `causal` it is Mistral's window (`modeling_mistral.py` counts the query too).
    """

    def rule(queries: Array, keys: Array) -> Array:
        return keys > queries - window

    return rule


def nearby(reach: int) -> Rule:
    """A query may look up to `reach` positions to either side (ModernBERT, `masking_utils.py`)."""

    def rule(queries: Array, keys: Array) -> Array:
        return (keys >= queries - reach) & (keys <= queries + reach)

    return rule


def padding(real: Array) -> Rule:
    """A query may look at key j where `real[..., j]` is true: (S,), or (B, S) for a batch of texts."""

    def rule(queries: Array, keys: Array) -> Array:
        seen = namespace(real).take(real, keys[0, :], axis=-1)
        each = seen[None, :] if seen.ndim == 1 else seen[:, None, None, :]  # the same for every head
        return (queries >= 0) & each

    return rule


def both(*rules: Rule) -> Rule:
    """A query may look where every one of `rules` lets it."""

    def rule(queries: Array, keys: Array) -> Array:
        allowed = everywhere(queries, keys)
        for one in rules:
            allowed = allowed & one(queries, keys)
        return allowed

    return rule
