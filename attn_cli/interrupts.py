"""Ctrl-C ends the process within a second, even if the main thread is inside a library call.

Python handles a signal in the main thread between two bytecode instructions; a matrix product over 32,000
tokens is a single instruction that takes ten seconds. A second thread is notified of the signal at once, and
ends the process if the main thread does not.
"""

import _thread
import os
import signal
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False  # avoids importing typing
if TYPE_CHECKING:
    from types import FrameType

STATUS = 130
_STDERR = 2
_CANNOT = 1
_PATIENCE = 0.7  # seconds for the main thread to exit cleanly


_programs: list[int] = []


def is_program() -> bool:
    """Whether the process is `attn`, whose signals it may handle, and not one that imports the package."""
    return os.getpid() in _programs


def listen() -> None:
    """Start listening for Ctrl-C, unless the signal is ignored or has another handler."""
    _programs.append(os.getpid())
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # nohup, or a shell's background
        return
    signal.signal(signal.SIGINT, _once)
    if os.name != "posix":  # on Windows the wakeup fd must be a socket
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    _thread.start_new_thread(_wait, (heard,))


def _once(_number: int, _frame: "FrameType | None") -> None:
    """Raise KeyboardInterrupt like Python's handler, but only once: more must not disturb the exit."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _wait(heard: int) -> None:
    while True:
        number = os.read(heard, 1)[0]
        if number == signal.SIGINT and signal.getsignal(number) in {_once, signal.SIG_IGN}:
            time.sleep(_PATIENCE)
            if os.isatty(_STDERR):
                _say(b"\r\x1b[2K\x1b[?25h")  # clears a progress bar, and shows the cursor it has hidden
            _say(b"attn: interrupted\n")
            os._exit(STATUS)


def _say(line: bytes) -> None:
    with suppress(OSError):  # standard error is closed
        os.write(_STDERR, line)  # Rich redirects `sys.stderr` above the progress bar, and redraws the bar


def fail(problem: str, hint: str) -> None:
    """End the process with status 1 from within a signal handler of the system."""
    _say(f"attn: {problem}\ntry: {hint}\n".encode("utf-8", "backslashreplace"))
    os._exit(_CANNOT)


def leave() -> None:
    """Exit with status 130 immediately, after the message has been printed.

    A normal exit would wait for threads; and after a Ctrl-C during `exec`, which dataclasses call at import,
    Python would end by the signal even though it was handled (`pythonrun.c`, `run_eval_code_obj`).
    """
    with suppress(AttributeError, OSError, ValueError):  # standard error is closed or full
        sys.stderr.flush()
    os._exit(STATUS)


def interrupted() -> None:
    """Report Ctrl-C, and exit with status 130 immediately."""
    _say(b"attn: interrupted\n")
    leave()


def ignore() -> None:
    """Ignore Ctrl-C from now on: the command is done, and the interpreter would die of it as it exits."""
    if signal.getsignal(signal.SIGINT) is _once:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
