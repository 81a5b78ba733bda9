"""Pools what keys add to a head into a picture, a block of rows at a time: norms, and shares of rows."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from attn_cli.core.arrays import Booleans, Floats, to_numpy
from attn_cli.core.hiding import Hiding
from attn_cli.core.merging import WordRows
from attn_cli.core.streaming.pooling import over
from attn_cli.models.source import Layer
from attn_cli.reading.window import Window
from attn_cli.reading.words.pooling import PicturePlan, pool_words
from attn_cli.record import record
from attn_cli.vocabulary import Pool, Step


@record(frozen=True, slots=True, eq=False)
class PooledStep:
    """A step of H heads in R × C cells."""

    cells: Floats  # (H, R, C)
    are_finite: Booleans  # (H,)
    hidden: Floats | None  # (H, R) what hidden keys add, the mean over the rows of a cell


def pool_step(layer: Layer, step: Step, heads: Sequence[int], window: Window) -> PooledStep:
    """A step of these heads, in cells as large as those of their weights."""
    plan = PicturePlan(window.queries, window.keys, window.most, window.pool, _hiding(step, window))
    hidden = list[Floats]()
    pooled = pool_words(_blocks(layer, step, heads, window, hidden), plan)
    if window.hiding is None:
        return PooledStep(pooled.weights, pooled.are_finite, None)
    firsts = np.arange(0, window.queries, pooled.cells[0])
    by_hidden = over(np.concatenate(hidden, axis=-1), firsts, -1, Pool.MEAN)
    return PooledStep(pooled.weights, pooled.are_finite, by_hidden)


def _hiding(step: Step, window: Window) -> Hiding | None:
    """Which keys have no columns; norms are absolute, so they are not divided by what is left."""
    hiding = window.hiding
    return hiding if hiding is None or step is not Step.NORMS else replace(hiding, is_renormalized=False)


def _blocks(
    layer: Layer, step: Step, heads: Sequence[int], window: Window, hidden: list[Floats]
) -> Iterator[tuple[int, WordRows]]:
    """The rows in blocks, each after the number of its first row; `hidden` gets what hidden keys add."""
    for rows in window.blocks(len(heads)):
        part = layer.at(rows)
        numbers = to_numpy(part.steps(heads, {step})[step])
        if window.hiding is not None:
            hidden.append(numbers[..., list(window.hiding.keys)].sum(axis=-1))
        yield rows[0], WordRows(numbers, to_numpy(part.mask))
