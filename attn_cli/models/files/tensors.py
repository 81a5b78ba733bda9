"""A tensor in a file of any format: its dtype, its shape, and a function that reads its numbers."""

import errno
import mmap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attn_cli.errors import AttnError, DamagedFileError
from attn_cli.mapped_files import watch
from attn_cli.models.files.impostors import START, check_weights
from attn_cli.record import record

FloatArray = npt.NDArray[np.floating]

_HINTS = {
    errno.ENOMEM: "free some memory",
    errno.EMFILE: "a higher limit on open files: ulimit -n 256",
    errno.ENFILE: "close other programs, which have too many files open",
}

RELOAD = "download the file again"
"""The hint for a damaged file."""


@record(frozen=True, slots=True)
class Tensor:
    """One tensor; its numbers are read from the file on demand."""

    path: Path
    dtype: str  # as spelled in the file
    shape: tuple[int, ...]
    numbers: (
        Callable[[Sequence[int] | None], FloatArray] | None
    )  # given rows, or all for None; the field is None if the dtype is not supported


def index_of(rows: Sequence[int]) -> slice | list[int]:
    """What selects these rows from an array: for a range a slice, which copies nothing."""
    if isinstance(rows, range) and rows.step == 1:
        return slice(rows.start, rows.stop)
    return list(rows)


def map_file(path: Path) -> mmap.mmap:
    """Map the file into memory; nothing is read yet.

    Raises:
        AttnError: the file is missing, empty, cannot be read, or is not of the format that its name says.
    """
    try:
        with path.open("rb") as file:
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            watch(path, file.fileno())
    except FileNotFoundError as error:
        raise AttnError(
            f"{path} does not exist", "a directory that contains the weights as model.safetensors"
        ) from error
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "check the file's permissions")
        raise AttnError(f"{path} cannot be read: {error.strerror}", hint) from error
    except ValueError as error:  # an empty file cannot be mapped
        raise DamagedFileError(f"{path} is empty", RELOAD, path) from error
    check_weights(path, buffer[:START], len(buffer))
    return buffer
