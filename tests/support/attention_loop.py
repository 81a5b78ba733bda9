"""Attention in plain Python, one number at a time in float64: the reference for the arrays.

The steps of DESIGN.md: scale, soft cap, bias, mask, sink column, softmax, sink column dropped. H query
heads, G key/value heads, T queries, S keys, D head size.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Row = list[float]


@dataclass(frozen=True)
class Layer:
    """Operands whose rules are predicates about two positions, not arrays."""

    queries: Numbers  # (H, T, D)
    keys: Numbers  # (G, S, D)
    values: Numbers  # (G, S, D)
    scale: float
    may_look: Callable[[int, int], bool]
    bias: Numbers | None = None  # (H, T, S)
    softcap: float | None = None
    sink: Numbers | None = None  # (H,) or (H, T)


def scores(layer: Layer) -> Numbers:
    """(H, T, S)."""
    return _each_pair(layer, lambda h, i, j: _score(layer, h, i, j))


def logits(layer: Layer) -> Numbers:
    """(H, T, S)."""
    return _each_pair(layer, lambda h, i, j: _logit(layer, h, i, j))


def weights(layer: Layer) -> Numbers:
    """(H, T, S)."""
    return np.array([[_softmax(row, sink)[: len(row)] for row, sink in head] for head in _rows(layer)])


def sink(layer: Layer) -> Numbers:
    """(H, T) what the sink takes of each row."""
    return np.array([[_softmax(row, sink)[-1] for row, sink in head] for head in _rows(layer)])


def context(layer: Layer) -> Numbers:
    """(H, T, D)."""
    shares = weights(layer)
    found = np.zeros_like(layer.queries)
    for h, i, d in np.ndindex(found.shape):
        values = layer.values[_read_by(layer, h)]
        found[h, i, d] = math.fsum(shares[h, i, j] * values[j, d] for j in range(len(values)))
    return found


def _rows(layer: Layer) -> list[list[tuple[Row, float | None]]]:
    """For each head its rows of logits, each with the logit of the sink."""
    found = logits(layer)
    heads, rows = found.shape[:2]
    return [[(list(found[h, i]), _sink_logit(layer, h, i)) for i in range(rows)] for h in range(heads)]


def _sink_logit(layer: Layer, h: int, i: int) -> float | None:
    if layer.sink is None:
        return None
    return float(layer.sink[h] if layer.sink.ndim == 1 else layer.sink[h, i])


def _each_pair(layer: Layer, number: Callable[[int, int, int], float]) -> Numbers:
    found = np.zeros((len(layer.queries), layer.queries.shape[1], layer.keys.shape[1]))
    for h, i, j in np.ndindex(found.shape):
        found[h, i, j] = number(h, i, j)
    return found


def _read_by(layer: Layer, head: int) -> int:
    """The key head that a query head reads: adjacent query heads share one."""
    group = len(layer.queries) // len(layer.keys)
    return head // group


def _score(layer: Layer, h: int, i: int, j: int) -> float:
    query, key = layer.queries[h, i], layer.keys[_read_by(layer, h), j]
    return layer.scale * math.fsum(a * b for a, b in zip(query, key, strict=True))


def _logit(layer: Layer, h: int, i: int, j: int) -> float:
    if not layer.may_look(i, j):
        return -math.inf
    number = _score(layer, h, i, j)
    if layer.softcap is not None:
        number = layer.softcap * math.tanh(number / layer.softcap)
    return number if layer.bias is None else number + layer.bias[h, i, j]


def _softmax(row: Row, sink: float | None) -> Row:
    column = row if sink is None else [*row, sink]
    top = max(column)
    if top == -math.inf:
        return [0.0 for _ in column]
    powers = [math.exp(number - top) for number in column]
    return [power / math.fsum(powers) for power in powers]
