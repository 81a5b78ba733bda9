"""Where weights come from: a commit of the hub, and a checksum of the files that hold them."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.mapped_files import check_unchanged
from attn_cli.models.files.adapter import ADAPTER_FILES
from attn_cli.models.files.weights import weight_files
from attn_cli.record import record

QUICK = 32 << 20
"""Bytes of weights whose checksum is computed unasked: 0.02 s."""

_KEPT = 64  # checksums of files
_COMMIT = r"[0-9a-f]{40}"
_SHA256 = r"[0-9a-f]{64}"


@record(frozen=True, slots=True)
class Origin:
    """What identifies the weights of a model."""

    revision: str | None  # a commit of the hub; None: they are not in its cache
    checksum: str | None  # sha256, see `checksum_of`; None: not known without reading large files

    def fields(self) -> dict[str, str | None]:
        """Its fields in the JSON object."""
        return {"revision": self.revision, "checksum": self.checksum}


def origin_of(paths: Sequence[Path], most: int | None = QUICK) -> Origin:
    """The origin of a model: its directory or file first, then others, such as that of an adapter.

    A checksum that the hub's cache does not know is computed if the files have at most `most` bytes; None:
    in any case.
    """
    if not paths:
        return Origin(None, None)
    return Origin(_revision(paths[0]), checksum_of(weight_files_of(paths), most))


def _revision(path: Path) -> str | None:
    """The commit whose snapshot in the hub's cache the path is, or is in; None: it is in none."""
    place = path.parent if path.is_file() else path
    is_snapshot = place.parent.name == "snapshots" and re.fullmatch(_COMMIT, place.name) is not None
    return place.name if is_snapshot else None


def checksum_of(files: Sequence[Path], most: int | None) -> str | None:
    """The sha256 of the one file, or of the list of several as `sha256sum` prints it, sorted by name.

    None: there are none, one cannot be read, or they are too large to be read for that.

    Raises:
        ChangedFileError: one was changed since it was mapped: its checksum is not that of what was read.
    """
    from hashlib import sha256  # 1 ms, for documents alone

    try:
        known = {file: _known(file) for file in files}
        size = sum(file.stat().st_size for file, checksum in known.items() if checksum is None)
        if not files or (most is not None and size > most):
            return None
        found = [(checksum or _computed(file), file.name) for file, checksum in known.items()]
    except OSError:
        return None
    check_unchanged(files)
    if len(found) == 1:
        return found[0][0]
    lines = (f"{checksum}  {name}\n" for checksum, name in sorted(found, key=lambda one: one[1]))
    return sha256("".join(lines).encode()).hexdigest()


def _known(file: Path) -> str | None:
    """The checksum by which the hub's cache names a large file; None: it has no such name."""
    stored = file.resolve()
    is_blob = stored.parent.name == "blobs" and re.fullmatch(_SHA256, stored.name) is not None
    return stored.name if is_blob else None


def _computed(file: Path) -> str:
    state = file.stat()
    return _sha256(file, state.st_size, state.st_mtime_ns)


@lru_cache(_KEPT)
def _sha256(file: Path, _size: int, _changed: int) -> str:
    """That of a file of this size that was changed last at this time, read once."""
    from hashlib import file_digest

    with file.open("rb") as content:
        return file_digest(content, "sha256").hexdigest()


def weight_files_of(paths: Sequence[Path]) -> list[Path]:
    """The files that hold the weights, and those of adapters in the other directories; none of no paths."""
    model = [file for path in paths[:1] for file in _of_model(path)]
    return [*model, *(file for path in paths[1:] for file in _of_adapter(path))]


def _of_model(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    try:
        yield from weight_files(path)
    except AttnError:  # transformers reads formats that we do not
        return


def _of_adapter(directory: Path) -> list[Path]:
    found = (directory / name for name in ADAPTER_FILES)
    return [file for file in found if file.is_file()][:1]
