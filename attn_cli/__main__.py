"""The `attn` process and `python -m attn_cli`: Ctrl-C is handled before much is imported."""

import atexit
import gc
import os
import sys
from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal  # type: ignore[import-not-found]

if getsignal(SIGINT) is default_int_handler:  # until `listen`, Ctrl-C ends the process without a traceback
    signal(SIGINT, SIG_DFL)

from attn_cli.interrupts import ignore, interrupted, is_of_signal, is_raised, leave, listen

_CANNOT = 1
_ALLOCATIONS = 100_000  # between two searches for cycles: with Python's 700 they take 0.01 s of the start
_STDERR = 2
_FILES = (23, 24)  # ENFILE, EMFILE
_OF_MEMORY = (MemoryError, RuntimeError, SystemError)  # no memory for a thread, or for an exception itself
_SIGNS_OF_MEMORY = ("alloc", "map segment", "can't load unicodedata")


def main() -> None:
    """Run `attn`; neither an interruption nor a limit that keeps modules from loading is a traceback."""
    gc.set_threshold(_ALLOCATIONS)
    try:
        _start()
    except KeyboardInterrupt:
        interrupted()
    except Exception as error:  # noqa: BLE001  libraries raise anything when they are loaded in too little memory
        if is_raised():
            interrupted()
        _give_up(error)
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
        if is_of_signal(ended.code):
            leave()
        ignore()
        _end(ended.code)
        raise


def _give_up(error: Exception) -> None:
    """End the process with two lines: attn itself cannot be loaded, or not even report an error."""
    if os.environ.get("ATTN_DEBUG"):
        raise error
    if isinstance(error, OSError) and error.errno in _FILES:
        said = "attn: too many open files\ntry: a higher limit: ulimit -n 256\n"
    elif isinstance(error, _OF_MEMORY) or any(sign in str(error) for sign in _SIGNS_OF_MEMORY):
        said = "attn: not enough memory\ntry: close other programs, or a higher limit: ulimit -v unlimited\n"
    else:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        said = (
            f"attn: attn cannot be loaded: {what}\ntry: install it again; ATTN_DEBUG=1 shows the traceback\n"
        )
    try:
        os.write(_STDERR, said.encode("ascii", "backslashreplace"))
    finally:
        os._exit(_CANNOT)


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
