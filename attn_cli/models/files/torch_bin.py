"""Tensors from PyTorch's `.bin` pickles; pickles that reference anything but tensors are refused.

`torch.load(weights_only=True)` calls only the functions on its own allowlist. A checkpoint needs few of them,
and others (`bytearray`, `torch.Tensor`) would allocate as much memory as the file demands. So the names in
the pickle are checked first, which also saves importing PyTorch for a file that is refused.
"""

import io
import math
import mmap
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attn_cli.errors import AttnError
from attn_cli.models.files.tensors import RELOAD, FloatArray, Tensor, map_file

if TYPE_CHECKING:
    import torch

_NEEDED = re.compile(
    r"collections\.OrderedDict"
    r"|torch\._utils\.(_rebuild_tensor_v2|_rebuild_parameter)"
    r"|torch\.(storage\.)?\w+Storage"
)

_OPENED = "use a checkpoint with model.safetensors, or ask its author for one"
_PICKLES = 5  # in files from before PyTorch 1.6: magic number, version, system, tensors, their order


def read_torch_bin(path: Path) -> dict[str, Tensor]:
    """The tensors of the file, by name.

    Raises:
        AttnError: the file is damaged, or its pickle references code other than tensors.
    """
    is_archive = _check_named(path)
    import torch  # 1.7 s

    try:
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
        raise AttnError(f"{path} is damaged: the tensor {name} is larger than its storage", RELOAD)
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
            for name in _named_in_archive(path) if is_archive else _named_in_file(buffer):
                if not _NEEDED.fullmatch(name):
                    raise AttnError(f"{path} is refused: it is a pickle that would run {name}", _OPENED)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise _damaged(path, error) from error
    return is_archive


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence Python's warnings about invalid escape sequences, which a damaged pickle causes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def _named_in_archive(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its archive is compressed")  # which would allow a zip bomb
        for entry in entries:
            if entry.filename.rpartition("/")[2] == "data.pkl":
                yield from _named(io.BytesIO(archive.read(entry)))


def _named_in_file(buffer: mmap.mmap) -> Iterator[str]:
    for _ in range(_PICKLES):
        yield from _named(buffer)


def _named(pickle: Any) -> Iterator[str]:
    """The names one pickle references; a name assembled on its stack is always refused."""
    for code, argument, _ in pickletools.genops(pickle):
        if code.name in {"GLOBAL", "INST"}:
            yield str(argument).replace(" ", ".")
        elif code.name in {"STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}:
            yield "code under a name assembled at run time"


def _damaged(path: Path, error: Exception) -> AttnError:
    return AttnError(f"{path} is damaged: {str(error).partition(chr(10))[0]}", RELOAD)
