"""The files of a model in the cache: whether they are what the hub has, and what is done where they are not.

The cache names a file by its hash: SHA-256 for large files, that of git for others.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import partial
from hashlib import file_digest, sha1
from pathlib import Path

from attn_cli.errors import AttnError, DamagedFileError, RefusedFileError
from attn_cli.models.files.config import ADAPTER_CONFIG
from attn_cli.models.hub.locate import cache_directory, is_offline

_CHUNK = 2**20
_SNAPSHOT = ("models--*", "snapshots", "*", "*")  # a model, a commit, a file
_CONFIGURATIONS = ("config.json", ADAPTER_CONFIG)


def is_what_the_hub_has(file: Path, name: str) -> bool:
    """Whether the file has the hash that its name in the cache says; True if the name says none."""
    with file.open("rb") as content:
        if re.fullmatch(r"[0-9a-f]{64}", name):
            return file_digest(content, "sha256").hexdigest() == name
        if re.fullmatch(r"[0-9a-f]{40}", name):
            start = sha1(f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
            for chunk in iter(partial(content.read, _CHUNK), b""):
                start.update(chunk)
            return start.hexdigest() == name
    return True


def ask_anew(error: AttnError, environment: Mapping[str, str]) -> None:
    """If the error is about a damaged file in the cache, let the next run ask the hub for it, and say so.

    Its link is removed from the snapshot, and that of the configuration, without which a snapshot is no
    model; the file itself goes if it has another hash than the hub says. Offline everything stays as it is.
    """
    if not isinstance(error, DamagedFileError) or not _is_in_snapshot(error.file, environment):
        return
    if is_offline(environment):
        error.hint = "unset HF_HUB_OFFLINE, then run the command twice: the second time it downloads the file"
        return
    try:
        blob = error.file.resolve()
        if error.file.is_symlink() and not is_what_the_hub_has(blob, blob.name):
            blob.unlink()
        for place in {error.file, *(error.file.with_name(name) for name in _CONFIGURATIONS)}:
            place.unlink(missing_ok=True)
    except OSError:  # a cache of another user
        return
    if not isinstance(error, RefusedFileError):
        error.hint = "run the command again, which asks the hub for the file again"


def _is_in_snapshot(file: Path, environment: Mapping[str, str]) -> bool:
    """Whether it is a file of a snapshot in the cache."""
    cache = cache_directory(environment)
    names = file.relative_to(cache).parts if file.is_relative_to(cache) and file.is_file() else ()
    return len(names) == len(_SNAPSHOT) and all(map(fnmatchcase, names, _SNAPSHOT))
