"""The metrics of rows as they are shown: without hidden keys, which take weight as a learned sink does.

H query heads, T queries, S keys.
"""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from attn_cli.core.arrays import Booleans, Floats, to_numpy
from attn_cli.core.attention import Operands
from attn_cli.core.hiding import Hiding, Shares, as_shown, with_places
from attn_cli.core.streaming.eligible_rows import sees_by_rule
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.row_metrics import (
    RowMetrics,
    are_few,
    are_finite,
    measure_weights,
    trace_heads,
    with_eligible_rows,
)
from attn_cli.core.streaming.stream import RowProgress, summarise
from attn_cli.vocabulary import Metric

_BESIDE = frozenset({Metric.SINK, Metric.HIDDEN})  # what a row gives to no key that is shown


def measure_shown(
    operands: Operands,
    metrics: Collection[Metric],
    tokens: KeyTokens,
    hiding: Hiding,
    progress: RowProgress | None = None,
) -> RowMetrics:
    """The metrics of a layer without its hidden keys, in memory that grows with T + S.

    Hidden keys together are one more key, as a learned sink is; of renormalized rows only the others count.
    """
    if tokens.rows is not None and are_few(operands):
        return _measure_traced(operands, metrics, tokens, hiding)
    others = with_places(operands, hiding)
    summary = summarise(others.operands, set(metrics) - _BESIDE, tokens, progress=progress)
    visible_keys, ends = to_numpy(summary.visible_keys), to_numpy(summary.logsumexp)
    values = {metric: to_numpy(numbers) for metric, numbers in summary.values.items()}
    results = (ends[:, visible_keys > 0], *values.values())
    finite = np.all([np.isfinite(numbers).all(axis=-1) for numbers in results], axis=0)
    measured = with_eligible_rows(
        values,
        _in_sight(tokens, hiding),
        visible_keys,
        sees_by_rule(others.operands),
        np.asarray(finite) & others.are_finite,
    )
    looks = (visible_keys > 0) | np.isfinite(to_numpy(others.hidden)).any(axis=0)
    return _beside(measured, metrics, others.shares(ends), looks, hiding)


def _measure_traced(
    operands: Operands, metrics: Collection[Metric], tokens: KeyTokens, hiding: Hiding
) -> RowMetrics:
    """The same from the weights that `trace` computes, exact to their last bit: for a few rows."""
    steps = trace_heads(operands)
    weights, mask = to_numpy(steps.weights), to_numpy(steps.mask)
    sink = None if steps.sink is None else to_numpy(steps.sink)
    measured = measure_shown_weights(weights, mask, metrics, tokens, hiding, sink)
    return replace(measured, are_finite=measured.are_finite & are_finite(steps))


def measure_shown_weights(
    weights: Floats,
    mask: Booleans,
    metrics: Collection[Metric],
    tokens: KeyTokens,
    hiding: Hiding,
    sink: Floats | None = None,
    first: int = 0,
) -> RowMetrics:
    """The same from full matrices: weights (H, T, S), mask (T, S), and the weight of a sink (H, T).

    They may be of some rows only, from the row `first` on.
    """
    shown, shares = as_shown(weights.astype(np.float64), hiding)
    is_hidden = np.isin(np.arange(mask.shape[-1]), hiding.keys)
    away = None if hiding.is_renormalized else shares.hidden + (0 if sink is None else sink)
    kept, seen = np.where(is_hidden, 0.0, shown), mask & ~is_hidden
    in_sight = _in_sight(tokens, hiding)
    measured = measure_weights(kept, seen, set(metrics) - _BESIDE, in_sight, away, first)
    return _beside(measured, metrics, replace(shares, sink=sink), np.asarray(mask.any(axis=-1)), hiding)


def _in_sight(tokens: KeyTokens, hiding: Hiding) -> KeyTokens:
    """The tokens, of which hidden keys are neither special nor chosen: another such key may be in sight."""
    hidden = list(hiding.keys)
    special, on = (None if flags is None else flags.copy() for flags in (tokens.special, tokens.on))
    for flags in (special, on):
        if flags is not None:
            flags[hidden] = False
    return replace(tokens, special=special, on=on)


def _beside(
    measured: RowMetrics, metrics: Collection[Metric], shares: Shares, looks: Booleans, hiding: Hiding
) -> RowMetrics:
    """The metrics with what hidden keys and a sink take of rows that may look anywhere, and what is left."""
    values, eligible = dict(measured.values), dict(measured.eligible)
    taken = {Metric.SINK: shares.sink, Metric.HIDDEN: shares.hidden}
    for metric, weight in taken.items():
        if metric in metrics and weight is not None:
            values[metric], eligible[metric] = weight, looks
    if Metric.ENTROPY in values and not hiding.is_renormalized:
        values[Metric.ENTROPY] = _apart(values[Metric.ENTROPY], shares)
    left = (measured.visible_keys > 0) * np.ones_like(shares.left) if hiding.is_renormalized else shares.left
    ordered = {metric: values[metric] for metric in Metric if metric in values}
    return replace(measured, values=ordered, eligible=eligible, left=left)


def _apart(entropy: Floats, shares: Shares) -> Floats:
    """The entropy (H, T) with hidden keys and a learned sink as two keys: it counted both as one."""
    if shares.sink is None:
        return entropy
    both = _entropy(shares.hidden + shares.sink)
    return np.asarray(entropy - both + _entropy(shares.hidden) + _entropy(shares.sink))


def _entropy(weight: Floats) -> Floats:
    """-α ln α."""
    exact = np.asarray(weight, np.float64)
    return np.asarray(-exact * np.log(np.where(exact > 0, exact, 1)))
