"""Files that are being written under a temporary name: removed however the process ends, short of SIGKILL.

An exception removes its file on the way up. If the main thread is inside a library when a signal ends the
process (`interrupts`), no exception is raised there, and `discard` removes what is left.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_names: set[str] = set()


@contextmanager
def temporary(path: Path) -> Iterator[Path]:
    """A name for a file that is renamed or linked when it is complete; whatever has the name is removed."""
    name = str(path)
    _names.add(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        _names.discard(name)


def discard() -> None:
    """Remove all files that are not complete."""
    for name in tuple(_names):
        try:
            os.unlink(name)  # noqa: PTH108  called as the process ends
        except OSError:
            continue
