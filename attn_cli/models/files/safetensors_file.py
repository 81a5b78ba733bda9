"""Tensors from memory-mapped safetensors files: only the bytes that are used are read.

The format: eight bytes with the length of the header, a JSON header with the dtype, shape and offsets of
each tensor, then the data (https://huggingface.co/docs/safetensors). The library `safetensors` copies
whole tensors (0.1 s for MiniLM's embedding matrix, of which a sentence needs twenty rows), so the file is
read here, and every number in the header is validated before it is used.
"""

import json
import math
import mmap
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attn_cli.errors import AttnError, DamagedFileError
from attn_cli.models.files.safe_paths import LARGEST_HEADER
from attn_cli.models.files.tensors import RELOAD, FloatArray, Tensor, index_of, map_file
from attn_cli.record import record

_EIGHTS = {"F8_E4M3": "u1", "F8_E5M2": "u1", "F8_E8M0": "u1"}
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"} | _EIGHTS  # NumPy has no bfloat16
_NARROW = ("F16", "BF16", *_EIGHTS)  # copied, because they are converted to float32
_WORTH_GIVING_BACK = 1 << 20  # bytes
_LENGTH = 8  # bytes of the header's length


@record(frozen=True, slots=True)
class _Entry:
    """A tensor's entry in the header; `start` and `end` are byte offsets in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of the file, by name.

    Raises:
        AttnError: the file is damaged; every number in the header is checked against the file's size.
    """
    buffer = map_file(path)
    return {
        name: Tensor(
            path=path,
            dtype=entry.dtype,
            shape=entry.shape,
            numbers=partial(_numbers, buffer, entry) if entry.dtype in _TYPES else None,
        )
        for name, entry in _entries(path, buffer).items()
    }


def _numbers(buffer: mmap.mmap, entry: _Entry, rows: Sequence[int] | None) -> FloatArray:
    """The tensor, or the given rows of it; whole or as a range, float32 and float64 are not copied."""
    raw = np.frombuffer(buffer, _TYPES[entry.dtype], math.prod(entry.shape), entry.start).reshape(entry.shape)
    numbers = _widen(raw if rows is None else raw[index_of(rows)], entry.dtype)
    if rows is None and entry.dtype in _NARROW:
        _release_pages(buffer, entry.start, entry.end)
    return numbers


def _release_pages(buffer: mmap.mmap, start: int, end: int) -> None:
    """Release the pages of a tensor that was copied, so that memory holds single layers, not the whole model.

    The pages stay in the system's page cache. Layer 5 of a 7B Llama takes 0.5 GB; without this, 2.4 GB.
    """
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (end - first) // mmap.PAGESIZE * mmap.PAGESIZE
    if length > _WORTH_GIVING_BACK and hasattr(mmap, "MADV_DONTNEED"):
        buffer.madvise(mmap.MADV_DONTNEED, first, length)


def _entries(path: Path, buffer: mmap.mmap) -> dict[str, _Entry]:
    """The entries of the file's header, checked against the file's size."""
    size = len(buffer)
    length = int.from_bytes(buffer[:_LENGTH], "little")
    if size < _LENGTH or length > size - _LENGTH:
        raise DamagedFileError(f"{path} is truncated or not a safetensors file: {size} bytes", RELOAD, path)
    if length > LARGEST_HEADER:
        sizes = f"{length / 1e6:,.0f} MB, and the limit is {LARGEST_HEADER / 1e6:,.0f} MB"
        raise AttnError(f"{path} has a header that is too large: {sizes}", "save the model in several shards")
    try:
        header = json.loads(buffer[_LENGTH : _LENGTH + length], object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} has a damaged header: {error}", RELOAD, path) from error
    if not isinstance(header, dict):
        raise DamagedFileError(f"{path} has a damaged header: not a JSON object", RELOAD, path)
    first = _LENGTH + length
    entries = {
        name: _entry(path, name, fields, first, size)
        for name, fields in header.items()
        if name != "__metadata__"
    }
    _check_places(entries, path, first, size)
    return entries


def _check_places(entries: Mapping[str, _Entry], path: Path, place: int, size: int) -> None:
    """Check that the tensors fill the file from `place` to its end without gaps, as the format requires."""
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != place:
            raise DamagedFileError(f"{path} has a damaged header: tensor {name}", RELOAD, path)
        place = entry.end
    if place != size:
        problem = f"{path} has a damaged header: its tensors end at {place}, the file at {size}"
        raise DamagedFileError(problem, RELOAD, path)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; duplicate names are an error."""
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} occurs twice")
    return entries


def _entry(path: Path, name: str, fields: Any, first: int, size: int) -> _Entry:
    """One tensor's entry, if its numbers are consistent with each other and with the file's size."""
    try:
        dtype, shape, (start, end) = fields["dtype"], fields["shape"], fields["data_offsets"]
        is_sound = isinstance(dtype, str) and all(
            type(size) is int and size >= 0 for size in (*shape, start, end)
        )
    except (KeyError, TypeError, ValueError):
        is_sound = False
    if not is_sound or start > end:
        raise DamagedFileError(f"{path} has a damaged header: tensor {name}", RELOAD, path)
    if first + end > size:
        problem = f"{path} is truncated: {size} bytes, but the tensor {name} ends at {first + end}"
        raise DamagedFileError(problem, RELOAD, path)
    if dtype in _TYPES and math.prod(shape) * np.dtype(_TYPES[dtype]).itemsize != end - start:
        raise DamagedFileError(f"{path} has a damaged header: tensor {name}", RELOAD, path)
    return _Entry(dtype, tuple(shape), first + start, first + end)


def _widen(raw: npt.NDArray[Any], dtype: str) -> FloatArray:
    """Convert a narrower format to float32 exactly: bfloat16 is the upper half of a float32."""
    if dtype in _EIGHTS:
        from attn_cli.models.files.fp8 import widen_fp8  # few checkpoints need it

        return widen_fp8(raw, dtype)
    if dtype == "BF16":
        return (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if dtype == "F16":
        return raw.astype(np.float32)
    numbers: FloatArray = raw
    return numbers
