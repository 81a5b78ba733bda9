"""Weights in 8-bit floats with a scale per block, as DeepSeek V3 stores them: multiplied when they are read.

DeepSeek-AI 2024, arXiv:2412.19437; transformers does the same (`Fp8Dequantize` in
`integrations/finegrained_fp8.py`). Formats: Micikevicius et al. 2022, arXiv:2209.05433.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np
import numpy.typing as npt

from attn_cli.models.files.tensors import FloatArray, Tensor

Bytes = npt.NDArray[np.uint8]

_SCALE = "_scale_inv"
_OTHER_SCALES = ("_scale", "_zero_point", "_scale_2", "_shape")


@cache
def e4m3_values() -> npt.NDArray[np.float32]:
    """(256,) the numbers that bytes stand for: 4 bits of exponent, 3 of mantissa, no infinities."""
    byte = np.arange(256)
    exponent, mantissa = (byte >> 3) & 15, byte & 7
    size = np.where(exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * 2.0 ** (exponent - 7.0))
    size[(byte & 127) == 127] = np.nan  # noqa: PLR2004  the one pattern that is not a number
    return np.where(byte < 128, size, -size).astype(np.float32)  # noqa: PLR2004  the bit of the sign


def widen_fp8(raw: Bytes, dtype: str) -> FloatArray:
    """Convert 8-bit floats to float32 exactly."""
    if dtype == "F8_E5M2":  # the upper half of a float16
        return (raw.astype(np.uint16) << np.uint16(8)).view(np.float16).astype(np.float32)
    if dtype == "F8_E8M0":
        return np.where(raw == 255, np.nan, np.ldexp(1.0, raw.astype(np.int32) - 127)).astype(np.float32)  # noqa: PLR2004
    widened: FloatArray = e4m3_values()[raw]
    return widened


def scaled(tensors: Mapping[str, Tensor], block: Sequence[int] | None) -> dict[str, Tensor]:
    """The tensors, with 8-bit floats multiplied by the scales of their blocks.

    `block` is the size of a block, rows and columns; None if the configuration does not say. Tensors with
    scales of another method are marked as unreadable.
    """
    eights = [name for name, tensor in tensors.items() if tensor.dtype in {"F8_E4M3", "F8_E5M2"}]
    return {**tensors, **{name: _scaled(tensors, name, block) for name in eights}}


def _scaled(tensors: Mapping[str, Tensor], name: str, block: Sequence[int] | None) -> Tensor:
    tensor, scale = tensors[name], tensors.get(name + _SCALE)
    if scale is None:
        has_other = any(name + end in tensors for end in _OTHER_SCALES)
        return replace(tensor, numbers=None) if has_other else tensor
    sides = _sides(tensor.shape, scale.shape, block)
    if sides is None or tensor.numbers is None or scale.numbers is None:
        return replace(tensor, numbers=None)
    return replace(tensor, numbers=partial(_product, tensor.numbers, scale, sides))


def _sides(
    shape: Sequence[int], scales: Sequence[int], block: Sequence[int] | None
) -> tuple[int, int] | None:
    """The rows and columns of a block; None if the shapes do not fit."""
    if len(shape) != 2:  # noqa: PLR2004
        return None
    if len(scales) < 2 and all(size == 1 for size in scales):  # noqa: PLR2004  one scale for the whole tensor
        return (shape[0], shape[1])
    if len(scales) != 2 or 0 in scales:  # noqa: PLR2004
        return None
    if block is not None and all(
        -(-size // side) == count for size, side, count in zip(shape, block, scales, strict=True)
    ):
        return (block[0], block[1])
    if shape[0] % scales[0] or shape[1] % scales[1]:
        return None
    return (shape[0] // scales[0], shape[1] // scales[1])


def _product(
    read: Callable[[Sequence[int] | None], FloatArray],
    scale: Tensor,
    sides: tuple[int, int],
    rows: Sequence[int] | None,
) -> FloatArray:
    """The given rows, or all of them, each number times the scale of its block."""
    assert scale.numbers is not None, "checked when the tensor is built"
    numbers, scales = read(rows), scale.numbers(None)
    scales = scales.reshape(-1, scales.shape[-1] if scales.ndim else 1)
    chosen = np.arange(numbers.shape[0]) if rows is None else np.asarray(list(rows))
    by_row = scales[chosen // sides[0]]
    columns = np.arange(numbers.shape[1]) // sides[1]
    product: FloatArray = numbers * by_row[:, columns].astype(np.float32)
    return product
