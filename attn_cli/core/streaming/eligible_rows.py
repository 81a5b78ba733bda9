"""In which rows of a text a head could do what a metric asks: others say nothing about the head."""

from collections.abc import Callable, Collection
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import device_of, namespace, to_numpy
from attn_cli.core.attention import Operands
from attn_cli.core.masks import Band
from attn_cli.core.streaming.copies import copies
from attn_cli.core.streaming.stream import Text
from attn_cli.vocabulary import Metric

Cells: TypeAlias = npt.NDArray[np.bool_]
Places: TypeAlias = npt.NDArray[np.integer]

Sees: TypeAlias = Callable[[Places, Places], Cells]
"""Rows (R,) and a column for each (R,) to whether the row may look there."""

_BLOCK = 256  # rows: a rule that is no band is asked about the pairs of a block, of which we want a diagonal
_NONE = -1  # where there is no such column


def possible(metrics: Collection[Metric], text: Text, seen: Places, sees: Sees) -> dict[Metric, Cells]:
    """(T,) for each metric of a row: whether the text has what it asks for, and the row may look there.

    `seen` (T,) is how many keys the rows may look at. Of several copies the nearest that counts is asked
    about, of special tokens the nearest on each side: what a mask hides of those it hides of all.
    """
    rows = np.arange(seen.size)
    wanted = _columns(text, rows)
    return {
        metric: _any_seen(wanted[metric], rows, sees) if metric in wanted else seen > 0 for metric in metrics
    }


def sees_by_rule(operands: Operands) -> Sees:
    """What the mask of a layer says of single pairs."""
    rule, like = operands.mask, operands.queries

    def sees(rows: Places, columns: Places) -> Cells:
        if isinstance(rule, Band):
            return np.asarray(rule(rows, columns))
        xp, device = namespace(like), device_of(like)
        found = [np.zeros(0, dtype=bool)]
        for start in range(0, rows.size, _BLOCK):
            queries, keys = (
                xp.asarray(each[start : start + _BLOCK], device=device) for each in (rows, columns)
            )
            pairs = to_numpy(rule(queries[:, None], keys[None, :]))
            found.append(np.broadcast_to(pairs, (len(queries), len(queries))).diagonal())
        return np.concatenate(found)

    return sees


def sees_by_matrix(mask: Cells) -> Sees:
    """What a mask (T, S) says of single pairs."""
    return lambda rows, columns: mask[rows, columns]


def _columns(text: Text, rows: Places) -> dict[Metric, tuple[Places, ...]]:
    """For each metric that asks for certain tokens: which are nearest to each row."""
    found: dict[Metric, tuple[Places, ...]] = {
        Metric.CURRENT: (rows,),
        Metric.PREVIOUS: (rows - 1,),  # of the first row none
        Metric.FIRST: (np.zeros_like(rows),),
    }
    if text.special is not None:
        found[Metric.SPECIAL] = _around(np.flatnonzero(text.special), rows)
    if text.ids is not None:
        duplicate, followed = _nearest_copies(text.ids)
        found |= {Metric.DUPLICATE: (duplicate,), Metric.INDUCTION: (followed,)}
    return found


def _any_seen(columns: tuple[Places, ...], rows: Places, sees: Sees) -> Cells:
    each = [(column != _NONE) & sees(rows, np.maximum(column, 0)) for column in columns]
    return np.asarray(np.any(each, axis=0))


def _around(places: Places, rows: Places) -> tuple[Places, Places]:
    """The nearest of the places at or before each row, and the nearest after it."""
    padded = np.r_[_NONE, places, _NONE]
    after = np.searchsorted(places, rows, side="right") + 1
    return padded[after - 1], padded[after]


def _nearest_copies(ids: Places) -> tuple[Places, Places]:
    """The nearest earlier copy of each token, and the nearest place that followed one, not its own."""
    found, rows = copies(ids), np.arange(ids.size)

    def before(steps: Places) -> Places:
        """The copy so many copies back."""
        at = found.order[np.maximum(found.first + found.before - steps, 0)]
        return np.where(found.before >= steps, at, _NONE)

    one = np.ones_like(rows)
    nearest = before(one)
    counted = before(np.where((nearest == rows - 1) & (rows > 0), 2 * one, one))  # of a copy right before
    return nearest, np.where(counted == _NONE, _NONE, counted + 1)
