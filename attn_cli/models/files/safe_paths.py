"""Allows only a checkpoint's own files: regular files of bounded size, inside its directory.

A name from outside (a shard in an index, a revision, a file of the hub) is joined to a path by `joined`
alone, so that `../` leads nowhere; tests/models/files/test_safe_paths.py finds every other join.

A checkpoint that was unpacked or cloned can contain symbolic links. A link that points outside the directory
would make attn read an arbitrary file (an endless device, a private key), so it is refused.
"""

import os
import stat
from pathlib import Path

from attn_cli.errors import AttnError, DamagedFileError

LARGEST_TEXT = 100_000_000
"""Maximum size of a parsed file, in bytes; parsing takes several times that, and tokenizers reach 40 MB."""

LARGEST_CONFIG = 10_000_000
"""The same for a configuration: names of 22,000 classes take 1.6 MB, and lists in memory 20 times that."""

LARGEST_INDEX = 25_000_000
"""The same for the list of a model's shards: 9 MB for the 92,000 tensors of DeepSeek-V3."""

LARGEST_HEADER = 10_000_000
"""The same for the header of a safetensors file, 80,000 tensors: the largest models have 600 in a file."""


_NOT_A_NAME = frozenset({"", os.curdir, os.pardir})


def joined(directory: Path, name: str) -> Path:
    """The path of `name`, which need not exist, inside the directory: a file, or several names with `/`.

    Raises:
        AttnError: it leads out of the directory, or no file can have that name.
    """
    if not _NOT_A_NAME.isdisjoint(name.replace(os.sep, "/").split("/")) or _is_odd(name):
        problem = f"{name!r} is not the name of a file in {directory}"
        raise AttnError(problem, "correct what names it, or download it again")
    return directory / name


def _is_odd(name: str) -> bool:
    """Whether no file system takes it, or it begins with a drive as on Windows."""
    return "\0" in name or bool(os.path.splitdrive(name)[0])


def checked_path(directory: Path, name: str, most: int | None = None) -> Path:
    """The path of the checkpoint's file `name`, which need not exist; `most` is its maximum size in bytes.

    Raises:
        AttnError: its name or a link leads out of the checkpoint, or it is not a regular file, or too large.
    """
    path = joined(directory, name)
    if not path.exists():
        return path  # opening it reports the error
    if not _is_directly_in(directory, path):
        _check_target(directory, path)
    state = path.stat()
    if not stat.S_ISREG(state.st_mode) and not stat.S_ISDIR(state.st_mode):
        raise AttnError(f"{path} is not a regular file", "replace it with a regular file")
    if most is not None and state.st_size > most:
        sizes = f"{state.st_size / 1e6:,.0f} MB, and the limit is {most / 1e6:,.0f} MB"
        raise DamagedFileError(f"{path} is too large: {sizes}", "download the file again", path)
    return path


def _is_directly_in(directory: Path, path: Path) -> bool:
    """Whether it is an entry of the directory itself, and no link: then it cannot be outside."""
    return path.parent == directory and path.name != os.pardir and not path.is_symlink()


def _check_target(directory: Path, path: Path) -> None:
    """Raise `AttnError` if links on the way lead out of the checkpoint."""
    target = path.resolve()
    if not any(target.is_relative_to(root) for root in _roots(directory.resolve())):
        problem = f"{path} is a link that points outside the checkpoint: to {target}"
        raise AttnError(problem, "replace the link with a copy of the file, if you trust it")


def _roots(directory: Path) -> tuple[Path, ...]:
    """The directories that may contain the files: the checkpoint's own, and the blobs of a cache snapshot.

    A snapshot's links point to the model's own `blobs`, which since `huggingface_hub` 2 may in turn link to
    the `blobs` of the whole cache.
    """
    model = directory.parent.parent
    is_cached = directory.parent.name == "snapshots" and model.name.startswith("models--")
    return (directory, model / "blobs", model.parent / "blobs") if is_cached else (directory,)
