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
    sink: Numbers | None = None  # (H,)


def scores(layer: Layer) -> Numbers:
    """(H, T, S)."""
    return _each_pair(layer, lambda h, i, j: _score(layer, h, i, j))


def logits(layer: Layer) -> Numbers:
    """(H, T, S)."""
    return _each_pair(layer, lambda h, i, j: _logit(layer, h, i, j))


def weights(layer: Layer) -> Numbers:
    """(H, T, S)."""
    sinks = [None] * len(layer.queries) if layer.sink is None else [float(one) for one in layer.sink]
    return np.array(
        [[_softmax(list(row), sink) for row in head] for head, sink in zip(logits(layer), sinks, strict=True)]
    )


def context(layer: Layer) -> Numbers:
    """(H, T, D)."""
    shares = weights(layer)
    found = np.zeros_like(layer.queries)
    for h, i, d in np.ndindex(found.shape):
        values = layer.values[_read_by(layer, h)]
        found[h, i, d] = math.fsum(shares[h, i, j] * values[j, d] for j in range(len(values)))
    return found


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
        return [0.0 for _ in row]
    powers = [math.exp(number - top) for number in column]
    return [power / math.fsum(powers) for power in powers][: len(row)]
