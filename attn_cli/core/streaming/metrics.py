"""Every metric, defined once: its formula on a block of rows, and the rows that count.

`rows` evaluates the formulas block by block, `row_metrics` on full matrices; `eligible_rows` uses the nearest
keys. Only `compiled` has its own formulas, for speed; a test checks that they agree.

T rows of a text, R rows and C columns of a block.
"""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import numpy as np

from attn_cli.core.arrays import Array, Booleans, Indices, device_of, namespace
from attn_cli.core.streaming.formulas import (
    Coefficients,
    DirectEffect,
    Formula,
    NormWritten,
    SoftmaxFormula,
    SoftmaxRows,
    WeightedSum,
    WeightOnPairs,
    WeightReceived,
)
from attn_cli.core.streaming.key_tokens import NO_KEY, KeyTokens
from attn_cli.record import record
from attn_cli.vocabulary import Kind, Metric


@record(frozen=True, slots=True)
class Definition:
    """How a metric is computed; the vocabulary says what it means, and in which unit."""

    formula: Formula
    nearest_keys: Callable[[KeyTokens, Indices], tuple[Indices, ...]] | None = None
    """The nearest keys (T,) of each row that the metric is about; `NO_KEY` if a row has none.

    A row counts if it may look at one of them: if the mask hides the nearest, it hides the others too. None:
    a row counts if it may look at any key.
    """
    needs_ids: bool = False  # whether it needs to know which tokens are equal
    needs_special: bool = False  # whether it needs to know which tokens are special
    needs_one_text: bool = False  # whether queries and keys must be the same text
    needs_sink: bool = False  # whether the layer must have a learned sink
    needs_hidden: bool = False  # whether keys must be hidden
    needs_on: bool = False  # whether keys must be chosen

    @property
    def is_of_keys(self) -> bool:
        """Whether it is a number per key instead of per row."""
        return isinstance(self.formula, WeightReceived)

    @property
    def is_of_weights(self) -> bool:
        """Whether weights tell it, and not what the head writes with them."""
        return not isinstance(self.formula, NormWritten | DirectEffect)

    @property
    def skips_first_row(self) -> bool:
        """Whether the first row says nothing, as of weights on certain tokens unless the user chose them."""
        return self.nearest_keys is not None and not self.needs_on

    def applies_to(self, tokens: KeyTokens) -> bool:
        """Whether the tokens have the information it needs, and weights tell it."""
        lacks_ids = self.needs_ids and tokens.ids is None
        lacks_special = self.needs_special and tokens.special is None
        lacks_keys = (self.needs_hidden and tokens.hidden is None) or (self.needs_on and tokens.on is None)
        return self.is_of_weights and not (lacks_ids or lacks_special or lacks_keys)


def metrics_of_kind(kind: Kind) -> tuple[Metric, ...]:
    """The metrics that a layer of this kind of attention can have: not all of them in cross-attention.

    Effects on a prediction, which the layer alone does not tell, are none of them.
    """
    is_cross = kind is Kind.CROSS
    return tuple(
        metric
        for metric in Metric
        if not (metric.is_effect or (is_cross and DEFINITIONS[metric].needs_one_text))
    )


def measurable_metrics(
    metrics: Collection[Metric], tokens: KeyTokens, *, has_sink: bool
) -> tuple[Metric, ...]:
    """The given metrics that can be measured on these tokens and this layer, in the order of `Metric`."""
    return tuple(
        metric
        for metric in Metric
        if metric in metrics
        and DEFINITIONS[metric].applies_to(tokens)
        and (has_sink or not DEFINITIONS[metric].needs_sink)
    )


def _entropy(rows: SoftmaxRows) -> Array:
    """-Σ α ln α, with ln α = logit - lse, both less the largest logit; a sink is one more key."""
    xp = namespace(rows.total)
    of_keys = xp.clip(rows.logsumexp * rows.total - rows.mean_logit, min=0.0)
    if rows.sink is None:
        return of_keys
    logarithms = xp.log(xp.where(rows.sink > 0, rows.sink, xp.ones_like(rows.sink)))
    return of_keys - rows.sink * logarithms


def _largest(rows: SoftmaxRows) -> Array:
    return rows.largest


def _sink(rows: SoftmaxRows) -> Array:
    assert rows.sink is not None, "measured only if there is one"
    return rows.sink


def _distance(tokens: KeyTokens, rows: range, columns: range, like: Array) -> Coefficients:
    """|i - j|: for columns on one side of rows without gaps, the first row's distances and a slope of ±1."""
    xp, keys, places = namespace(like), _positions(columns, like), tokens.places(rows)
    first, stop = int(places[0]), int(places[-1]) + 1
    side = -1 if columns.stop <= first else 1 if columns.start >= stop else 0
    if side and stop - first == places.size:
        return Coefficients(xp.abs(keys - first), slope=-side)
    queries = xp.asarray(places, dtype=like.dtype, device=device_of(like))
    return Coefficients(xp.abs(queries[:, None] - keys))


def _positions(places: range, like: Array) -> Array:
    """The positions in the dtype of `like`."""
    return namespace(like).arange(places.start, places.stop, dtype=like.dtype, device=device_of(like))


def _special(tokens: KeyTokens, _: range, columns: range, like: Array) -> Coefficients | None:
    """1 for special tokens, else 0."""
    assert tokens.special is not None, "measured only if it is known"
    return _flags(tokens.special, columns, like)


def _hidden(tokens: KeyTokens, _: range, columns: range, like: Array) -> Coefficients | None:
    """1 for hidden keys, else 0."""
    assert tokens.hidden is not None, "measured only if it is known"
    return _flags(tokens.hidden, columns, like)


def _on(tokens: KeyTokens, _: range, columns: range, like: Array) -> Coefficients | None:
    """1 for chosen keys, else 0."""
    assert tokens.on is not None, "measured only if it is known"
    return _flags(tokens.on, columns, like)


def _flags(of_keys: Booleans, columns: range, like: Array) -> Coefficients | None:
    """1 where it is true, else 0; None if it is nowhere."""
    flags = np.zeros(len(columns))
    within = of_keys[columns.start : columns.stop]
    flags[: within.size] = within
    if not within.any():
        return None
    return Coefficients(namespace(like).asarray(flags, dtype=like.dtype, device=device_of(like)))


def _nearest_special(tokens: KeyTokens, rows: Indices) -> tuple[Indices, Indices]:
    """The nearest special token at or before each row, and the nearest after it."""
    assert tokens.special is not None, "measured only if it is known"
    return _nearest(tokens.special, rows)


def _nearest_on(tokens: KeyTokens, rows: Indices) -> tuple[Indices, Indices]:
    """The nearest chosen key at or before each row, and the nearest after it."""
    assert tokens.on is not None, "measured only if it is known"
    return _nearest(tokens.on, rows)


def _nearest(of_keys: Booleans, rows: Indices) -> tuple[Indices, Indices]:
    """The nearest key that is flagged at or before each row, and the nearest after it."""
    places = np.flatnonzero(of_keys)
    padded = np.r_[NO_KEY, places, NO_KEY]
    after = np.searchsorted(places, rows, side="right") + 1
    return padded[after - 1], padded[after]


def _copies(tokens: KeyTokens, rows: range) -> tuple[Indices, Indices]:
    """The earlier copies of each row's token."""
    return tokens.copies.pairs(tokens.places(rows))


def _nearest_copy(tokens: KeyTokens, rows: Indices) -> tuple[Indices]:
    return (tokens.copies.back(rows, np.ones_like(rows)),)


def _followers(tokens: KeyTokens, rows: range) -> tuple[Indices, Indices]:
    """The tokens that followed earlier copies of each row's token, except the row itself."""
    places = tokens.places(rows)
    row, copy = tokens.copies.pairs(places)
    is_before = copy + 1 < places[row]
    return row[is_before], copy[is_before] + 1


def _nearest_follower(tokens: KeyTokens, rows: Indices) -> tuple[Indices]:
    """The token after the nearest copy; if that is the row itself, the token after the copy before it."""
    (nearest,) = _nearest_copy(tokens, rows)
    is_right_before = (nearest == rows - 1) & (nearest != NO_KEY)
    copy = tokens.copies.back(rows, np.where(is_right_before, 2, 1))
    return (np.where(copy == NO_KEY, NO_KEY, copy + 1),)


def _weight_at(key: Callable[[Indices], Indices], *, needs_one_text: bool = False) -> Definition:
    """The weight on one key of each row."""

    def pairs(tokens: KeyTokens, rows: range) -> tuple[Indices, Indices]:
        return np.arange(len(rows)), key(tokens.places(rows))

    return Definition(WeightOnPairs(pairs), lambda _, rows: (key(rows),), needs_one_text=needs_one_text)


DEFINITIONS: Mapping[Metric, Definition] = MappingProxyType(
    {
        Metric.ENTROPY: Definition(SoftmaxFormula(_entropy, needs_mean_logit=True)),
        Metric.LARGEST: Definition(SoftmaxFormula(_largest)),
        Metric.SINK: Definition(SoftmaxFormula(_sink), needs_sink=True),
        Metric.HIDDEN: Definition(WeightedSum(_hidden), needs_hidden=True),
        Metric.ON: Definition(WeightedSum(_on), _nearest_on, needs_on=True),
        Metric.DISTANCE: Definition(WeightedSum(_distance, is_mean=True), needs_one_text=True),
        Metric.CURRENT: _weight_at(lambda rows: rows, needs_one_text=True),
        Metric.PREVIOUS: _weight_at(lambda rows: rows - 1, needs_one_text=True),
        Metric.FIRST: _weight_at(np.zeros_like),
        Metric.SPECIAL: Definition(WeightedSum(_special), _nearest_special, needs_special=True),
        Metric.DUPLICATE: Definition(
            WeightOnPairs(_copies), _nearest_copy, needs_ids=True, needs_one_text=True
        ),
        Metric.INDUCTION: Definition(
            WeightOnPairs(_followers), _nearest_follower, needs_ids=True, needs_one_text=True
        ),
        Metric.RECEIVED: Definition(WeightReceived()),
        Metric.WRITTEN: Definition(NormWritten()),
        Metric.WRITTEN_FIRST: Definition(NormWritten(), lambda _, rows: (np.zeros_like(rows),)),
        Metric.WRITTEN_ON: Definition(NormWritten(), _nearest_on, needs_on=True),
        Metric.DIRECT: Definition(DirectEffect()),
    }
)
