"""Ctrl-C ends the process within a second, even if the main thread is inside a library call.

Python handles a signal in the main thread between two bytecode instructions; a matrix product over 32,000
tokens is a single instruction that takes ten seconds. A second thread is notified of the signal at once, and
ends the process if the main thread does not.

SIGTERM (`kill`) and SIGHUP (a closed terminal) are handled likewise, so that no unfinished file stays. The
status is 128 and the number of the signal, as shells report it.
"""

import _thread
import os
import sys
import time

TYPE_CHECKING = False  # avoids importing typing
if TYPE_CHECKING:
    import signal
    from types import FrameType
else:
    import _signal as signal  # `signal` wraps its names in enums, 3 ms in which Ctrl-C has no answer yet

_STATUS = 130
_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_FROM_SIGNAL = 128
_STDERR = 2
_CANNOT = 1
_PATIENCE = 0.7  # seconds for the main thread to exit cleanly

_heard: list[int] = []
_raised: list[int] = []


_programs: list[int] = []


def is_program() -> bool:
    """Whether the process is `attn`, whose signals it may handle, and not one that imports the package."""
    return os.getpid() in _programs


def listen() -> None:
    """Start listening for the signals, except for any that is ignored or has another handler."""
    _programs.append(os.getpid())
    for number in _NUMBERS:
        if signal.getsignal(number) in {signal.default_int_handler, signal.SIG_DFL}:  # not with nohup
            signal.signal(number, _once)
    if os.name != "posix":  # on Windows the wakeup fd must be a socket
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    _thread.start_new_thread(_wait, (heard, _own_stderr()))


def _own_stderr() -> int:
    """Standard error under a number of its own: while a tokenizer runs, the usual one leads nowhere."""
    try:
        return os.dup(_STDERR)
    except OSError:
        return _STDERR


def _once(number: int, _frame: "FrameType | None") -> None:
    """Raise KeyboardInterrupt like Python's handler, but only once: more must not disturb the exit."""
    note(number)
    _raised.append(number)
    _replace(signal.SIG_IGN)
    raise KeyboardInterrupt


def is_raised() -> bool:
    """Whether a signal has raised KeyboardInterrupt: a library may make another exception of it.

    A module in C that is interrupted while it is imported raises ImportError, and so does its next import.
    """
    return bool(_raised)


def note(number: int) -> None:
    """Remember the signal that ends the process."""
    _heard.append(number)


def _replace(handler: int) -> None:
    """Handle the signals that `listen` listens for in this way from now on."""
    for number in _NUMBERS:
        if signal.getsignal(number) == _once:
            signal.signal(number, handler)


def _wait(heard: int, stderr: int) -> None:
    while True:
        number = os.read(heard, 1)[0]
        if number in _NUMBERS and signal.getsignal(number) in {_once, signal.SIG_IGN}:
            time.sleep(_PATIENCE)
            _heard.append(number)
            _discard()
            if os.isatty(stderr):
                # clears a progress bar, and shows the cursor it has hidden
                _say(b"\r\x1b[2K\x1b[?25h", stderr)
            _say(b"attn: interrupted\n", stderr)
            os._exit(_status())


def _discard() -> None:
    """Remove the files that are not complete, if any was begun."""
    module = sys.modules.get("attn_cli.unfinished")
    if module is not None:
        module.discard()


def _status() -> int:
    """The status of a process that ends by the signal that was heard first."""
    return _FROM_SIGNAL + _heard[0] if _heard else _STATUS


def is_of_signal(status: object) -> bool:
    """Whether a command that was interrupted ends with this status."""
    return status == _STATUS


def _say(line: bytes, stderr: int = _STDERR) -> None:
    try:
        os.write(stderr, line)  # Rich redirects `sys.stderr` above the progress bar, and redraws the bar
    except OSError:  # standard error is closed
        return


def fail(problem: str, hint: str) -> None:
    """End the process with status 1 from within a signal handler of the system."""
    _say(f"attn: {problem}\ntry: {hint}\n".encode("utf-8", "backslashreplace"))
    os._exit(_CANNOT)


def leave() -> None:
    """Exit with the status of the signal immediately, after the message has been printed.

    A normal exit would wait for threads; and after a Ctrl-C during `exec`, which dataclasses call at import,
    Python would end by the signal even though it was handled (`pythonrun.c`, `run_eval_code_obj`).
    """
    try:
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):  # standard error is closed or full
        pass
    finally:
        os._exit(_status())


def interrupted() -> None:
    """Report the signal, and exit with its status immediately."""
    _say(b"attn: interrupted\n")
    leave()


def ignore() -> None:
    """Ignore Ctrl-C from now on: the command is done, and the interpreter would die of it as it exits.

    The other signals end the process at once, whatever it may still wait for.
    """
    if signal.getsignal(signal.SIGINT) == _once:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _replace(signal.SIG_DFL)
