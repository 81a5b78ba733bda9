"""Standard input as bytes that are read piece by piece, so that a pipe of any length takes no memory."""

import io
import os
from typing import Any, cast

from attn_cli.console import World


def stream_of(world: World) -> io.BufferedReader:
    """Standard input; where nothing has come yet, it waits."""
    if not hasattr(world.stdin, "buffer"):
        return io.BufferedReader(io.BytesIO(world.stdin.read().encode("utf-8", "surrogateescape")))
    buffer = cast("io.BufferedReader", world.stdin.buffer)
    return buffer if _waits(buffer) else io.BufferedReader(_Patient(world, buffer.raw))


def _waits(buffer: io.BufferedReader) -> bool:
    """Whether reading waits for more; a program that shares the pipe may have made it return at once."""
    try:
        return os.name != "posix" or os.get_blocking(buffer.fileno())
    except OSError:  # a stream without a descriptor
        return True


class _Patient(io.RawIOBase):
    """Standard input that returns at once where nothing has come yet; this waits for it."""

    def __init__(self, world: World, raw: Any) -> None:
        self._world, self._raw = world, raw

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, target: Any) -> int:
        """The number of bytes that were put into `target`; 0: the end."""
        while (count := self._raw.readinto(target)) is None:
            self._world.has_input(None)
        return int(count)
