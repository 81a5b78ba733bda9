"""The `attn` process and `python -m attn_cli`: Ctrl-C is handled before much is imported."""

import atexit
import gc
import os
import sys

from attn_cli.interrupts import STATUS, ignore, interrupted, leave, listen

_CANNOT = 1
_ALLOCATIONS = 100_000  # between two searches for cycles: with Python's 700 they take 0.01 s of the start


def main() -> None:
    """Run `attn`; an interruption while its modules are imported is no traceback either."""
    gc.set_threshold(_ALLOCATIONS)
    try:
        _start()
    except KeyboardInterrupt:
        interrupted()
    finally:
        gc.freeze()  # what is left is not searched for cycles on the way out: 0.1 s after a picture


def _start() -> None:
    """Run `attn` and end the process; Ctrl-C is an exception until the command is done, and then ignored."""
    if sys.getfilesystemencoding() != "utf-8":
        _restart_in_utf8()
    try:
        listen()
        from attn_cli.cli import main as start  # typer: 0.08 s

        start()
    except SystemExit as ended:
        if ended.code == STATUS:
            leave()
        ignore()
        _end(ended.code)
        raise


def _restart_in_utf8() -> None:
    """Start anew in Python's UTF-8 mode if an argument was not read as the UTF-8 that it is.

    Text is UTF-8 in any locale, in arguments as in files; what is printed keeps the locale's encoding.
    """
    words = [os.fsencode(word) for word in sys.argv[1:]]
    if all(map(bytes.isascii, words)):
        return
    try:
        b" ".join(words).decode("utf-8")
    except UnicodeDecodeError:
        return  # it is in the locale's encoding
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    os.environ.setdefault("PYTHONIOENCODING", encoding)
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606  ourselves


def _end(status: object) -> None:
    """End the process as the interpreter does, but without freeing its objects one by one, which takes 4 ms.

    It returns where more is to come: while threads or a profiler run.
    """
    import threading  # typer has imported it

    if not isinstance(status, int) or threading.active_count() > 1 or sys.getprofile() is not None:
        return
    atexit._run_exitfuncs()  # noqa: SLF001  the only way to call what libraries registered
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except (OSError, ValueError):  # the interpreter would end with 120
        os._exit(status or _CANNOT)
    os._exit(status)


if __name__ == "__main__":
    main()
