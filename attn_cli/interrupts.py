"""Ctrl-C ends the process within a second, even where the main thread is deep in a library.

Python tells the main thread of a signal between two of its own steps; a matrix product over 32,000 tokens is
one step of ten seconds. A second thread hears of the signal at once, and ends the process where the main
thread does not.
"""

import _thread
import os
import signal
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False  # typing's own costs an import
if TYPE_CHECKING:
    from types import FrameType

STATUS = 130
_STDERR = 2
_PATIENCE = 0.7  # seconds: the main thread leaves its work in order, if it can


def listen() -> None:
    """Begin to; whoever handles the signal otherwise, or sets another `signal.set_wakeup_fd`, is let be."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # nohup, or a shell's background
        return
    signal.signal(signal.SIGINT, _once)
    if os.name != "posix":  # Windows tells sockets alone
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    _thread.start_new_thread(_wait, (heard,))


def _once(_number: int, _frame: "FrameType | None") -> None:
    """As Python does it, but a key that is held interrupts nobody who is leaving."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _wait(heard: int) -> None:
    while True:
        number = os.read(heard, 1)[0]
        if number == signal.SIGINT and signal.getsignal(number) in {_once, signal.SIG_IGN}:
            time.sleep(_PATIENCE)
            if os.isatty(_STDERR):
                _say(b"\r\x1b[2K\x1b[?25h")  # a progress bar may be there, and has hidden the cursor
            _say(b"attn: interrupted\n")
            os._exit(STATUS)


def _say(line: bytes) -> None:
    with suppress(OSError):  # nobody listens
        os.write(_STDERR, line)  # `sys.stderr` would write above the bar, which is then drawn again


def leave() -> None:
    """End with status 130, at once, when it has been said.

    A Ctrl-C that meets an `exec`, as dataclasses do at import, would end Python by its signal even where
    it was answered (`pythonrun.c`, `run_eval_code_obj`); and threads would be waited for.
    """
    sys.stderr.flush()
    os._exit(STATUS)
