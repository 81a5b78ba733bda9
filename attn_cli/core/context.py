"""The context of a layer whose steps are not shown, computed without large matrices.

PyTorch's fused kernel (`scaled_dot_product_attention`, Dao et al. 2022, arXiv:2205.14135) handles most
layers. It does not support soft caps, sinks or padding; such layers are computed with `trace`, a block of
query rows at a time.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from attn_cli.core.arrays import Array, namespace
from attn_cli.core.attention import Operands, allowed, position_bias, trace
from attn_cli.core.masks import Shifted, causal, everywhere, narrowed, shifted

_LARGE = 1 << 22  # scores of all heads (16 MB); up to this size the layer is computed with `trace`


def attend(operands: Operands) -> Array:
    """(H, T, D) the weighted sums of the values: the `context` of `trace`."""
    rows, keys = operands.queries.shape[-2], operands.keys.shape[-2]
    if rows == 1:  # a token that follows others: a sliding window needs the last keys only
        operands = _seeing(operands, _reached(operands, range(rows)))
    is_batch = operands.queries.ndim > len("HTD")
    if is_batch or operands.heads * rows * keys <= _LARGE:
        return trace(operands).context
    if not _is_fusable(operands):
        return _in_blocks(operands, lambda block: trace(block).context)
    if operands.bias is None and (operands.mask == everywhere or (operands.mask == causal and rows == keys)):
        return _fused(operands, None, is_causal=operands.mask == causal)
    return _in_blocks(operands, lambda block: _fused(block, _added(block)))


def _seeing(operands: Operands, columns: range) -> Operands:
    """The same layer with only some of the keys, which keep their positions."""
    bias, first = operands.bias, columns.start
    if columns == range(operands.keys.shape[-2]):
        return operands
    return replace(
        operands,
        keys=operands.keys[..., first : columns.stop, :],
        values=operands.values[..., first : columns.stop, :],
        mask=shifted(operands.mask, 0, first),
        bias=None if bias is None else Shifted(bias, 0, first),
    )


def _reached(operands: Operands, rows: range) -> range:
    """The keys that the mask's band allows these rows; a row that sees no key is zeros with any key."""
    return narrowed(operands.mask).band.reach(rows, operands.keys.shape[-2]) or range(1)


def _in_blocks(operands: Operands, compute: Any) -> Array:
    """(H, T, D) computed a block of rows at a time, each with the keys that the mask's band allows."""
    return namespace(operands.queries).concat([compute(block) for block in _blocks(operands)], axis=-2)


def _blocks(operands: Operands) -> Iterator[Operands]:
    count, keys = operands.queries.shape[-2], operands.keys.shape[-2]
    size = max(1, math.ceil(_LARGE / (operands.heads * keys)))
    for start in range(0, count, size):
        rows = range(start, min(start + size, count))
        yield _seeing(operands.at(rows), _reached(operands, rows))


def _is_fusable(operands: Operands) -> bool:
    """Whether PyTorch's kernel gives the same result, apart from rows that may look nowhere."""
    is_torch = not isinstance(operands.queries, np.ndarray)
    return (
        is_torch and operands.softcap is None and operands.sink is None and not narrowed(operands.mask).rules
    )


def _added(operands: Operands) -> Array:
    """(H or 1, T, S) what to add to the scores: the bias, and -inf where masked."""
    xp = namespace(operands.queries)
    mask, bias = allowed(operands), position_bias(operands)
    dtype, device = operands.queries.dtype, operands.queries.device
    nowhere = xp.asarray(-float("inf"), dtype=dtype, device=device)
    given = xp.zeros((1, 1, 1), dtype=dtype, device=device) if bias is None else xp.astype(bias, dtype)
    return xp.where(mask, given, nowhere)


def _fused(operands: Operands, added: Array | None, *, is_causal: bool = False) -> Array:
    """(H, T, D) computed by PyTorch's kernel."""
    import torch  # already imported: the operands are tensors

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
