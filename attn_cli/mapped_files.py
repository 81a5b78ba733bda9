"""Notices files that change while they are mapped into memory: their numbers would be wrong, or missing.

Where a truncated file is read, the system sends the signal SIGBUS, in the middle of a matrix product if need
be, and the process would end without a word. Reading copies instead of mapping would cost every start what
this costs nobody.
"""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.interrupts import fail, is_program
from attn_cli.safe_text import printable

_HINT = "run the command again when no other program writes the file"

_states: dict[Path, tuple[float, tuple[int, ...]]] = {}  # when each was mapped, and its state then
_handlers: list[object] = []  # what the system calls must not be freed


class ChangedFileError(AttnError):
    """A file was changed while it was read; what was computed from it is worth nothing."""


def watch(path: Path, descriptor: int) -> None:
    """Remember the state of a file that is mapped, opened as `descriptor`."""
    _states[path] = time.monotonic(), _state(os.fstat(descriptor))
    if not _handlers and is_program() and hasattr(signal, "SIGBUS"):
        import ctypes  # NumPy has imported it

        handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(_end)
        ctypes.CDLL(None).signal(int(signal.SIGBUS), handler)
        _handlers.append(handler)


def mapped_since(began: float) -> list[Path]:
    """The files that were mapped since a time of `time.monotonic`."""
    return [path for path, (when, _) in _states.items() if when >= began]


def check_unchanged(paths: Iterable[Path]) -> None:
    """Check that mapped files have the size and the time of when they were mapped.

    A file that was replaced is no problem: the old one stays mapped.

    Raises:
        ChangedFileError: one was changed.
    """
    if path := _changed(paths):
        raise ChangedFileError(f"{path} was changed while attn was reading it", _HINT)


def _changed(paths: Iterable[Path]) -> Path | None:
    for path in paths:
        if path not in _states:
            continue
        _, before = _states[path]
        try:
            now = _state(path.stat())
        except OSError:  # removed: what is mapped stays
            continue
        if now != before and now[:2] == before[:2]:
            return path
    return None


def _state(found: os.stat_result) -> tuple[int, ...]:
    """Which file it is, and its size and time."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _end(_number: int) -> None:
    """End the process: called by the system where a file is read that has become shorter.

    The thread reads memory then and holds no lock of the C library, so that Python can run.
    """
    path = _changed(_states)
    what = "a mapped file" if path is None else str(path)
    why = "could not be read" if path is None else "was truncated while attn was reading it"
    fail(printable(f"{what} {why}"), _HINT)
