"""The files of a model in the cache: whether they are what the hub has, and what is done where they are not.

The cache names a file by its hash: SHA-256 for large files, that of git for others.
"""

import re
from collections.abc import Mapping
from functools import partial
from hashlib import file_digest, sha1
from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.models.files.config import ADAPTER_CONFIG
from attn_cli.models.files.safe_paths import joined
from attn_cli.models.hub.locate import cache_directory, is_offline

_CHUNK = 2**20
_IN_SNAPSHOT = r"models--[^/\\]+[/\\]snapshots[/\\][^/\\]+[/\\]([\w.\-]*[\w\-])"
_OF_DAMAGE = re.compile(r"download .*again|download the file itself")
_CONFIGURATIONS = ("config.json", ADAPTER_CONFIG)
_OF_REFUSAL = " is refused: "


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
    file = _damaged_file(error, cache_directory(environment))
    if file is None:
        return
    if is_offline(environment):
        error.hint = "unset HF_HUB_OFFLINE, then run the command twice: the second time it downloads the file"
        return
    try:
        blob = file.resolve()
        if file.is_symlink() and not is_what_the_hub_has(blob, blob.name):
            blob.unlink()
        for place in {file, *(file.with_name(name) for name in _CONFIGURATIONS)}:
            place.unlink(missing_ok=True)
    except OSError:  # a cache of another user
        return
    if _OF_REFUSAL not in error.problem:
        error.hint = "run the command again, which asks the hub for the file again"


def _damaged_file(error: AttnError, cache: Path) -> Path | None:
    """The file of a snapshot in the cache that the error calls damaged, or refuses."""
    if not _OF_DAMAGE.search(error.hint) and _OF_REFUSAL not in error.problem:
        return None
    _, is_in_cache, rest = error.problem.partition(f"{cache}")
    place = re.match(rf"[/\\]({_IN_SNAPSHOT})", rest) if is_in_cache else None
    file = joined(cache, place[1]) if place else None
    return file if file is not None and (file.is_file() or file.is_symlink()) else None
