"""Pools what keys add to a head into a picture, a block of rows at a time: norms, and shares of rows."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from attn_cli.core.arrays import Floats, to_numpy
from attn_cli.core.hiding import Hiding
from attn_cli.core.merging import WordRows
from attn_cli.models.source import Layer
from attn_cli.reading.window import Window
from attn_cli.reading.words.pooling import PicturePlan, pool_words
from attn_cli.vocabulary import Step


def pool_step(layer: Layer, step: Step, heads: Sequence[int], window: Window) -> Floats:
    """(H, R, C) a step of these heads, in cells as large as those of their weights.

    NaN for a head with a number that is not finite.
    """
    plan = PicturePlan(window.queries, window.keys, window.most, window.pool, _hiding(step, window))
    pooled = pool_words(_blocks(layer, step, heads, window), plan)
    return np.where(pooled.are_finite[:, None, None], pooled.weights, np.nan)


def _hiding(step: Step, window: Window) -> Hiding | None:
    """Which keys have no columns; norms are absolute, so they are not divided by what is left."""
    hiding = window.hiding
    return hiding if hiding is None or step is not Step.NORMS else replace(hiding, is_renormalized=False)


def _blocks(layer: Layer, step: Step, heads: Sequence[int], window: Window) -> Iterator[tuple[int, WordRows]]:
    """The rows in blocks, each after the number of its first row."""
    for rows in window.blocks(len(heads)):
        part = layer.at(rows)
        yield rows[0], WordRows(to_numpy(part.steps(heads, {step})[step]), to_numpy(part.mask))
