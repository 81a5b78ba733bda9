"""The metrics of heads from full matrices, cell by cell: the reference for `summarise`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands, trace
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.vocabulary import Metric, Pool

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Expected:
    """Everything in float64."""

    weights: Numbers  # (H, T, S)
    mask: npt.NDArray[np.bool_]  # (T, S)
    logsumexp: Numbers  # (H, T)
    picture: Numbers
    values: Mapping[Metric, Numbers]


def summary_of(operands: Operands, tokens: KeyTokens, picture: int, pool: Pool = Pool.MEAN) -> Expected:
    """The summary computed from the matrices of `trace`."""
    steps = trace(operands)
    weights = to_numpy(steps.weights).astype(np.float64)
    logits = to_numpy(steps.logits).astype(np.float64)
    sink = None if operands.sink is None else to_numpy(operands.sink).astype(np.float64)
    values = _on_all_keys(weights, None if sink is None else _weight_of_sink(logits, sink))
    for metric, cells in named_cells(tokens, *weights.shape[-2:]).items():
        values[metric] = (weights * cells).sum(axis=-1)
    return Expected(
        weights, to_numpy(steps.mask), _logsumexp(logits, sink), in_cells(weights, picture, pool), values
    )


def named_cells(tokens: KeyTokens, rows: int, columns: int) -> dict[Metric, npt.NDArray[np.bool_]]:
    """(T, S) the cells that a metric covers, according to the tokens.

    An induction head attends from a token to what followed its earlier copies (not to itself, if the
    copy is right before).
    """
    back = np.arange(rows)[:, None] - np.arange(columns)
    cells = {
        Metric.CURRENT: back == 0,
        Metric.PREVIOUS: back == 1,
        Metric.FIRST: np.broadcast_to(np.arange(columns) == 0, back.shape),
    }
    if tokens.special is not None:
        cells[Metric.SPECIAL] = np.broadcast_to(tokens.special, back.shape)
    if tokens.on is not None:
        cells[Metric.ON] = np.broadcast_to(tokens.on, back.shape)
    if tokens.ids is not None:
        cells[Metric.DUPLICATE] = (tokens.ids[:, None] == tokens.ids[None, :]) & (back > 0)
        followed = np.zeros_like(back, dtype=bool)
        followed[:, 1:] = cells[Metric.DUPLICATE][:, :-1]
        cells[Metric.INDUCTION] = followed & (back > 0)
    return cells


def _on_all_keys(weights: Numbers, sink: Numbers | None) -> dict[Metric, Numbers]:
    """The metrics of all keys; for the entropy a sink is one more key, and it has no distance."""
    rows, columns = weights.shape[-2:]
    distance = np.abs(np.arange(rows)[:, None] - np.arange(columns))
    shares = weights if sink is None else np.concatenate([weights, sink[..., None]], axis=-1)
    logarithms = np.log(np.where(shares > 0, shares, 1))
    on_tokens = weights.sum(axis=-1) if sink is not None else 1.0
    return {
        Metric.ENTROPY: -(shares * logarithms).sum(axis=-1),
        Metric.LARGEST: weights.max(axis=-1),
        **({} if sink is None else {Metric.SINK: sink}),
        Metric.DISTANCE: (weights * distance).sum(axis=-1) / np.where(on_tokens > 0, on_tokens, 1.0),
        Metric.RECEIVED: weights.sum(axis=-2),
    }


def _weight_of_sink(logits: Numbers, sink: Numbers) -> Numbers:
    """(H, T) the last column of the softmax over the keys and the sink."""
    column = np.broadcast_to(sink if sink.ndim > 1 else sink[:, None], logits.shape[:-1])
    rows = np.concatenate([logits, column[..., None]], axis=-1)
    return np.asarray(np.exp(column - np.logaddexp.reduce(rows, axis=-1)))


def _logsumexp(logits: Numbers, sink: Numbers | None) -> Numbers:
    of_keys: Numbers = np.logaddexp.reduce(logits, axis=-1)
    if sink is None:
        return of_keys
    return np.asarray(np.logaddexp(of_keys, sink if sink.ndim > 1 else sink[:, None]))


def in_cells(weights: Numbers, most: int, pool: Pool = Pool.MEAN) -> Numbers:
    """(H, R, C) the means of the smallest blocks with at most this many on a side, or their largest."""
    tall, wide = (-(-size // most) for size in weights.shape[-2:])
    return means_of_cells(weights, tall, wide, pool)


def means_of_cells(weights: Numbers, tall: int, wide: int, pool: Pool = Pool.MEAN) -> Numbers:
    """(H, R, C) the mean or the largest of every block; blocks at the edge are smaller."""
    reduced = np.mean if pool is Pool.MEAN else np.max
    _, rows, columns = weights.shape
    cells = [
        [reduced(weights[:, r : r + tall, c : c + wide], axis=(-2, -1)) for c in range(0, columns, wide)]
        for r in range(0, rows, tall)
    ]
    return np.moveaxis(np.array(cells), -1, 0)
