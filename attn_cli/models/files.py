"""Tensors out of safetensors files, mapped into memory: only what is used is ever read.

The format: eight bytes with the header's length, a JSON header with each tensor's type, shape and
place, the bytes. https://huggingface.co/docs/safetensors. The library `safetensors` copies what it
reads (0.1 s for MiniLM's vocabulary, of which a sentence needs twenty rows), so reading is done here,
and every number of the header is checked before it is believed.
"""

import json
import math
import mmap
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attn_cli.errors import AttnError
from attn_cli.models.config import read_json

Numbers = npt.NDArray[np.floating]

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # bfloat16: no type of NumPy
_LENGTH = 8  # bytes of the header's length
_LONGEST_HEADER = 100_000_000  # the library's own limit
_RELOAD = "download the file again"


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a tensor stands."""

    buffer: mmap.mmap
    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Weights:
    """The tensors of a checkpoint by name.

    `prefixes` are what may stand before every name (`bert.`, `model.`), `aliases` how older files
    spell a part of one (`LayerNorm.gamma`).
    """

    directory: Path
    entries: Mapping[str, _Entry]
    prefixes: Sequence[str] = ("",)
    aliases: Mapping[str, str] | None = None

    def read(self, name: str, shape: tuple[int, ...]) -> Numbers:
        """The tensor, float32 (float64 where the file is); a float32 file is not even copied.

        Raises:
            AttnError: it is missing, of another shape, or not of floating-point numbers.
        """
        entry = self._entry(name, shape)
        size = math.prod(shape)
        raw = np.frombuffer(entry.buffer, _TYPES[entry.dtype], size, entry.start)
        return _widened(raw, entry.dtype).reshape(shape)

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise `AttnError` unless the tensor is there; its numbers are not looked at.

        Raises:
            AttnError: as `read`.
        """
        self._entry(name, shape)

    def rows(self, name: str, shape: tuple[int, int], indices: Sequence[int]) -> Numbers:
        """(len(indices), M) only those rows of a matrix; the rest of it stays on the disk."""
        entry = self._entry(name, shape)
        raw = np.frombuffer(entry.buffer, _TYPES[entry.dtype], math.prod(shape), entry.start)
        return _widened(raw.reshape(shape)[list(indices)], entry.dtype)

    def _entry(self, name: str, shape: tuple[int, ...]) -> _Entry:
        entry = next((self.entries[each] for each in self._spellings(name) if each in self.entries), None)
        if entry is None:
            problem = f"the tensor {name} is missing from {self.directory}"
            raise AttnError(problem, "check that config.json and the weights belong together")
        if entry.shape != shape:
            problem = f"the tensor {name} in {entry.path} has the shape {entry.shape}, not {shape}"
            raise AttnError(problem, "check that config.json and the weights belong together")
        if entry.dtype not in _TYPES:
            problem = f"the tensor {name} in {entry.path} is of type {entry.dtype}"
            raise AttnError(problem, "use a checkpoint in float32, float16 or bfloat16")
        return entry

    def _spellings(self, name: str) -> list[str]:
        older = [name.replace(new, old) for new, old in (self.aliases or {}).items() if new in name]
        return [prefix + each for each in (name, *older) for prefix in self.prefixes]


def open_weights(
    directory: Path, prefixes: Sequence[str] = ("",), aliases: Mapping[str, str] | None = None
) -> Weights:
    """The weights of the model in `directory`: `model.safetensors`, or shards named by its index.

    Raises:
        AttnError: there are none, or a file is damaged.
    """
    index = directory / "model.safetensors.index.json"
    single = directory / "model.safetensors"
    if single.exists() or not index.exists():
        shards = [single]
    else:
        shards = [directory / name for name in _shard_names(index)]
    entries: dict[str, _Entry] = {}
    for shard in shards:
        found = _entries(shard)
        if twice := sorted(entries.keys() & found.keys()):
            other = entries[twice[0]].path
            raise AttnError(f"the tensor {twice[0]} stands in two files: {other} and {shard}", _RELOAD)
        entries |= found
    return Weights(directory, entries, prefixes, aliases)


def _shard_names(index: Path) -> list[str]:
    """The files that the index names; each lies beside it."""
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise AttnError(f"{index} has no weight_map", _RELOAD)
    names = sorted({str(name) for name in listed.values()})
    for name in names:
        if not re.fullmatch(r"[\w.\-]+\.safetensors", name):
            raise AttnError(f"{index} names a file outside its directory: {name!r}", _RELOAD)
    return names


def _entries(path: Path) -> dict[str, _Entry]:
    """What the file's header says, checked against the file's size."""
    buffer = _mapped(path)
    size = len(buffer)
    length = int.from_bytes(buffer[:_LENGTH], "little")
    if size < _LENGTH or length > min(size - _LENGTH, _LONGEST_HEADER):
        raise AttnError(f"{path} is cut short or no safetensors file: {size} bytes", _RELOAD)
    try:
        header = json.loads(buffer[_LENGTH : _LENGTH + length], object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise AttnError(f"{path} has a damaged header: {error}", _RELOAD) from error
    if not isinstance(header, dict):
        raise AttnError(f"{path} has a damaged header: no JSON object", _RELOAD)
    first = _LENGTH + length
    entries = {
        name: _entry(buffer, path, name, fields, first)
        for name, fields in header.items()
        if name != "__metadata__"
    }
    _check_places(entries, path, first, size)
    return entries


def _check_places(entries: Mapping[str, _Entry], path: Path, place: int, size: int) -> None:
    """Whether the tensors lie one after the other from `place` to the file's end, as the format demands."""
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != place:
            raise AttnError(f"{path} has a damaged header: tensor {name}", _RELOAD)
        place = entry.end
    if place != size:
        problem = f"{path} has a damaged header: its tensors end at {place}, the file at {size}"
        raise AttnError(problem, _RELOAD)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a name that stands twice has no one value."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands twice")
        found[name] = value
    return found


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise AttnError(f"{path} does not exist", _other_weights(path.parent)) from error
    except OSError as error:
        raise AttnError(f"{path} cannot be read: {error.strerror}", "check the file's permissions") from error
    except ValueError as error:  # an empty file cannot be mapped
        raise AttnError(f"{path} is empty", _RELOAD) from error


def _other_weights(directory: Path) -> str:
    """What to try where there is no safetensors file."""
    others = sorted(path.name for path in directory.glob("*.bin"))
    if others:
        return f"convert {others[0]} to model.safetensors (transformers: model.save_pretrained)"
    return "give a directory that holds the weights as model.safetensors"


def _entry(buffer: mmap.mmap, path: Path, name: str, fields: Any, first: int) -> _Entry:
    """One tensor of the header, if its numbers agree with each other and with the file."""
    try:
        dtype, shape, (start, end) = fields["dtype"], fields["shape"], fields["data_offsets"]
        is_sound = isinstance(dtype, str) and all(
            type(one) is int and one >= 0 for one in (*shape, start, end)
        )
    except (KeyError, TypeError, ValueError):
        is_sound = False
    if not is_sound or start > end:
        raise AttnError(f"{path} has a damaged header: tensor {name}", _RELOAD)
    if first + end > len(buffer):
        problem = f"{path} is cut short: {len(buffer)} bytes, but the tensor {name} ends at {first + end}"
        raise AttnError(problem, _RELOAD)
    if dtype in _TYPES and math.prod(shape) * np.dtype(_TYPES[dtype]).itemsize != end - start:
        raise AttnError(f"{path} has a damaged header: tensor {name}", _RELOAD)
    return _Entry(buffer, path, dtype, tuple(shape), first + start, first + end)


def _widened(raw: npt.NDArray[Any], dtype: str) -> Numbers:
    """Half precision as float32, exactly: bfloat16 is the upper half of a float32."""
    if dtype == "BF16":
        return (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if dtype == "F16":
        return raw.astype(np.float32)
    numbers: Numbers = raw
    return numbers
