"""Limits of a process that runs a program of a checkpoint: its time and memory, and no files written."""

import sys
from contextlib import suppress
from time import process_time

if sys.platform != "win32":
    import resource


def limit_process(seconds: int, memory: int, *, opens_files: bool) -> None:
    """Limit what this process may use from now on; Windows has no such limits.

    `seconds` of processor time, from now on; `memory`: bytes.
    """
    if sys.platform == "win32":
        return
    limits = {
        resource.RLIMIT_CPU: int(process_time()) + seconds,
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        **({} if opens_files else {resource.RLIMIT_NOFILE: 0}),
    }
    for kind, most in limits.items():
        _, hard = resource.getrlimit(kind)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):  # macOS does not limit the address space
            resource.setrlimit(kind, (least, hard))
