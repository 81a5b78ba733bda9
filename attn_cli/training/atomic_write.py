"""Writes a file atomically: it appears complete or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attn_cli.unfinished import temporary


@contextmanager
def written_atomically(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`; the file written there is renamed to `target` once it is complete."""
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)  # a link would be written through
    with temporary(part):
        yield part
        part.replace(target)
