"""Atomic writes: a file is written whole or not at all, and an existing one is kept unless forced."""

import os
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from attn_cli.errors import AttnError, UsageError
from attn_cli.safe_text import printable
from attn_cli.show.writers import PICTURES, STEPS, either
from attn_cli.unfinished import temporary

_AT_ONCE = 1 << 24  # bytes


def suffix_of(path: Path, known: Collection[str]) -> str:
    """The suffix of the name, one of `known`, in lower case; raises `UsageError` for any other."""
    suffix = path.suffix.lower()
    if suffix in known:
        return suffix
    what = (
        f"this command writes no '{printable(suffix)}' file"
        if suffix
        else "the name does not say which kind of file"
    )
    hint = f"{_other_command(suffix, known)}a name that ends in {either(known)}"
    raise UsageError(f"{what}: {_shown(path)}", hint)


def _other_command(suffix: str, known: Collection[str]) -> str:
    """The command that writes what this one does not, as the start of a hint; empty if there is none."""
    if suffix in PICTURES:
        return "attn heatmap for a picture, or "
    if suffix in STEPS and set(STEPS).isdisjoint(known):
        return "attn inspect for the numbers, or "
    return ""


def targets(paths: Iterable[Path], known: Collection[str], *, force: bool) -> dict[Path, str]:
    """The suffix of each file to be written; all are checked before anything is computed.

    Raises:
        UsageError: a suffix is missing or unknown, or a file is named twice.
        AttnError: a file cannot be written.
    """
    named = list(paths)
    check_distinct(named)
    suffixes = {path: suffix_of(path, known) for path in named}
    for path in suffixes:
        check_writable(path, force=force)
    return suffixes


def check_distinct(paths: Iterable[Path]) -> None:
    """Raise `UsageError` if two names are of the same file."""
    places: dict[object, Path] = {}
    folded: dict[str, Path] = {}
    for path in paths:
        for place in _places(path):
            first = places.setdefault(place, path)
            if first is not path:
                raise _named_twice(first, path)
        real = os.path.realpath(path)
        first = folded.setdefault(real.casefold(), path)
        if first is not path and not _tells_case(os.path.dirname(real)):  # noqa: PTH120  as in `_target`
            raise _named_twice(first, path)


def _named_twice(first: Path, path: Path) -> UsageError:
    names = _shown(path) if first == path else f"{_shown(first)} and {_shown(path)}"
    return UsageError(f"the file is named twice: {names}", "leave one of them out")


def _places(path: Path) -> tuple[object, ...]:
    """What says that two names are of one file: where links lead, and the file that is there."""
    real = os.path.realpath(path)
    try:
        state = os.stat(real)  # noqa: PTH116  as in `_target`
    except OSError:  # nothing is there yet
        return (real,)
    return real, (state.st_dev, state.st_ino)


def _tells_case(directory: str) -> bool:
    """Whether `c.json` and `C.json` are two files in the directory; no, if no file can be made in it."""
    from tempfile import NamedTemporaryFile  # few commands need it

    try:
        with NamedTemporaryFile(dir=directory, prefix=".case-") as probe:
            name = os.path.basename(probe.name)  # noqa: PTH119
            return not os.path.exists(os.path.join(directory, name.upper()))  # noqa: PTH110, PTH118
    except OSError:
        return False


def check_writable(path: Path, *, force: bool) -> None:
    """Raise `AttnError` if `write` cannot succeed, so that this is known before the computation."""
    with _explained(path):
        if _is_stream(path):
            return
        target = _target(path)
        if target.is_symlink():  # `realpath` has followed all others
            raise AttnError(f"not a file, but a loop of links: {_shown(path)}", "another name")
        _check_directory(target.parent)
        if target.exists() and not target.is_file():
            raise AttnError(f"not a file: {_shown(path)}", "another name")
        if target.exists() and not force:
            raise FileExistsError


def write(path: Path, content: bytes, *, force: bool) -> None:
    """Write `content` under a temporary name, then rename it in one step.

    With `force` an existing file is replaced and its mode is kept; a link keeps pointing to its target.
    Without it, a file that has appeared in the meantime is kept. A pipe or device is written directly.
    """
    with _explained(path):
        if _is_stream(path):
            with suppress(BrokenPipeError):  # it is not an error if the reader closes the pipe
                path.write_bytes(content)
        else:
            _write_whole(_target(path), content, force=force)


@contextmanager
def writing(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file to write piece by piece, as `write` writes one; it gets its name if the block ends well."""
    with _explained(path):
        if _is_stream(path):
            with suppress(BrokenPipeError), path.open("wb") as file:
                yield file
        else:
            with _whole(_target(path), force=force) as file:
                yield file


def _write_whole(target: Path, content: bytes, *, force: bool) -> None:
    with _whole(target, force=force) as file:
        for start in range(0, len(content), _AT_ONCE):  # Ctrl-C takes effect between two of them
            file.write(memoryview(content)[start : start + _AT_ONCE])


@contextmanager
def _whole(target: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file under a temporary name, which becomes the target if the block ends well."""
    import secrets  # 0.01 s, and most output is tables

    with temporary(target.with_name(f".attn-{secrets.token_hex(8)}")) as unnamed:
        with unnamed.open("xb") as file:
            if force and target.exists():
                unnamed.chmod(stat.S_IMODE(target.stat().st_mode))  # before it has any content
            yield file
        if force:
            unnamed.replace(target)
        else:
            _name_unless_taken(unnamed, target)


def _name_unless_taken(unnamed: Path, target: Path) -> None:
    """Give the file `unnamed` the name `target`; raises `FileExistsError` if the name is taken."""
    try:
        target.hardlink_to(unnamed)
    except OSError:  # the name is taken; or FAT and some network shares, which have no hard links
        _claim_and_replace(unnamed, target)


def _claim_and_replace(unnamed: Path, target: Path) -> None:
    """Claim the name with an empty file, which only one writer can do, then replace it with the real one."""
    target.touch(exist_ok=False)
    try:
        unnamed.replace(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _check_directory(directory: Path) -> None:
    if not directory.exists():
        raise AttnError(f"the directory does not exist: {_shown(directory)}", "create it, or another name")
    if not directory.is_dir():
        raise AttnError(f"not a directory: {_shown(directory)}", "another name")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise AttnError(f"the directory is not writable: {_shown(directory)}", "another directory")


def _is_stream(path: Path) -> bool:
    """Whether it is a pipe or a device such as /dev/stdout, which is neither kept nor replaced."""
    return path.is_fifo() or path.is_char_device()


def _target(path: Path) -> Path:
    """The target of a link, else the path itself; unlike `Path.resolve`, a link loop does not raise."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` into an `AttnError` about `path`."""
    try:
        yield
    except FileExistsError as error:
        problem, hint = f"the file exists: {_shown(path)}", "--force to overwrite it, or another name"
        raise AttnError(problem, hint) from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        hint = "another name, or a directory with free space and write permission"
        raise AttnError(f"{_shown(path)} cannot be written: {reason}", hint) from error


def _shown(path: Path) -> str:
    return printable(str(path))
