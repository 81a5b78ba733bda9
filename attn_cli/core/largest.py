"""Finds the largest numbers of each row of a matrix whose rows come in blocks.

H heads, R rows, C columns, K numbers of each row.
"""

from collections.abc import Sequence

import numpy as np

from attn_cli.core.arrays import Booleans, Floats, Indices
from attn_cli.record import record

_CHUNK = 64  # columns whose largest number is compared first


@record(frozen=True, slots=True, eq=False)
class LargestOfRows:
    """The largest unmasked numbers of each row, in descending order; of equal ones, the first comes first.

    A row with fewer unmasked numbers has zeros after them.
    """

    columns: Indices  # (H, R, K)
    values: Floats  # (H, R, K)
    counts: Indices  # (H, R) how many numbers of the row are unmasked
    lowest: Floats  # (H, R) the lowest of them, inf if there are none,
    highest: Floats  # (H, R) and the highest, -inf if there are none

    @classmethod
    def of(cls, values: Floats, visible: Booleans, most: int) -> "LargestOfRows":
        """The `most` largest of each row of `values` (H, R, C); `visible` (R, C) or (H, R, C)."""
        shape, width = values.shape[:-1], min(most, values.shape[-1])
        seen = np.broadcast_to(visible, values.shape).reshape(-1, values.shape[-1])
        exact = np.asarray(values, values.dtype if values.dtype.kind == "f" else np.float32)
        flat = exact.reshape(seen.shape)
        masked = np.where(seen, flat, -np.inf).astype(flat.dtype, copy=False)
        columns, largest = _largest(masked, width)
        return cls(
            columns.reshape(*shape, width),
            largest.reshape(*shape, width),
            seen.sum(axis=-1).reshape(shape),
            np.min(flat, axis=-1, where=seen, initial=np.inf).reshape(shape),
            masked.max(axis=-1, initial=-np.inf).reshape(shape),
        )


def joined(blocks: Sequence[LargestOfRows]) -> LargestOfRows:
    """The blocks of rows as one."""
    return LargestOfRows(
        columns=np.concatenate([block.columns for block in blocks], axis=-2),
        values=np.concatenate([block.values for block in blocks], axis=-2),
        counts=np.concatenate([block.counts for block in blocks], axis=-1),
        lowest=np.concatenate([block.lowest for block in blocks], axis=-1),
        highest=np.concatenate([block.highest for block in blocks], axis=-1),
    )


def _largest(values: Floats, width: int) -> tuple[Indices, Floats]:
    """(N, K) the columns and the numbers of the largest in each row of (N, C); -inf is masked."""
    least = _bound(values, width)
    rows, columns = np.nonzero((values >= least[:, None]) & (values > -np.inf))
    numbers = values[rows, columns]
    order = np.lexsort((columns, -numbers, rows))
    rows, columns, numbers = rows[order], columns[order], numbers[order]
    ranks = np.arange(rows.size) - np.searchsorted(rows, rows)
    listed = ranks < width
    places = np.zeros((len(values), width), np.int64)
    largest = np.zeros((len(values), width), values.dtype)
    places[rows[listed], ranks[listed]] = columns[listed]
    largest[rows[listed], ranks[listed]] = numbers[listed]
    return places, largest


def _bound(values: Floats, width: int) -> Floats:
    """(N,) a number that the `width` largest of each row (N, C) are not below.

    It is the `width`-th largest of the maxima of chunks of columns: few other numbers are above it, and
    reading all numbers in order is fast.
    """
    firsts = np.arange(0, values.shape[-1], _CHUNK)
    if firsts.size < width:
        return np.full(len(values), -np.inf, values.dtype)
    maxima = np.maximum.reduceat(values, firsts, axis=-1)
    bound: Floats = np.partition(maxima, firsts.size - width, axis=-1)[:, firsts.size - width]
    return bound
