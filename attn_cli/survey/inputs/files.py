"""Which files are meant: those that were named, and those of directories, each once and in a fixed order."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from attn_cli.errors import AttnError, UsageError
from attn_cli.record import record
from attn_cli.safe_text import printable

STDIN = "-"
"""The name of standard input."""
_TEXTS = ("", ".txt", ".text", ".md")
_TABLES = (".jsonl", ".csv", ".parquet")
_OF_DIRECTORIES = (".txt", *_TABLES)
_KNOWN = ".txt, .jsonl, .csv or .parquet"
_COMPRESSED = {".gz": "zcat", ".bz2": "bzcat", ".xz": "xzcat", ".zst": "zstdcat"}


@record(frozen=True, slots=True)
class InputFiles:
    """Files in the order in which they are read."""

    paths: tuple[Path, ...]  # `-` is standard input
    passed_over: int = 0  # files in directories that are of another kind, or there under a second name


def kind_of_file(path: Path) -> str:
    """`.txt`, `.jsonl`, `.csv` or `.parquet`: what a file is read as, by its name."""
    suffix = path.suffix.lower()
    return ".txt" if suffix in _TEXTS or _is_stream(path) else suffix


def find_files(names: Sequence[Path]) -> InputFiles:
    """The files that are named, and those in named directories, sorted by their paths.

    Raises:
        AttnError: one does not exist, or a directory has none that can be read.
        UsageError: one is named twice, or is of a kind that cannot be read.
    """
    seen: dict[object, Path] = {}
    paths, passed_over = list[Path](), 0
    for name in names:
        if str(name) != STDIN and name.is_dir():
            inside = list(_in_directory(name))
            new = [path for path in inside if kind_of_file(path) in _OF_DIRECTORIES and _is_new(path, seen)]
            if not new:
                raise AttnError(
                    f"{_shown(name)} has no {_KNOWN} file", "another directory, or name the files"
                )
            paths += new
            passed_over += len(inside) - len(new)
        else:
            _check_kind(name)
            if not _is_new(name, seen):
                raise UsageError(f"the file is named twice: {_shown(name)}", "leave one of them out")
            paths.append(name)
    return InputFiles(tuple(paths), passed_over)


def state_of(path: Path) -> tuple[int, int, int] | None:
    """What differs if a file was changed: its identity, size and time; None: it is a pipe, or gone."""
    if str(path) == STDIN or _is_stream(path):
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _in_directory(directory: Path) -> Iterator[Path]:
    """The files below it, without those that begin with a dot; links to directories are not followed."""
    for root, directories, files in os.walk(directory):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        for name in sorted(files):
            path = Path(root, name)
            if not name.startswith(".") and not _is_stream(path):
                yield path


def _is_new(path: Path, seen: dict[object, Path]) -> bool:
    """Whether no other name of the same file was there before."""
    identity: object = str(path)
    if str(path) != STDIN:
        try:
            status = path.stat()
            identity = (status.st_dev, status.st_ino)
        except OSError as error:
            raise _not_there(path, error) from error
    return seen.setdefault(identity, path) is path


def _check_kind(path: Path) -> None:
    """Raise an error if the file cannot be read as documents."""
    if str(path) == STDIN:
        return
    suffix = kind_of_file(path)
    if suffix in _OF_DIRECTORIES:
        return
    hint = f"{_KNOWN}, or a pipe"
    if suffix in _COMPRESSED:
        hint = f"{_COMPRESSED[suffix]} {_shown(path)} | attn survey -"
    elif suffix == ".json":
        hint = f"a line for each document: jq -c '.[]' {_shown(path)} > documents.jsonl"
    raise UsageError(f"this command reads no '{printable(suffix)}' file: {_shown(path)}", hint)


def _is_stream(path: Path) -> bool:
    """Whether it is a pipe or a device such as /dev/stdin, or what `<(command)` names."""
    try:
        return path.is_fifo() or path.is_char_device()
    except OSError:
        return False


def _not_there(path: Path, error: OSError) -> AttnError:
    if isinstance(error, FileNotFoundError):
        return AttnError(f"{_shown(path)} does not exist", "check the path")
    return AttnError(f"{_shown(path)} cannot be read: {(error.strerror or '').lower()}", "check the path")


def _shown(path: Path) -> str:
    return printable(str(path))
