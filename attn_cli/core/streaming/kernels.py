"""The expensive operations on a block, for each library: products, softmax and sums, into buffers.

R rows, C columns of a chunk.
"""

from typing import Any

import numpy as np

from attn_cli.core.arrays import Array, widest_float
from attn_cli.core.streaming.blocks import ACCELERATOR, CPU

NOWHERE = -1e38
"""The value of a masked cell: below any score, and unlike -inf it does not make an empty row NaN."""

LOWEST = -1e37
"""The lower limit of a bias: like -inf it gives an unmasked cell a weight of 0."""

_AT_ONCE = 512  # columns of a product with a vector, which adds small terms to a large sum one by one


class Kernels:
    """NumPy."""

    is_on_cpu = True
    is_shared_out = False  # whether blocks are distributed over threads
    sizes = CPU

    def multiply(self, queries: Array, keys: Array, out: Array) -> None:
        """Write the scores (R, C) of queries (R, D) and keys (C, D) into `out`."""
        np.matmul(queries, keys.T, out=out)

    def hide(self, scores: Array, hidden: Array) -> None:
        """Set `scores` (R, C) to `NOWHERE` where `hidden` (R, C) is true."""
        np.copyto(scores, NOWHERE, where=hidden)

    def cap(self, scores: Array, cap: float) -> None:
        """Apply `attention.soft_capped` to `scores` (R, C), in place."""
        scores /= cap
        np.tanh(scores, out=scores)
        scores *= cap

    def maxima(self, logits: Array) -> Array:
        """(R,) the maximum of each row of `logits` (R, C)."""
        return logits.max(axis=-1)

    def raise_powers(self, logits: Array, peak: Array, out: Array) -> Array:
        """(R,) the sums of e^(logit - peak), which are written into `out` (R, C); `peak` is (R,).

        In `logits` (R, C) there is the exponent then.
        """
        logits -= peak[:, None]
        np.exp(logits, out=out)
        return out.sum(axis=-1)

    def scale(self, powers: Array, factors: Array) -> None:
        """Multiply each row of `powers` (R, C) by its factor (R,), in place."""
        powers *= factors[:, None]

    def dots(self, one: Array, other: Array, out: Array) -> Array:
        """(R,) the dot products of the rows of `one` and `other` (R, C); `out` (R, C) may be either."""
        return np.multiply(one, other, out=out).sum(axis=-1)

    def times(self, weights: Array, vector: Array) -> Array:
        """(R,) `weights` (R, C) times the vector (C,)."""
        return np.matmul(weights, vector)

    def summed(self, weights: Array, rows: int) -> Array:
        """(R / rows, C) the sums over groups of `rows` rows of `weights` (R, C)."""
        count, width = weights.shape
        return weights.reshape(count // rows, rows, width).sum(axis=1)

    def pooled(self, sums: Array, columns: int) -> Array:
        """(n, C / columns) the sums over groups of `columns` columns of `sums` (n, C)."""
        count, width = sums.shape
        return sums if columns == 1 else sums.reshape(count, width // columns, columns).sum(axis=-1)

    def largest(self, weights: Array, rows: int, columns: int) -> Array:
        """(R / rows, C / columns) the largest of each group of rows and columns of `weights` (R, C)."""
        count, width = weights.shape
        tall = weights if rows == 1 else weights.reshape(count // rows, rows, width).max(axis=1)
        return tall if columns == 1 else tall.reshape(len(tall), width // columns, columns).max(axis=-1)

    def by_row(self, numbers: Array, rows: Array, count: int) -> Array:
        """(count,) the sum of `numbers` (N,) in each row, in float64; `rows` (N,) has the row of each."""
        return np.bincount(rows, weights=numbers, minlength=count)


class TorchKernels(Kernels):
    """PyTorch, on the CPU or an accelerator."""

    def __init__(self, torch: Any, device: str) -> None:
        self._torch = torch
        self.is_on_cpu = self.is_shared_out = device == "cpu"
        self.sizes = CPU if device == "cpu" else ACCELERATOR

    def multiply(self, queries: Array, keys: Array, out: Array) -> None:
        """Write the scores (R, C) into `out`."""
        self._torch.mm(queries, keys.T, out=out)

    def hide(self, scores: Array, hidden: Array) -> None:
        """Set `scores` to `NOWHERE` where `hidden` is true."""
        scores.masked_fill_(hidden, NOWHERE)

    def cap(self, scores: Array, cap: float) -> None:
        """Apply the soft cap, in place."""
        scores.div_(cap).tanh_().mul_(cap)

    def maxima(self, logits: Array) -> Array:
        """(R,) the maximum of each row."""
        return logits.amax(dim=-1)

    def raise_powers(self, logits: Array, peak: Array, out: Array) -> Array:
        """(R,) the sums of the powers; write these into `out`, and their exponents into `logits`."""
        logits.sub_(peak[:, None])
        return self._torch.exp(logits, out=out).sum(dim=-1)

    def dots(self, one: Array, other: Array, out: Array) -> Array:
        """(R,) the dot products of the rows."""
        return self._torch.mul(one, other, out=out).sum(dim=-1)

    def times(self, weights: Array, vector: Array) -> Array:
        """(R,) `weights` (R, C) times the vector (C,): on the CPU in parts, which are added up in float64."""
        if not self.is_shared_out or len(vector) <= _AT_ONCE:
            return self._torch.mv(weights, vector)
        parts = zip(weights.split(_AT_ONCE, dim=1), vector.split(_AT_ONCE), strict=True)
        return sum(self._torch.mv(columns, part).double() for columns, part in parts)

    def summed(self, weights: Array, rows: int) -> Array:
        """(R / rows, C) the sums over groups of rows."""
        count, width = weights.shape
        return weights.view(count // rows, rows, width).sum(dim=1)

    def pooled(self, sums: Array, columns: int) -> Array:
        """(n, C / columns) the sums over groups of columns."""
        count, width = sums.shape
        return sums if columns == 1 else sums.view(count, width // columns, columns).sum(dim=-1)

    def largest(self, weights: Array, rows: int, columns: int) -> Array:
        """(R / rows, C / columns) the largest of each group of rows and columns."""
        count, width = weights.shape
        tall = weights if rows == 1 else weights.view(count // rows, rows, width).amax(dim=1)
        return tall if columns == 1 else tall.view(len(tall), width // columns, columns).amax(dim=-1)

    def by_row(self, numbers: Array, rows: Array, count: int) -> Array:
        """(count,) the sum of `numbers` in each row."""
        wide = numbers.to(widest_float(numbers))
        return self._torch.zeros(count, dtype=wide.dtype, device=wide.device).index_add_(0, rows, wide)


def choose_kernels(like: Array) -> Kernels:
    """The kernels for the library and device of `like`."""
    if isinstance(like, np.ndarray):
        return Kernels()
    import torch  # already imported: `like` is a tensor

    return TorchKernels(torch, like.device.type)
