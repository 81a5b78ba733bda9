"""The heavy operations on a block, for each library: products, softmaxes and sums, into buffers.

R rows, C columns of a chunk.
"""

from typing import Any

import numpy as np

from attn_cli.core.arrays import Array
from attn_cli.core.streaming.blocks import ACCELERATOR, CPU

NOWHERE = -1e38
"""What a masked cell holds: it loses against any score, and unlike -inf it makes no NaN of an empty row."""

LOWEST = -1e37
"""A bias counts as no less: -inf in a cell that may be looked at is a weight of 0, like this."""


class Kernels:
    """Over NumPy alone."""

    is_shared_out = False  # whether threads may each take a block
    sizes = CPU

    def multiply(self, queries: Array, keys: Array, out: Array) -> None:
        """(R, C) the scores of (R, D) and (C, D) into `out`."""
        np.matmul(queries, keys.T, out=out)

    def hide(self, scores: Array, hidden: Array) -> None:
        """Put `NOWHERE` into `scores` (R, C) where `hidden` (R, C) is true, whatever stands there."""
        np.copyto(scores, NOWHERE, where=hidden)

    def cap(self, scores: Array, cap: float) -> None:
        """Squeeze `scores` (R, C) into (-cap, cap), in place: `attention.soft_capped`."""
        scores /= cap
        np.tanh(scores, out=scores)
        scores *= cap

    def maxima(self, logits: Array) -> Array:
        """(R,) the largest of each row of `logits` (R, C)."""
        return logits.max(axis=-1)

    def softmax(self, logits: Array, peak: Array, out: Array) -> Array:
        """(R,) the logsumexp of each row, whose largest is `peak` (R,); its shares (R, C) go into `out`."""
        np.subtract(logits, peak[:, None], out=out)
        np.exp(out, out=out)
        total = out.sum(axis=-1)
        out /= total[:, None]
        return peak + np.log(total)

    def scale(self, weights: Array, shares: Array) -> None:
        """Multiply each row of `weights` (R, C) by its share (R,), in place."""
        weights *= shares[:, None]

    def dots(self, one: Array, other: Array, out: Array) -> Array:
        """(R,) each row of one (R, C) times that of the other; `out` (R, C) may be one of them."""
        return np.multiply(one, other, out=out).sum(axis=-1)

    def times(self, weights: Array, vector: Array) -> Array:
        """(R,) each row of `weights` (R, C) times the vector (C,)."""
        return np.matmul(weights, vector)

    def summed(self, weights: Array, rows: int) -> Array:
        """(R / rows, C) the sum of every so many rows of `weights` (R, C)."""
        count, width = weights.shape
        return weights.reshape(count // rows, rows, width).sum(axis=1)

    def pooled(self, sums: Array, columns: int) -> Array:
        """(n, C / columns) the sum of every so many columns of `sums` (n, C)."""
        count, width = sums.shape
        return sums if columns == 1 else sums.reshape(count, width // columns, columns).sum(axis=-1)

    def by_row(self, numbers: Array, rows: Array, count: int) -> Array:
        """(count,) the sum of the numbers (N,) of each row; `rows` (N,) says whose a number is."""
        return np.bincount(rows, weights=numbers, minlength=count).astype(numbers.dtype)


class TorchKernels(Kernels):
    """PyTorch, on the CPU or an accelerator."""

    def __init__(self, torch: Any, device: str) -> None:
        self._torch = torch
        self.is_shared_out = device == "cpu"
        self.sizes = CPU if device == "cpu" else ACCELERATOR

    def multiply(self, queries: Array, keys: Array, out: Array) -> None:
        """(R, C) into `out`."""
        self._torch.mm(queries, keys.T, out=out)

    def hide(self, scores: Array, hidden: Array) -> None:
        """`NOWHERE` where `hidden`."""
        scores.masked_fill_(hidden, NOWHERE)

    def cap(self, scores: Array, cap: float) -> None:
        """In place."""
        scores.div_(cap).tanh_().mul_(cap)

    def maxima(self, logits: Array) -> Array:
        """(R,)."""
        return logits.amax(dim=-1)

    def softmax(self, logits: Array, peak: Array, out: Array) -> Array:
        """The shares into `out`."""
        self._torch.softmax(logits, -1, out=out)
        return peak - self._torch.log(out.amax(dim=-1))

    def dots(self, one: Array, other: Array, out: Array) -> Array:
        """(R,)."""
        return self._torch.mul(one, other, out=out).sum(dim=-1)

    def times(self, weights: Array, vector: Array) -> Array:
        """(R,)."""
        return self._torch.mv(weights, vector)

    def summed(self, weights: Array, rows: int) -> Array:
        """(R / rows, C)."""
        count, width = weights.shape
        return weights.view(count // rows, rows, width).sum(dim=1)

    def pooled(self, sums: Array, columns: int) -> Array:
        """(n, C / columns)."""
        count, width = sums.shape
        return sums if columns == 1 else sums.view(count, width // columns, columns).sum(dim=-1)

    def by_row(self, numbers: Array, rows: Array, count: int) -> Array:
        """A sum for each row."""
        return self._torch.zeros(count, dtype=numbers.dtype, device=numbers.device).index_add_(
            0, rows, numbers
        )


def choose_kernels(like: Array) -> Kernels:
    """Those for operands of this library and on this device."""
    if isinstance(like, np.ndarray):
        return Kernels()
    import torch  # it is there: a tensor was given

    return TorchKernels(torch, like.device.type)
