"""The documents of files, one after another: only the one that is read is in memory."""

import errno
import io
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attn_cli.errors import AttnError, UsageError
from attn_cli.safe_text import printable
from attn_cli.survey.inputs import tables
from attn_cli.survey.inputs.files import STDIN, kind_of_file, state_of
from attn_cli.survey.inputs.lines import Entry, as_one, by_line, of_json
from attn_cli.survey.inputs.per import Per
from attn_cli.survey.records import Document, Unread


def documents(
    paths: Sequence[Path], stdin: io.BufferedReader | None, field: str | None, per: Per = Per.LINE
) -> Iterator[Document | Unread]:
    """Every document of the files, in their order; those that cannot be read say why.

    Standard input is lines of text, or with `field` lines of JSON.

    Raises:
        AttnError: a file changed while it was read, or needs a library that is not installed.
    """
    for path in paths:
        before = state_of(path)
        for entry in _of_file(path, stdin, field, per):
            yield _not_blank(entry)
        if state_of(path) != before:
            problem = f"{printable(str(path))} changed while it was read"
            raise AttnError(problem, "the same again, when nothing writes to the file")


def check_field(paths: Sequence[Path], field: str | None) -> None:
    """Raise `UsageError` if a field is named, and no file has fields."""
    kinds = {kind_of_file(path) for path in paths if str(path) != STDIN}
    if field is not None and paths and kinds == {".txt"} and Path(STDIN) not in paths:
        problem = f"--field {printable(field)} applies only to .jsonl, .csv and .parquet files, and to a pipe"
        raise UsageError(problem, "leave it out")


def _of_file(path: Path, stdin: io.BufferedReader | None, field: str | None, per: Per) -> Iterator[Entry]:
    source = str(path)
    kind = kind_of_file(path) if source != STDIN else ".txt" if field is None else ".jsonl"
    try:
        if kind == ".parquet":
            yield from tables.of_parquet(path, source, field)
            return
        with _opened(path, stdin) as file:
            yield from _of_stream(file, source, kind, field, per)
    except OSError as error:
        yield Unread(source, 0, f"cannot be read: {(error.strerror or type(error).__name__).lower()}")


def _of_stream(
    file: io.BufferedReader, source: str, kind: str, field: str | None, per: Per
) -> Iterator[Entry]:
    if kind == ".csv":
        yield from tables.of_csv(file, source, field)
    elif kind == ".jsonl":
        for entry in by_line(file, source):
            yield of_json(entry, field)
    elif per is Per.FILE:
        yield as_one(file, source)
    else:
        yield from by_line(file, source)


@contextmanager
def _opened(path: Path, stdin: io.BufferedReader | None) -> Iterator[io.BufferedReader]:
    """The file, or standard input, which stays open."""
    if str(path) == STDIN:
        assert stdin is not None, "the command has one"
        _check_ends(stdin)
        yield stdin
        return
    with path.open("rb") as file:
        _check_ends(file)
        yield file


def _check_ends(file: io.BufferedReader) -> None:
    """Raise `OSError` for a device like /dev/urandom: its lines never end. Those of a terminal do."""
    try:
        is_device = stat.S_ISCHR(os.fstat(file.fileno()).st_mode)
    except OSError:  # in memory
        return
    if is_device and not file.isatty() and file.peek(1):
        raise OSError(errno.EINVAL, "a device, which does not end")


def _not_blank(entry: Entry) -> Entry:
    is_blank = isinstance(entry, Document) and not entry.text.strip()
    return Unread(entry.source, entry.place, "blank") if is_blank else entry
