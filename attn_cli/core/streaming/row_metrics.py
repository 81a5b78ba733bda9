"""The metrics of a layer's heads, row by row: from its operands, or from full matrices.

H query heads, T queries, S keys.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np

from attn_cli.core.arrays import Array, Booleans, Floats, Integers, to_numpy
from attn_cli.core.attention import Operands, Trace, trace
from attn_cli.core.streaming.eligible_rows import Sees, find_eligible_rows, sees_by_matrix, sees_by_rule
from attn_cli.core.streaming.formulas import (
    DirectEffect,
    Formula,
    NormWritten,
    SoftmaxFormula,
    SoftmaxRows,
    WeightedSum,
    WeightOnPairs,
    WeightReceived,
)
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import DEFINITIONS, measurable_metrics
from attn_cli.core.streaming.pooling import Pooled, pooled_by
from attn_cli.core.streaming.stream import RowProgress, summarise
from attn_cli.core.streaming.summary import Summary
from attn_cli.record import record
from attn_cli.vocabulary import Metric, Pool

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
    return _measured(operands, summarise(operands, metrics, tokens, progress=progress), tokens)


def measure_and_pool(
    operands: Operands, metrics: Collection[Metric], tokens: KeyTokens, most: int, way: Pool
) -> tuple[RowMetrics, Pooled]:
    """The metrics of a layer, and its weights in at most `most` rows and columns of cells, in one pass.

    The metrics include the weight of a sink and what each key receives: pooled weights have both beside them.
    With as many cells as tokens the weights are whole, and differ from those of `trace` by rounding.
    """
    summary = summarise(operands, metrics, tokens, picture=most, pool=way)
    return _measured(operands, summary, tokens), pooled_by(summary, operands, way)


def _measured(operands: Operands, summary: Summary, tokens: KeyTokens) -> RowMetrics:
    """What a summary says of each row, with the rows in which it is meaningful."""
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
    first: int = 0,
) -> RowMetrics:
    """The same from full matrices: weights (H, T, S), mask (T, S), and the weight of a sink (H, T).

    They may be of some rows only, from the row `first` on.
    """
    exact, of_sink = weights.astype(np.float64), None if sink is None else sink.astype(np.float64)
    measurable = measurable_metrics(metrics, tokens, has_sink=sink is not None)
    formulas = {metric: DEFINITIONS[metric].formula for metric in measurable}
    matrices = _Matrices(exact, of_sink, tokens, first, _softmax_rows(exact, of_sink, formulas.values()))
    values = {metric: np.asarray(matrices.evaluate(formula)) for metric, formula in formulas.items()}
    are_finite = np.asarray(np.isfinite(exact).all(axis=(-2, -1)))
    if of_sink is not None:
        are_finite &= np.isfinite(of_sink).all(axis=-1)
    return with_eligible_rows(
        values, tokens, mask.sum(axis=-1), sees_by_matrix(mask, first), are_finite, first
    )


def with_eligible_rows(
    values: Mapping[Metric, Floats],
    tokens: KeyTokens,
    visible_keys: Integers,
    sees: Sees,
    are_finite: Booleans,
    first: int = 0,
) -> RowMetrics:
    """The metrics, with the rows in which they are meaningful; `sees` tells which pairs are not masked.

    They may be of some rows only, from the row `first` on.
    """
    of_rows = [metric for metric in values if not DEFINITIONS[metric].is_of_keys]
    eligible = find_eligible_rows(of_rows, tokens, visible_keys, sees, first)
    return RowMetrics(values, eligible, visible_keys, are_finite, places=tokens.rows)


@record(frozen=True, slots=True, eq=False)
class _Matrices:
    """Full matrices on which formulas are evaluated, of the rows from `first` on."""

    weights: Floats  # (H, T, S)
    sink: Floats | None  # (H, T)
    tokens: KeyTokens
    first: int
    softmax: SoftmaxRows

    def evaluate(self, formula: Formula) -> Array:
        """(H, T) or (H, S) the formula of each row or key."""
        match formula:
            case SoftmaxFormula():
                return formula.compute(self.softmax)
            case WeightedSum():
                sums = self._summed(formula)
                is_whole = self.sink is None or not formula.is_mean
                return sums if is_whole else _per_weight(sums, self.softmax.total)
            case WeightOnPairs():
                return self._on_pairs(formula)
            case WeightReceived():
                return self.weights.sum(axis=-2)
            case NormWritten() | DirectEffect():
                raise AssertionError("it is not measurable here: weights alone do not tell it")

    @property
    def _rows(self) -> range:
        return range(self.first, self.first + self.weights.shape[-2])

    def _summed(self, formula: WeightedSum) -> Floats:
        """(H, T) the sum of the weights times their coefficients."""
        keys = range(self.weights.shape[-1])
        found = formula.coefficients(self.tokens, self._rows, keys, self.weights)
        if found is None:
            return np.zeros(self.weights.shape[:-1])
        of_each = "hts,s->ht" if found.columns.ndim == 1 else "hts,ts->ht"
        sums = np.einsum(of_each, self.weights, found.columns)
        return np.asarray(sums + found.slope * np.arange(len(self._rows)) * self.softmax.total)

    def _on_pairs(self, formula: WeightOnPairs) -> Floats:
        """(H, T) the weight on the pairs of each row."""
        count, length = self.weights.shape[-2:]
        rows, keys = formula.pairs(self.tokens, self._rows)
        exist = (keys >= 0) & (keys < length)
        rows, keys = rows[exist], keys[exist]
        return np.stack([np.bincount(rows, head[rows, keys], count) for head in self.weights])


def _per_weight(sums: Floats, totals: Floats) -> Floats:
    """(H, T) the sums divided by the rows' weight; 0 for a row without weight."""
    return np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)


def _softmax_rows(weights: Floats, sink: Floats | None, formulas: Iterable[Formula]) -> SoftmaxRows:
    """The statistics of the softmax: weights are the softmax of their logarithms, whose logsumexp is 0."""
    total = weights.sum(axis=-1)
    needs_logits = any(isinstance(one, SoftmaxFormula) and one.needs_mean_logit for one in formulas)
    logits = np.log(np.where(weights > 0, weights, 1)) if needs_logits else None
    mean_logit = None if logits is None else np.einsum("hts,hts->ht", weights, logits)
    return SoftmaxRows(weights.max(axis=-1), total, np.zeros_like(total), mean_logit, sink)
