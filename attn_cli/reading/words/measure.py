"""Measures heads on the weights between words, a block of rows at a time."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np

from attn_cli.core.arrays import Floats
from attn_cli.core.hiding import Hiding
from attn_cli.core.merging import WordRows
from attn_cli.core.shown_metrics import measure_shown_weights
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import DEFINITIONS
from attn_cli.core.streaming.row_metrics import RowMetrics, measure_weights
from attn_cli.core.streaming.stream import RowProgress
from attn_cli.vocabulary import Metric


def measure_words(
    blocks: Iterable[tuple[int, WordRows]],
    metrics: Collection[Metric],
    words: KeyTokens,
    hiding: Hiding | None,
    progress: RowProgress,
) -> RowMetrics:
    """The metrics of all rows, which come in blocks after the number of their first row.

    `progress` is called with the rows of words done, and their total, which it ignores.
    """
    measured = list[RowMetrics]()
    for first, rows in blocks:
        given = rows.weights, rows.mask, metrics, words
        measured.append(
            measure_weights(*given, rows.sink, first)
            if hiding is None
            else measure_shown_weights(*given, hiding, rows.sink, first)
        )
        progress(first + rows.mask.shape[0], 0)
    return replace(_joined(measured), places=words.rows)


def _joined(blocks: Sequence[RowMetrics]) -> RowMetrics:
    """The metrics of all rows; what keys receive is the sum over the blocks."""
    whole = blocks[0]
    lefts = [block.left for block in blocks if block.left is not None]
    return RowMetrics(
        values={
            metric: _values(metric, [block.values[metric] for block in blocks]) for metric in whole.values
        },
        eligible={
            metric: np.concatenate([block.eligible[metric] for block in blocks]) for metric in whole.eligible
        },
        visible_keys=np.concatenate([block.visible_keys for block in blocks]),
        are_finite=np.all([block.are_finite for block in blocks], axis=0),
        left=np.concatenate(lefts, axis=-1) if lefts else None,
    )


def _values(metric: Metric, blocks: Sequence[Floats]) -> Floats:
    if DEFINITIONS[metric].is_of_keys:
        return np.asarray(np.sum(blocks, axis=0))
    return np.concatenate(blocks, axis=-1)
