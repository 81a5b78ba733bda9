"""Tensors from PyTorch's `.bin` pickles; pickles that reference anything but tensors are refused.

`torch.load(weights_only=True)` calls only the functions on its own allowlist. A checkpoint needs few of them,
and others (`bytearray`, `torch.Tensor`) would allocate as much memory as the file demands. So the names in
the pickle are checked first, which also saves importing PyTorch for a file that is refused.
"""

import math
import mmap
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from attn_cli.errors import AttnError, DamagedFileError, RefusedFileError
from attn_cli.models.files.tensors import RELOAD, FloatArray, Tensor, map_file

if TYPE_CHECKING:
    import torch

_NEEDED = re.compile(
    r"collections\.OrderedDict"
    r"|torch\._utils\.(_rebuild_tensor_v2|_rebuild_parameter)"
    r"|torch\.(storage\.)?\w+Storage"
)

_OPENED = "use a checkpoint with model.safetensors, or ask its author for one"
_SHOWN = 120  # characters of an error of PyTorch
_PICKLE = "data.pkl"
_LARGEST = 2**24  # bytes of a pickle, or of the list of members: 150 for each tensor
_LONGEST_LINE = 2**16
_LONGEST_END = 2**16 + 22  # bytes in which an archive's last record begins
_FEWEST_STEPS = 20_000  # of a pickle: about 45 build a tensor
_STEPS_A_MEMBER = 150
_MOST_STEPS = 400_000  # if nothing says how many tensors there are
_TOO_LONG = "its pickle is longer than one of tensors"
_PICKLES = 5  # in files from before PyTorch 1.6: magic number, version, system, tensors, their order


def read_torch_bin(path: Path) -> dict[str, Tensor]:
    """The tensors of the file, by name.

    Raises:
        AttnError: the file is damaged, or its pickle references code other than tensors.
    """
    is_archive = _check_named(path)
    import torch  # 1.7 s

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it says to programmers
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can raise any exception
        raise _damaged(path, error) from error
    if not isinstance(content, dict):
        raise AttnError(f"{path} contains a {type(content).__name__}, not a dict of tensors", _OPENED)
    return {name: _tensor(path, name, tensor.detach()) for name, tensor in _flattened(content)}


def _flattened(content: Mapping[Any, Any]) -> "Iterator[tuple[str, torch.Tensor]]":
    """The tensors by name; those of a dict in it, such as `model_state_dict`, with its name before theirs."""
    import torch

    for name, value in content.items():
        if isinstance(value, torch.Tensor):
            yield str(name), value
        elif isinstance(value, Mapping):
            inner = ((f"{name}.{key}", tensor) for key, tensor in value.items())
            yield from ((key, tensor) for key, tensor in inner if isinstance(tensor, torch.Tensor))


def _tensor(path: Path, name: str, tensor: "torch.Tensor") -> Tensor:
    import torch

    is_plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    shape = tuple(tensor.shape)
    if is_plain and math.prod(shape) * tensor.element_size() > tensor.untyped_storage().nbytes():
        problem = f"{path} is damaged: the tensor {name} is larger than its storage"
        raise DamagedFileError(problem, RELOAD, path)
    is_read = is_plain and tensor.dtype in {torch.float64, torch.float32, torch.float16, torch.bfloat16}
    dtype = str(tensor.dtype).removeprefix("torch.") if is_plain else str(tensor.layout)
    return Tensor(path, dtype, shape, partial(_numbers, tensor) if is_read else None)


def _numbers(tensor: "torch.Tensor", rows: Sequence[int] | None) -> FloatArray:
    """The tensor, or the given rows of it; half precision as float32."""
    import torch

    chosen = tensor if rows is None else tensor[list(rows)]
    numbers: FloatArray = (chosen if chosen.dtype == torch.float64 else chosen.float()).numpy()
    return numbers


def _check_named(path: Path) -> bool:
    """Check that the pickle references only tensors, and return whether the file is a zip archive.

    Raises:
        AttnError: it references anything else, or the file is damaged.
    """
    buffer = map_file(path)
    is_archive = buffer[:2] == b"PK"
    try:
        with _quietly():
            for name in _named_in_archive(path, buffer) if is_archive else _named_in_file(buffer):
                if not _NEEDED.fullmatch(name):
                    problem = f"{path} is refused: it is a pickle that would run {name}"
                    raise RefusedFileError(problem, _OPENED, path)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise _damaged(path, error) from error
    return is_archive


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence Python's warnings about invalid escape sequences, which a damaged pickle causes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _named_in_archive(path: Path, buffer: mmap.mmap) -> Iterator[str]:
    _check_directory(buffer)
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its archive is compressed")  # which would allow a zip bomb
        if sum(entry.file_size for entry in entries) > len(buffer):
            raise ValueError("the members of its archive are larger than the file")
        for entry in entries:
            if entry.filename.rpartition("/")[2].casefold() != _PICKLE:  # as PyTorch looks for it
                continue
            if entry.file_size > _LARGEST:
                raise ValueError(_TOO_LONG)
            yield from _named(_Pickle(archive.read(entry)), _FEWEST_STEPS + _STEPS_A_MEMBER * len(entries))


def _check_directory(buffer: mmap.mmap) -> None:
    """Raise `ValueError` if the archive has more members than any model has tensors in one file.

    Python would make an object of each. The size of the list is in the last record of the archive, and in
    those of more than 4 GB also in one before it (APPNOTE.TXT 4.3.14 to 4.3.16).
    """
    end = buffer.rfind(b"PK\5\6", max(0, len(buffer) - _LONGEST_END))
    sizes = list(struct.unpack_from("<I", buffer, end + 12)) if 0 <= end <= len(buffer) - 16 else []
    larger = buffer.rfind(b"PK\6\6", max(0, end - _LONGEST_END), max(end, 0))
    if sizes == [2**32 - 1] and larger >= 0:
        sizes = list(struct.unpack_from("<Q", buffer, larger + 40))
    if any(size > _LARGEST for size in sizes):
        raise ValueError("its archive has too many members")


def _named_in_file(buffer: mmap.mmap) -> Iterator[str]:
    pickles = _Pickle(buffer)
    for _ in range(_PICKLES):
        yield from _named(pickles, _MOST_STEPS)


class _Pickle:
    """Reads the beginning of a buffer, as far as pickles of tensors reach."""

    def __init__(self, buffer: bytes | mmap.mmap) -> None:
        self._buffer, self._place = buffer, 0

    def read(self, size: int) -> bytes:
        """The next bytes; raises `ValueError` beyond what a pickle of tensors has."""
        if size > _LARGEST - self._place:
            raise ValueError(_TOO_LONG)
        content = self._buffer[self._place : self._place + size]
        self._place += len(content)
        return content

    def readline(self) -> bytes:
        """The next bytes up to the end of a line."""
        end = self._buffer.find(b"\n", self._place, self._place + _LONGEST_LINE)
        if end < 0:
            raise ValueError("a line of its pickle does not end")
        return self.read(end + 1 - self._place)


def _named(pickle: _Pickle, most: int) -> Iterator[str]:
    """The names one pickle references; a name assembled on its stack is always refused.

    Raises:
        ValueError: the pickle has more than `most` steps.
    """
    for step, (code, argument, _) in enumerate(pickletools.genops(cast("Any", pickle))):
        if step > most:
            raise ValueError(_TOO_LONG)
        if code.name in {"GLOBAL", "INST"}:
            yield str(argument).replace(" ", ".")
        elif code.name in {"STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}:
            yield "code under a name assembled at run time"


def _damaged(path: Path, error: Exception) -> DamagedFileError:
    """The error for a file that cannot be read, with what PyTorch says of it, without what it advises."""
    said = re.search(r"WeightsUnpickler error: (.*)", str(error))
    reason = said[1] if said else str(error).partition("\n")[0]
    return DamagedFileError(f"{path} is damaged: {reason[:_SHOWN]}", RELOAD, path)
