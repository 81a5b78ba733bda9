"""The outside world as one object: input, output, and the environment."""

import io
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, BinaryIO, TextIO, cast

from attn_cli.errors import AttnError
from attn_cli.safe_text import LEFT_TO_RIGHT, condensed, in_order, printable, text_encoding
from attn_cli.vocabulary import Theme

if TYPE_CHECKING:
    from rich.console import Console


_LIGHT_BACKGROUNDS = frozenset({"7", *map(str, range(9, 16))})  # of 16 colours: white and the bright ones

_MOST = 10_000  # columns or lines of a terminal
_DIGITS = 9  # of a number that may be a size

LARGEST_TEXT = 16_000_000
"""Bytes of a text that a command reads; a larger file, or an endless pipe, is refused."""


class World:
    """Standard input, output and error, and the environment; tests use their own."""

    def __init__(self, stdin: TextIO, stdout: TextIO, stderr: TextIO, environment: Mapping[str, str]) -> None:
        self.stdin, self.stdout, self.stderr, self.environment = stdin, stdout, stderr, environment
        self.is_quiet = False
        self.is_unheard = False  # whether standard error could not be written, other than to a closed pipe
        self.remarks: list[str] = []
        self._kept: list[object] = []

    @classmethod
    def real(cls) -> "World":
        """The standard streams and environment of the process."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # an ASCII terminal has no ×
        return cls(_open(sys.stdin, "r"), _open(sys.stdout, "w"), _open(sys.stderr, "w"), os.environ)

    def keep(self, thing: object) -> None:
        """Keep an object until the process ends, where freeing it would take longer than that (`_end`)."""
        self._kept.append(thing)

    @property
    def width(self) -> int:
        """The terminal's columns, without using `screen`: the help need not import Rich."""
        columns = _size(self.environment.get("COLUMNS"))
        return columns or min(get_terminal_size().columns, _MOST)

    @cached_property
    def screen(self) -> "Console":
        """Standard output as a console that knows its width and colours."""
        return self._console(self.stdout)

    @cached_property
    def desk(self) -> "Console | None":
        """Standard error as a console for progress bars; None if it is not a terminal, or with --quiet."""
        return self._console(self.stderr) if self.stderr.isatty() and not self.is_quiet else None

    def theme(self, chosen: Theme) -> Theme:
        """The theme of the screen: the chosen one; for `auto`, that of COLORFGBG, else dark.

        Terminals set COLORFGBG to `foreground;background`, some to `foreground;default;background`.
        """
        if chosen is not Theme.AUTO:
            return Theme.LIGHT if chosen is Theme.PAPER else chosen
        _, is_there, background = self.environment.get("COLORFGBG", "").rpartition(";")
        return Theme.LIGHT if is_there and background in _LIGHT_BACKGROUNDS else Theme.DARK

    def _console(self, stream: TextIO) -> "Console":
        from rich.console import Console  # 0.06 s

        class Screen(Console):
            """Raises on a closed pipe, instead of exiting with status 1 as Rich does."""

            def on_broken_pipe(self) -> None:
                raise BrokenPipeError

        sizes = {name: _size(self.environment.get(name)) for name in ("COLUMNS", "LINES")}
        environment = {name: word for name, word in self.environment.items() if name not in sizes}
        environment |= {name: str(size) for name, size in sizes.items() if size}
        return Screen(
            file=stream,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=not stream.isatty(),  # files and pipes take lines of any length
            _environ=environment,
        )

    def say(self, text: str) -> None:
        """Write a result: one or more lines on standard output."""
        self.stdout.write(f"{text}\n")

    def conclude(self, sentence: str) -> None:
        """Write a result that is one sentence, on standard output."""
        self.stdout.write(f"{self._filled(sentence, self.stdout)}\n")

    def note(self, text: str) -> None:
        """Add a remark: one line on standard error after the result, unless --quiet is given."""
        if not self.is_quiet:
            self.remarks.append(condensed(text))

    def fact(self, text: str) -> None:
        """Report an event, such as a file written, at once: one line on standard error, unless --quiet."""
        if not self.is_quiet:
            self.stdout.flush()
            self._to_stderr(self._filled(_visible(text)))

    def finish(self) -> None:
        """Flush the result, then print the remarks; not called after an error."""
        self.stdout.flush()
        for remark in self.remarks:
            self._to_stderr(self._filled(_visible(remark)))
        self.remarks.clear()

    def complain(self, problem: str, hint: str) -> None:
        """Report an error: the problem and a hint, each a line on standard error.

        In a narrow terminal the first line is wrapped; the second is meant to be copied.
        """
        try:
            self.stdout.flush()
        except OSError:  # the error may be a full disk
            self.drop_result()
        self._to_stderr(self._filled(f"attn: {_visible(problem)}"))
        self._to_stderr(f"try: {_visible(hint)}")

    def drop_result(self) -> None:
        """Write what is left of the result to the null device: the interpreter tries again as it exits."""
        _silence(self.stdout)

    def interrupted(self) -> None:
        """Report Ctrl-C: one line on standard error."""
        self._to_stderr("attn: interrupted")

    def read(self, file: Path | None, option: str = "--file") -> str:
        """The text of `file`, or of standard input, without one trailing newline; `option` names the file.

        Raises:
            AttnError: it cannot be read, is larger than `LARGEST_TEXT`, or is neither UTF-8 nor begins with
                the mark of UTF-16 or UTF-32.
        """
        name = "standard input" if file is None else str(file)
        encoding = "utf-8"
        try:
            content = self._bytes(name) if file is None else _content(file)
            encoding = text_encoding(content)
            return _without_line_end(content.decode(encoding))
        except FileNotFoundError as error:
            raise AttnError(f"{name} does not exist", f"check the path after {option}") from error
        except OSError as error:
            raise AttnError(
                f"{name} cannot be read: {error.strerror}", f"check the path after {option}"
            ) from error
        except UnicodeDecodeError as error:
            format_name = encoding.removesuffix("-sig").upper()
            problem = f"{name} is not {format_name}: byte {error.start} is 0x{error.object[error.start]:02x}"
            raise AttnError(problem, "convert it, for example: iconv -f latin1 -t utf-8") from error

    def has_input(self, patience: float | None) -> bool:
        """Whether standard input has data, or ends, within `patience` seconds; None: wait indefinitely."""
        import select

        try:
            return bool(select.select([self.stdin.fileno()], [], [], patience)[0])
        except (OSError, ValueError):  # no descriptor, or one that cannot be polled: read it instead
            return True

    def _bytes(self, name: str) -> bytes:
        if not hasattr(self.stdin, "buffer"):
            return self.stdin.read().encode("utf-8", "surrogateescape")
        pieces = [_read_bounded(self.stdin.buffer, name)]
        if not _returns_early(self.stdin):
            return pieces[0] or b""
        while pieces[-1] != b"":  # the end; None: nothing has come yet
            self.has_input(None)
            pieces.append(_read_bounded(self.stdin.buffer, name))
            _check_size(name, sum(map(len, filter(None, pieces))))
        return b"".join(filter(None, pieces))

    def _filled(self, sentence: str, stream: TextIO | None = None) -> str:
        """The sentence; for a terminal in lines that end between words, as a terminal itself cuts words.

        It goes to `stream`; None: standard error.
        """
        if not (stream or self.stderr).isatty():
            return sentence
        import textwrap

        lines = textwrap.wrap(
            sentence, self.width, replace_whitespace=False, break_long_words=False, break_on_hyphens=False
        )
        encoding = (stream or self.stderr).encoding or "utf-8"
        return "\n".join(in_order(line) if _has_mark(encoding) else line for line in lines)

    def _to_stderr(self, line: str) -> None:
        encoding = self.stderr.encoding or "utf-8"
        try:
            self.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            self.stderr.flush()
        except OSError as error:  # there is no place left to say so
            self.is_unheard |= not isinstance(error, BrokenPipeError)
            _silence(self.stderr)


def _visible(sentence: str) -> str:
    """A sentence for standard error: harmless, and not longer than a few lines."""
    return condensed(printable(condensed(sentence)))


def _size(word: str | None) -> int:
    """The columns or lines that an environment variable says; 0 if it says none, as if it were not set.

    Programs that do not know the width set it to 0.
    """
    is_number = word is not None and word.isdecimal() and len(word) <= _DIGITS
    return min(int(word), _MOST) if word is not None and is_number else 0


def _silence(stream: TextIO) -> None:
    """Redirect a stream that cannot be written to the null device; one without a descriptor is left alone."""
    with suppress(OSError, ValueError):
        nothing, number = os.open(os.devnull, os.O_WRONLY), stream.fileno()
        os.dup2(nothing, number)
        os.close(nothing)


def _has_mark(encoding: str) -> bool:
    """Whether the encoding has the mark of `in_order`."""
    try:
        return bool(LEFT_TO_RIGHT.encode(encoding))
    except UnicodeEncodeError:
        return False


def _content(file: Path) -> bytes:
    """The bytes of the file; its size is checked before it is read, where it has one."""
    with file.open("rb") as opened:
        _check_size(str(file), os.fstat(opened.fileno()).st_size, is_known=True)
        return _read_bounded(opened, str(file)) or b""


def _read_bounded(stream: BinaryIO, name: str) -> bytes | None:
    """The bytes of a stream, which may be endless; None: nothing has come yet, and it does not wait."""
    content: bytes | None = stream.read(LARGEST_TEXT + 1)
    _check_size(name, len(content or b""))
    return content


def _check_size(name: str, size: int, *, is_known: bool = False) -> None:
    """Raise `AttnError` for more bytes than a text may have; `is_known`: the size is that of the whole."""
    if size > LARGEST_TEXT:
        most = f"{LARGEST_TEXT / 1e6:.0f} MB"
        found = f"{size / 1e6:,.1f} MB, and the limit is {most}" if is_known else f"more than {most}"
        raise AttnError(f"{name} is too large for a text: {found}", "a part of it: head -c 100000 FILE")


def _returns_early(stream: TextIO) -> bool:
    """Whether reading the stream ends where nothing is left for now: whoever started us made it so.

    Other programs that share it may do so too (Node.js does).
    """
    try:
        return os.name == "posix" and not os.get_blocking(stream.fileno())
    except OSError:  # a stream without a descriptor
        return False


def _without_line_end(text: str) -> str:
    """The text without the newline that editors and `echo` put after the last line."""
    for end in ("\r\n", "\n", "\r"):
        if text.endswith(end):
            return text.removesuffix(end)
    return text


def _open(stream: TextIO | None, mode: str) -> TextIO:
    """The stream, or the null device if it was closed (`>&-`)."""
    return cast("TextIO", Path(os.devnull).open(mode, encoding="utf-8")) if stream is None else stream
