"""The metrics of a layer's heads, row by row: from its operands, or from full matrices.

H query heads, T queries, S keys.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from attn_cli.core.arrays import Array, Booleans, Floats, Integers, to_numpy
from attn_cli.core.attention import Operands, Trace, trace
from attn_cli.core.streaming.eligible_rows import Sees, find_eligible_rows, sees_by_matrix, sees_by_rule
from attn_cli.core.streaming.formulas import (
    Formula,
    SoftmaxFormula,
    SoftmaxRows,
    WeightedSum,
    WeightOnPairs,
    WeightReceived,
)
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import DEFINITIONS, measurable_metrics
from attn_cli.core.streaming.stream import RowProgress, summarise
from attn_cli.record import record
from attn_cli.vocabulary import Metric

_FEW = 1 << 22  # weights of a layer: 32 MB in float64


@record(frozen=True, slots=True, eq=False)
class RowMetrics:
    """The metrics of each query of each head, and the rows in which they are meaningful."""

    values: Mapping[Metric, Floats]  # (H, T) each; `received` is (H, S)
    eligible: Mapping[Metric, Booleans]  # (T,) the rows in which a head could do what the metric measures
    visible_keys: Integers  # (T,) how many keys the query may look at
    are_finite: Booleans  # (H,) whether all numbers of the head are finite
    left: Floats | None = None  # (H, T) by what a row counts in means over tokens; None: 1 less the sink
    places: Integers | None = None  # (T,) the positions of the queries; None: 0 to T - 1

    def are_from(self, first_row: int) -> Booleans:
        """(T,) whether each query is at this position or later."""
        places = np.arange(self.visible_keys.size) if self.places is None else self.places
        return np.asarray(places >= first_row)


def measure_operands(
    operands: Operands,
    metrics: Collection[Metric],
    tokens: KeyTokens,
    progress: RowProgress | None = None,
) -> RowMetrics:
    """The metrics of a layer, in memory that grows with T + S; `progress` is not told of a few rows."""
    if tokens.rows is not None and are_few(operands):
        return measure_traced(operands, metrics, tokens)
    summary = summarise(operands, metrics, tokens, progress=progress)
    visible_keys, ends = to_numpy(summary.visible_keys), to_numpy(summary.logsumexp)
    values = {metric: to_numpy(numbers) for metric, numbers in summary.values.items()}
    results = (ends[:, visible_keys > 0], *values.values())
    are_finite = np.asarray(np.all([np.isfinite(numbers).all(axis=-1) for numbers in results], axis=0))
    return with_eligible_rows(values, tokens, visible_keys, sees_by_rule(operands), are_finite)


def measure_traced(operands: Operands, metrics: Collection[Metric], tokens: KeyTokens) -> RowMetrics:
    """The same from the weights that `trace` computes, exact to their last bit: for a few rows."""
    steps = trace_heads(operands)
    weights, mask = to_numpy(steps.weights), to_numpy(steps.mask)
    sink = None if steps.sink is None else to_numpy(steps.sink)
    measured = measure_weights(weights, mask, metrics, tokens, sink)
    return replace(measured, are_finite=measured.are_finite & are_finite(steps))


def trace_heads(operands: Operands) -> Trace:
    """Every step, computed head by head as for tables: products of groups of heads are rounded otherwise."""
    return trace(operands.select(range(operands.heads)))


def are_few(operands: Operands) -> bool:
    """Whether the weights of all heads and rows can be held at once, several times over."""
    return operands.heads * int(operands.queries.shape[-2]) * int(operands.keys.shape[-2]) <= _FEW


def are_finite(steps: Trace) -> Booleans:
    """(H,) whether the logits are finite where the query may look: the weights do not tell in each case."""
    logits = np.where(to_numpy(steps.mask), to_numpy(steps.logits), 0.0)
    return np.asarray(np.isfinite(logits).all(axis=(-2, -1)))


def measure_weights(
    weights: Floats,
    mask: Booleans,
    metrics: Collection[Metric],
    tokens: KeyTokens,
    sink: Floats | None = None,
) -> RowMetrics:
    """The same from full matrices: weights (H, T, S), mask (T, S), and the weight of a sink (H, T)."""
    exact, of_sink = weights.astype(np.float64), None if sink is None else sink.astype(np.float64)
    values = {
        metric: np.asarray(_of_matrices(DEFINITIONS[metric].formula, exact, of_sink, tokens))
        for metric in measurable_metrics(metrics, tokens, has_sink=sink is not None)
    }
    are_finite = np.asarray(np.isfinite(exact).all(axis=(-2, -1)))
    if of_sink is not None:
        are_finite &= np.isfinite(of_sink).all(axis=-1)
    return with_eligible_rows(values, tokens, mask.sum(axis=-1), sees_by_matrix(mask), are_finite)


def with_eligible_rows(
    values: Mapping[Metric, Floats],
    tokens: KeyTokens,
    visible_keys: Integers,
    sees: Sees,
    are_finite: Booleans,
) -> RowMetrics:
    """The metrics, with the rows in which they are meaningful; `sees` tells which pairs are not masked."""
    of_rows = [metric for metric in values if not DEFINITIONS[metric].is_of_keys]
    eligible = find_eligible_rows(of_rows, tokens, visible_keys, sees)
    return RowMetrics(values, eligible, visible_keys, are_finite, places=tokens.rows)


def _of_matrices(formula: Formula, weights: Floats, sink: Floats | None, tokens: KeyTokens) -> Array:
    """(H, T) or (H, S) the formula evaluated on weights (H, T, S) and the sink's (H, T)."""
    match formula:
        case SoftmaxFormula():
            return formula.compute(_softmax_rows(weights, sink))
        case WeightedSum():
            sums = (weights * _coefficients(formula, weights, tokens)).sum(axis=-1)
            return sums if sink is None or not formula.is_mean else _per_weight(sums, weights.sum(axis=-1))
        case WeightOnPairs():
            return (weights * _cells(formula, weights, tokens)).sum(axis=-1)
        case WeightReceived():
            return weights.sum(axis=-2)


def _per_weight(sums: Floats, totals: Floats) -> Floats:
    """(H, T) the sums divided by the rows' weight; 0 for a row without weight."""
    return np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)


def _softmax_rows(weights: Floats, sink: Floats | None) -> SoftmaxRows:
    """The statistics of the softmax: weights are the softmax of their logarithms, whose logsumexp is 0."""
    logits = np.log(weights, where=weights > 0, out=np.zeros_like(weights))
    total, mean_logit = weights.sum(axis=-1), (weights * logits).sum(axis=-1)
    return SoftmaxRows(weights.max(axis=-1), total, np.zeros_like(total), mean_logit, sink)


def _coefficients(formula: WeightedSum, weights: Floats, tokens: KeyTokens) -> Array:
    """The coefficients of the weights, (T, S) or (S,)."""
    rows, keys = weights.shape[-2:]
    coefficients = formula.coefficients(tokens, range(rows), range(keys), weights)
    if coefficients is None:
        return np.zeros(keys)
    slope = coefficients.slope * np.arange(rows)
    return coefficients.columns + slope[:, None] if coefficients.slope else coefficients.columns


def _cells(formula: WeightOnPairs, weights: Floats, tokens: KeyTokens) -> Booleans:
    """(T, S) true for the pairs of the formula."""
    count, length = weights.shape[-2:]
    rows, keys = formula.pairs(tokens, range(count))
    exist = (keys >= 0) & (keys < length)
    cells = np.zeros((count, length), dtype=bool)
    cells[rows[exist], keys[exist]] = True
    return cells
