"""The `attn` process and `python -m attn_cli`: Ctrl-C is handled before much is imported."""

import atexit
import gc
import os
import sys
from contextlib import suppress

from attn_cli.interrupts import STATUS, leave, listen

_ALLOCATIONS = 100_000  # between two searches for cycles: with Python's 700 they take 0.01 s of the start


def main() -> None:
    """Run `attn`; an interruption while its modules are imported is no traceback either."""
    gc.set_threshold(_ALLOCATIONS)
    try:
        listen()
        from attn_cli.cli import main as start  # typer: 0.08 s

        start()
    except KeyboardInterrupt:
        sys.stderr.write("attn: interrupted\n")
        leave()
    except SystemExit as ended:
        if ended.code == STATUS:
            leave()
        _end(ended.code)
        raise
    finally:
        gc.freeze()  # what is left is not searched for cycles on the way out: 0.1 s after a picture


def _end(status: object) -> None:
    """End the process as the interpreter does, but without freeing its objects one by one, which takes 4 ms.

    It returns where more is to come: while threads or a profiler run, or if output cannot be written.
    """
    import threading  # typer has imported it

    if not isinstance(status, int) or threading.active_count() > 1 or sys.getprofile() is not None:
        return
    atexit._run_exitfuncs()  # noqa: SLF001  the only way to call what libraries registered
    with suppress(OSError, ValueError):
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
