"""Writes a file atomically: it appears complete or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_atomically(target: Path) -> Iterator[Path]:
    """A name beside `target` to write to; what is written there gets its own name when it is complete."""
    temporary = target.with_name(f".{target.name}.part")
    yield temporary
    temporary.replace(target)
