"""What is known of the heads of one layer, query by query: from operands, or from full matrices.

H query heads, T queries, S keys.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attn_cli.analysis.eligible_rows import Cells, Sees, possible, sees_by_matrix, sees_by_rule
from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands
from attn_cli.core.streaming.stream import Text, Watch, summarise
from attn_cli.grid import Matrix
from attn_cli.vocabulary import Kind, Metric


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """The facts about each query of each head, and where they mean something."""

    values: Mapping[Metric, Matrix]  # (H, T) each; of `received` (H, S)
    possible: Mapping[Metric, Cells]  # (T,) the rows in which a head could do what the metric asks
    seen: npt.NDArray[np.integer]  # (T,) how many keys the query may look at
    are_finite: Cells  # (H,) whether the softmax of each head came to an end


def metrics_of(kind: Kind) -> tuple[Metric, ...]:
    """What can be measured of an attention of this kind."""
    return tuple(metric for metric in Metric if kind is not Kind.CROSS or not metric.needs_one_text)


def measured(
    operands: Operands, metrics: Collection[Metric], text: Text, watch: Watch | None = None
) -> Facts:
    """The facts about a layer, in memory that grows with T + S."""
    found = summarise(operands, metrics, text, watch=watch)
    seen, ends = to_numpy(found.seen), to_numpy(found.logsumexp)
    each = {metric: getattr(found, metric.field) for metric in Metric if metric in metrics}
    values = {metric: to_numpy(numbers) for metric, numbers in each.items() if numbers is not None}
    judged = (ends[:, seen > 0], *values.values())
    finite = np.asarray(np.all([np.isfinite(numbers).all(axis=-1) for numbers in judged], axis=0))
    return Facts(values, _possible(values, text, seen, sees_by_rule(operands)), seen, finite)


def spelled(weights: Matrix, mask: Cells, metrics: Collection[Metric], text: Text) -> Facts:
    """The same of full matrices: weights (H, T, S), mask (T, S)."""
    exact = weights.astype(np.float64)
    named = targets(text, *mask.shape)
    values = {metric: _value(metric, exact, named) for metric in Metric if metric in metrics}
    known = {metric: value for metric, value in values.items() if value is not None}
    seen = mask.sum(axis=-1)
    finite = np.asarray(np.isfinite(exact).all(axis=(-2, -1)))
    return Facts(known, _possible(known, text, seen, sees_by_matrix(mask)), seen, finite)


def _value(metric: Metric, weights: Matrix, named: Mapping[Metric, Cells]) -> Matrix | None:
    """(H, T) one fact, or (H, S); None where the text does not say where to look."""
    match metric:
        case Metric.ENTROPY:
            return np.asarray(-_times_log(weights).sum(axis=-1))
        case Metric.LARGEST:
            return np.asarray(weights.max(axis=-1))
        case Metric.DISTANCE:
            rows, columns = weights.shape[-2:]
            return np.asarray((weights * np.abs(np.arange(rows)[:, None] - np.arange(columns))).sum(axis=-1))
        case Metric.RECEIVED:
            return np.asarray(weights.sum(axis=-2))
    return np.asarray((weights * named[metric]).sum(axis=-1)) if metric in named else None


def targets(text: Text, queries: int, keys: int) -> dict[Metric, Cells]:
    """(T, S) for each metric that asks for certain tokens: the cells that it names, as far as the text says.

    An induction head looks from a token at what followed its earlier copies (not at itself, where the
    copy stands right before).
    """
    back = np.arange(queries)[:, None] - np.arange(keys)
    found = {
        Metric.CURRENT: back == 0,
        Metric.PREVIOUS: back == 1,
        Metric.FIRST: np.broadcast_to(np.arange(keys) == 0, back.shape),
    }
    if text.special is not None:
        found[Metric.SPECIAL] = np.broadcast_to(text.special, back.shape)
    if text.ids is not None:
        copies = (text.ids[:, None] == text.ids[None, :]) & (back > 0)
        followed = np.zeros_like(copies)
        followed[:, 1:] = copies[:, :-1]
        found |= {Metric.DUPLICATE: copies, Metric.INDUCTION: followed & (back > 0)}
    return found


def _possible(
    values: Mapping[Metric, Matrix],
    text: Text,
    seen: npt.NDArray[np.integer],
    sees: Sees,
) -> dict[Metric, Cells]:
    return possible([metric for metric in values if metric is not Metric.RECEIVED], text, seen, sees)


def _times_log(numbers: Matrix) -> Matrix:
    """x ln x, 0 at 0."""
    return numbers * np.log(numbers, where=numbers > 0, out=np.zeros_like(numbers))
