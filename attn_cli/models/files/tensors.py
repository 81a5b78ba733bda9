"""A tensor in a file of any format: its type and shape, and how its numbers are read."""

import errno
import mmap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attn_cli.errors import AttnError
from attn_cli.record import record

FloatArray = npt.NDArray[np.floating]

RELOAD = "download the file again"
"""What to try where a file is damaged."""


@record(frozen=True, slots=True)
class Tensor:
    """One tensor; its numbers stay in the file until they are asked for."""

    path: Path
    dtype: str  # as the file spells it
    shape: tuple[int, ...]
    numbers: (
        Callable[[Sequence[int] | None], FloatArray] | None
    )  # of those rows, or all; None: no such type here


def map_file(path: Path) -> mmap.mmap:
    """The file's bytes, none of them read yet.

    Raises:
        AttnError: it is missing, empty, or may not be read.
    """
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise AttnError(
            f"{path} does not exist", "give a directory that holds the weights as model.safetensors"
        ) from error
    except OSError as error:
        hint = "free some memory" if error.errno == errno.ENOMEM else "check the file's permissions"
        raise AttnError(f"{path} cannot be read: {error.strerror}", hint) from error
    except ValueError as error:  # an empty file cannot be mapped
        raise AttnError(f"{path} is empty", RELOAD) from error
