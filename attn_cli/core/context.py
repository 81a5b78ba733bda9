"""The context of a layer whose steps are not shown, computed without large matrices.

PyTorch's own kernel (`scaled_dot_product_attention`, Dao et al. 2022, arXiv:2205.14135) does most of them; a
soft cap, a sink or padding it does not know, so those go block by block of query rows through `trace`.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from attn_cli.core.arrays import Array, namespace
from attn_cli.core.attention import Operands, allowed, position_bias, trace
from attn_cli.core.masks import causal, everywhere, narrowed

_LARGE = 1 << 22  # scores of all heads: 16 MB; what is smaller is computed as it is shown


def attend(operands: Operands) -> Array:
    """(H, T, D) the weighted sums of the values: what `trace` calls the context."""
    rows, keys = operands.queries.shape[-2], operands.keys.shape[-2]
    is_batch = operands.queries.ndim > len("HTD")
    if is_batch or operands.heads * rows * keys <= _LARGE:
        return trace(operands).context
    if not _is_fusable(operands):
        return _in_blocks(operands, lambda block: trace(block).context)
    if operands.bias is None and (operands.mask == everywhere or (operands.mask == causal and rows == keys)):
        return _fused(operands, None, is_causal=operands.mask == causal)
    return _in_blocks(operands, lambda block: _fused(block, _added(block)))


def _seeing(operands: Operands, columns: range) -> Operands:
    """The same queries with only some of the keys, which keep their positions."""
    mask, bias, first = operands.mask, operands.bias, columns.start
    return replace(
        operands,
        keys=operands.keys[..., first : columns.stop, :],
        values=operands.values[..., first : columns.stop, :],
        mask=lambda i, j: mask(i, j + first),
        bias=None if bias is None else lambda i, j: bias(i, j + first),
    )


def _in_blocks(operands: Operands, compute: Any) -> Array:
    """(H, T, D) a block of rows at a time, each with the keys that its band lets it see."""
    return namespace(operands.queries).concat([compute(block) for block in _blocks(operands)], axis=-2)


def _blocks(operands: Operands) -> Iterator[Operands]:
    count, keys = operands.queries.shape[-2], operands.keys.shape[-2]
    size = max(1, math.ceil(_LARGE / (operands.heads * keys)))
    band = narrowed(operands.mask).band
    for start in range(0, count, size):
        rows = range(start, min(start + size, count))
        reach = band.reach(rows, keys)
        yield _seeing(operands.at(rows), reach or range(1))  # a row that sees nothing is zeros over any key


def _is_fusable(operands: Operands) -> bool:
    """Whether PyTorch's kernel computes the same; a row that may look nowhere is its caller's affair."""
    is_torch = not isinstance(operands.queries, np.ndarray)
    return (
        is_torch and operands.softcap is None and operands.sink is None and not narrowed(operands.mask).rules
    )


def _added(operands: Operands) -> Array:
    """(H or 1, T, S) what is added to the scores: the bias, and -inf where masked."""
    xp = namespace(operands.queries)
    mask, bias = allowed(operands), position_bias(operands)
    dtype, device = operands.queries.dtype, operands.queries.device
    nowhere = xp.asarray(-float("inf"), dtype=dtype, device=device)
    given = xp.zeros((1, 1, 1), dtype=dtype, device=device) if bias is None else xp.astype(bias, dtype)
    return xp.where(mask, given, nowhere)


def _fused(operands: Operands, added: Array | None, *, is_causal: bool = False) -> Array:
    """(H, T, D) by PyTorch's kernel."""
    import torch  # it is there: a tensor was given

    times = operands.heads // operands.kv_heads
    keys, values = (
        vectors if times == 1 else vectors.repeat_interleave(times, dim=-3)
        for vectors in (operands.keys, operands.values)
    )
    context: Array = torch.nn.functional.scaled_dot_product_attention(
        operands.queries[None],
        keys[None],
        values[None],
        attn_mask=None if added is None else added[None],
        is_causal=is_causal,
        scale=operands.scale,
    )
    return context[0]
