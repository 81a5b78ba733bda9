"""Reads a memory-mapped GGUF file: metadata by key and tensors by name.

The format: a magic number, counts, keys with typed values, the tensors' names, shapes, types and offsets,
then the data (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). The reader in the package `gguf`
trusts every count (an array that claims 2^60 numbers exhausts memory), so the header is parsed here and each
number is checked against the file's size; the package supplies the type names and the dequantization.
"""

import math
import mmap
import struct
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attn_cli.errors import AttnError, DamagedFileError
from attn_cli.models.files.tensors import RELOAD, FloatArray, Tensor, index_of, map_file
from attn_cli.record import record

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_LONGEST_HEADER = 64_000_000  # bytes: the vocabulary and merges of Llama 4 take 15 MB
_MOST_TEXTS = 1_500_000  # in all: Llama 4 has 640,000 pieces and merges
_MOST_KEYS = 10_000  # of metadata: models have 20 to 60
_MOST_TENSORS = 100_000  # in a file: DeepSeek-V3 has 1,100, because experts are stored together
_MOST_DIMENSIONS = 4
_ALIGNMENT = 32  # bytes, unless the file says otherwise


@record(frozen=True, slots=True)
class GgufFile:
    """A GGUF file. Metadata values are numbers, bools, strings, lists of strings or arrays of numbers."""

    path: Path
    metadata: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def read_gguf(path: Path) -> GgufFile:
    """Read the metadata and the tensors' header entries; no tensor's numbers are read yet.

    Raises:
        AttnError: the file is damaged or of an unknown version, or the package `gguf` is not installed.
    """
    _check_package(path)
    cursor = _Cursor(path, map_file(path))
    if cursor.bytes(len(_MAGIC)) != _MAGIC:
        raise AttnError(f"{path} is not a GGUF file", "a .gguf file, or a model's directory")
    version = cursor.number("I")
    if version not in _VERSIONS:
        problem = f"{path} has an unsupported GGUF version: {version}, not 2 or 3"
        raise AttnError(problem, "convert the model again with a newer llama.cpp")
    tensor_count, key_count = cursor.number("Q"), cursor.number("Q")
    metadata = _read_metadata(cursor, key_count)
    return GgufFile(path, metadata, _read_tensors(cursor, tensor_count, metadata))


@record(frozen=True, slots=True)
class _TensorInfo:
    """A tensor's entry in the header."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int


class _Cursor:
    """A read position in the header; it advances with every read and never passes the end of the file."""

    def __init__(self, path: Path, buffer: mmap.mmap) -> None:
        self.path, self.buffer, self.offset = path, buffer, 0
        self.texts = 0  # that arrays had so far

    def bytes(self, count: int) -> bytes:
        start = self._pass(count)
        return self.buffer[start : start + count]

    def number(self, kind: str) -> Any:
        """Read one number; `kind` is its format character in `struct`."""
        start = self._pass(struct.calcsize(f"<{kind}"))
        return struct.unpack_from(f"<{kind}", self.buffer, start)[0]

    def text(self) -> str:
        content = self.bytes(self.number("Q"))
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.damaged(f"a string is not UTF-8: {error.reason}") from error

    def value(self, kind: int) -> Any:
        """Read the value of a key, of the given GGUF type."""
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _TEXT:
            return self.text()
        if kind == _ARRAY:
            return self._array(self.number("I"), self.number("Q"))
        raise self.damaged(f"a value is of type {kind}")

    def tensor_info(self) -> _TensorInfo:
        """Read the next tensor's entry."""
        name, dimensions = self.text(), self.number("I")
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            raise self.damaged(f"tensor {name} has {dimensions} dimensions")
        shape = tuple(self.number("Q") for _ in range(dimensions))[
            ::-1
        ]  # the file lists the fastest-varying axis first
        return _TensorInfo(name, shape, self.number("I"), self.number("Q"))

    def damaged(self, problem: str) -> DamagedFileError:
        return DamagedFileError(f"{self.path} has a damaged header: {problem}", RELOAD, self.path)

    def check_count(self, what: str, count: int, most: int) -> None:
        """Raise `AttnError` if the file claims to have more than any model has: lists of them are built."""
        if count > most:
            raise self.damaged(f"it has {count:,} {what}, and the limit is {most:,}")

    def _array(self, kind: int, count: int) -> list[str] | npt.NDArray[Any]:
        if kind == _TEXT:
            self.texts += count
            self.check_count("strings", self.texts, _MOST_TEXTS)
            return [self.text() for _ in range(count)]
        if kind not in _SCALARS:
            raise self.damaged(f"an array of {count} values of type {kind}")
        dtype = np.dtype(f"<{_SCALARS[kind]}")
        return np.frombuffer(self.buffer, dtype, count, self._pass(count * dtype.itemsize))

    def _pass(self, count: int) -> int:
        """Advance by `count` bytes and return the position before."""
        start, self.offset = self.offset, self.offset + count
        if self.offset > len(self.buffer):
            problem = f"{self.path} is truncated: the header goes past its {len(self.buffer)} bytes"
            raise DamagedFileError(problem, RELOAD, self.path)
        if self.offset > _LONGEST_HEADER:
            raise self.damaged(f"it is longer than {_LONGEST_HEADER / 1e6:.0f} MB")
        return start


def _read_metadata(cursor: _Cursor, count: int) -> dict[str, Any]:
    """Read the keys of the header, each with its value."""
    cursor.check_count("keys", count, _MOST_KEYS)
    metadata: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.text()
        if key in metadata:
            raise cursor.damaged(f"key {key} occurs twice")
        metadata[key] = cursor.value(cursor.number("I"))
    return metadata


def _read_tensors(cursor: _Cursor, count: int, metadata: Mapping[str, Any]) -> dict[str, Tensor]:
    """Read the tensors' entries; their data starts after the header."""
    cursor.check_count("tensors", count, _MOST_TENSORS)
    infos = [cursor.tensor_info() for _ in range(count)]
    start = _start_of_tensors(cursor, metadata)
    tensors: dict[str, Tensor] = {}
    for info in infos:
        if info.name in tensors:
            raise cursor.damaged(f"tensor {info.name} occurs twice")
        tensors[info.name] = _tensor(cursor, info, start)
    return tensors


def _check_package(path: Path) -> None:
    try:
        import gguf  # noqa: F401  0.2 s
    except ImportError as error:
        problem = f"{path} needs the package gguf, which is not installed"
        raise AttnError(problem, "pip install 'attn-cli[gguf]'") from error


def _start_of_tensors(cursor: _Cursor, metadata: Mapping[str, Any]) -> int:
    """The offset of the tensor data: after the header, at the next multiple of the alignment."""
    alignment = metadata.get("general.alignment", _ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1:
        raise cursor.damaged(f"general.alignment is {alignment}")
    return -(-cursor.offset // alignment) * alignment


def _tensor(cursor: _Cursor, info: _TensorInfo, start: int) -> Tensor:
    """The tensor, if its data lies within the file."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    if info.type not in list(GGMLQuantizationType):
        return Tensor(cursor.path, f"{info.type}, which is unknown", info.shape, None)
    kind = GGMLQuantizationType(info.type)
    block, size = GGML_QUANT_SIZES[kind]
    if info.shape[-1] % block or not all(info.shape):
        raise cursor.damaged(f"tensor {info.name} of type {kind.name} has the shape {info.shape}")
    row = info.shape[-1] // block * size
    begin, end = start + info.offset, start + info.offset + math.prod(info.shape[:-1]) * row
    if end > len(cursor.buffer):
        problem = f"{len(cursor.buffer)} bytes, but tensor {info.name} ends at {end}"
        raise DamagedFileError(f"{cursor.path} is truncated: {problem}", RELOAD, cursor.path)
    numbers = partial(_numbers, cursor.buffer, (*info.shape[:-1], row), begin, kind)
    if kind.name in {"F64", "F32", "F16"} or _is_widened(kind):
        return Tensor(cursor.path, kind.name, info.shape, numbers)
    return Tensor(cursor.path, f"{kind.name}, which gguf cannot dequantize", info.shape, None)


@cache
def _is_widened(kind: Any) -> bool:
    """Whether the package can convert the type to float32."""
    from gguf import GGML_QUANT_SIZES, quants

    block = np.zeros((1, GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    try:
        with np.errstate(all="ignore"):
            quants.dequantize(block, kind)
    except NotImplementedError:
        return False
    return True


def _numbers(
    buffer: mmap.mmap, shape: tuple[int, ...], start: int, kind: Any, rows: Sequence[int] | None
) -> FloatArray:
    """The tensor, or the given rows of it, as float32 (F64 as float64); `shape[-1]` is bytes per row."""
    from gguf import quants

    raw = np.frombuffer(buffer, np.uint8, math.prod(shape), start).reshape(shape)
    chosen = raw if rows is None else raw[index_of(rows)]
    if kind.name == "F64":
        return chosen.view("<f8")
    with np.errstate(all="ignore"):  # overflows are detected where the numbers are used
        numbers: FloatArray = quants.dequantize(chosen, kind)
    return numbers
