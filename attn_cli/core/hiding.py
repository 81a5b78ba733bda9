"""Hides keys: out of sight, never out of the softmax.

To the other keys of a row, hidden keys are what a learned sink is: one more logit, the logsumexp of theirs.
So heads are pooled and measured by the code that serves learned sinks. H query heads, T queries, S keys.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import Array, Floats, at_least_float32, device_of, namespace, taken, to_numpy
from attn_cli.core.attention import Operands, allowed, biased, exponentiate, masked, position_bias, score
from attn_cli.core.attention import soft_capped as capped
from attn_cli.core.masks import Band, OfKeys, Rule, both, narrowed
from attn_cli.record import record

_NUMBERS = 1 << 22  # logits of hidden keys that are held at once


@record(frozen=True, slots=True)
class Hiding:
    """Which keys are hidden, and whether a row of the others is divided by what is left of it."""

    keys: Sequence[int]  # positions, in ascending order
    is_renormalized: bool = False

    def others(self, count: int) -> list[int]:
        """The positions of the other keys, of `count`."""
        hidden = set(self.keys)
        return [key for key in range(count) if key not in hidden]


@record(frozen=True, slots=True, eq=False)
class Shares:
    """How the weight of each row is divided between hidden keys, the other keys and a learned sink."""

    hidden: Floats  # (..., T)
    left: Floats  # (..., T) on the other keys
    sink: Floats | None = None  # (..., T) None: there is none


def as_shown(weights: Floats, hiding: Hiding) -> tuple[Floats, Shares]:
    """The weights (..., T, S), divided by what is left of their row if so asked; and how rows are divided.

    They still have the columns of hidden keys. A row with nothing left is zeros.
    """
    hidden = weights[..., list(hiding.keys)].sum(axis=-1, dtype=np.float64)
    left = weights[..., hiding.others(weights.shape[-1])].sum(axis=-1, dtype=np.float64)
    shares = Shares(*(np.minimum(side, 1).astype(weights.dtype) for side in (hidden, left)))
    if not hiding.is_renormalized:
        return weights, shares
    rows = left[..., None]
    divided = np.divide(weights, rows, out=np.zeros(weights.shape, np.float64), where=rows > 0)
    return divided.astype(weights.dtype), shares


@record(frozen=True, slots=True, eq=False)
class OtherKeys:
    """The other keys of a layer: its softmax gives the weights as they are shown.

    What hidden keys and a learned sink take is the sink of `operands`; it has none if rows are renormalized.
    """

    operands: Operands
    hidden: Array  # (H, T) the logsumexp of the hidden keys' logits; -inf in a row that may look at none
    sink: Array | None  # (H, T) the logit of the learned sink
    is_renormalized: bool

    def shares(self, logsumexp: Floats) -> Shares:
        """How rows are divided, from the logsumexp (H, T) of `operands`, in float64."""
        ends = np.asarray(logsumexp, np.float64)
        hidden = to_numpy(self.hidden).astype(np.float64)
        sink = None if self.sink is None else to_numpy(self.sink).astype(np.float64)
        if not self.is_renormalized:
            of_hidden, of_sink = _share(hidden, ends), None if sink is None else _share(sink, ends)
            taken_away = of_hidden if of_sink is None else of_hidden + of_sink
            return Shares(of_hidden, np.where(np.isneginf(ends), 0.0, np.maximum(1 - taken_away, 0)), of_sink)
        total = np.logaddexp(ends, hidden)
        total = total if sink is None else np.logaddexp(total, sink)
        return Shares(
            _share(hidden, total), _share(ends, total), None if sink is None else _share(sink, total)
        )

    @property
    def are_finite(self) -> npt.NDArray[np.bool_]:
        """(H,) whether no logit of a hidden key overflowed."""
        return np.asarray((to_numpy(self.hidden) < np.inf).all(axis=-1))


def without_columns(operands: Operands, hiding: Hiding) -> OtherKeys:
    """The layer without the columns of the hidden keys: the other keys are numbered anew."""
    others = hiding.others(int(operands.keys.shape[-2]))
    return _other_keys(of_keys(operands, others), operands, hiding)


def with_places(operands: Operands, hiding: Hiding) -> OtherKeys:
    """The layer with its hidden keys masked: the other keys keep their positions, which metrics need."""
    xp, like = namespace(operands.keys), operands.keys
    is_shown = np.ones(int(like.shape[-2]), dtype=bool)
    is_shown[list(hiding.keys)] = False
    shown = xp.asarray(is_shown, device=device_of(like))

    def rule(queries: Array, keys: Array) -> Array:
        return (queries >= 0) & shown[keys]

    return _other_keys(replace(operands, mask=both(operands.mask, rule)), operands, hiding)


def of_keys(operands: Operands, keys: Sequence[int]) -> Operands:
    """The same layer with only these keys, which look to masks and biases as if at their own positions."""
    places = namespace(operands.keys).asarray(list(keys), device=device_of(operands.keys))
    return replace(
        operands,
        keys=taken(operands.keys, keys, -2),
        values=taken(operands.values, keys, -2),
        mask=_of_keys(operands.mask, places, int(operands.keys.shape[-2]) - len(keys)),
        bias=None if operands.bias is None else OfKeys(operands.bias, places),
    )


def logsumexp_of(operands: Operands) -> Array:
    """(H, T) the logsumexp of the logits of all keys, a block of rows at a time; no sink."""
    exact = replace(
        operands, queries=at_least_float32(operands.queries), keys=at_least_float32(operands.keys), sink=None
    )
    blocks = [_logsumexp(block) for block in _blocks(exact)]
    return namespace(operands.queries).concat(blocks, axis=-1)


def _other_keys(others: Operands, whole: Operands, hiding: Hiding) -> OtherKeys:
    """`others` of the layer, with what the rest of a row takes as its sink."""
    xp = namespace(whole.queries)
    hidden = logsumexp_of(of_keys(whole, hiding.keys))
    sink = None
    if whole.sink is not None:
        of_rows = whole.sink[:, None] if whole.sink.ndim == 1 else whole.sink
        sink = xp.broadcast_to(xp.astype(at_least_float32(of_rows), hidden.dtype), hidden.shape)
    rest = hidden if sink is None else xp.logaddexp(hidden, sink)
    given = replace(others, sink=None if hiding.is_renormalized else rest)
    return OtherKeys(given, hidden, sink, hiding.is_renormalized)


def _of_keys(rule: Rule, places: Array, fewer: int) -> Rule:
    """The rule of those keys; a band still bounds them: no key has moved by more than `fewer` positions."""
    band = narrowed(rule).band
    loose = Band(None if band.before is None else band.before + fewer, band.after)
    return both(loose, OfKeys(rule, places))


def _blocks(operands: Operands) -> Iterator[Operands]:
    queries, keys = int(operands.queries.shape[-2]), int(operands.keys.shape[-2])
    size = max(1, _NUMBERS // max(1, operands.heads * keys))
    return (operands.at(range(first, min(first + size, queries))) for first in range(0, queries, size))


def _logsumexp(operands: Operands) -> Array:
    """(H, R) of the rows of a block."""
    xp = namespace(operands.queries)
    scores = biased(capped(score(operands), operands.softcap), position_bias(operands))
    row = exponentiate(masked(scores, allowed(operands)))
    is_seen = row.total > 0
    ends = row.largest + xp.log(xp.where(is_seen, row.total, xp.ones_like(row.total)))
    nowhere = xp.full_like(ends, -float("inf"))
    return xp.where(is_seen | xp.isnan(row.total), ends, nowhere)[..., 0]


def _share(logits: Floats, total: Floats) -> Floats:
    """exp(logit - total); 0 where both are -inf: the row may look nowhere."""
    looks = ~np.isneginf(total)
    shares: Floats = np.exp(np.where(looks, logits, -np.inf) - np.where(looks, total, 0.0))
    return shares
