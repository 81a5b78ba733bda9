"""Keeps the results of `attn heads --probe` between runs, one file for each model and kind of attention.

A result belongs to the files of a model as they were: it is found by their names, sizes and times of change,
so it is never used for other weights. The store is a cache: a result that cannot be read is measured again,
and one that cannot be written is lost.
"""

import json
import os
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attn_cli import __version__
from attn_cli.analysis.patterns import name_of
from attn_cli.models.head_labels import HeadLabel
from attn_cli.models.source import Source
from attn_cli.reading.selection import Place
from attn_cli.record import record
from attn_cli.shares import PatternShare
from attn_cli.unfinished import temporary
from attn_cli.vocabulary import Kind, Pattern

_FORMAT = 2  # of the files, and of the way patterns are measured: others are ignored
_DIRECTORY = "probes"
_MOST_BYTES = 50_000_000
_READ = (".json", ".safetensors", ".bin", ".gguf", ".py", ".txt", ".model", ".spm", ".jinja", ".tiktoken")
_WITHOUT_EFFECT = ("model", "device", "dtype", "seed", "width", "heads")  # of a request, on what heads do


@record(frozen=True, slots=True)
class StoredProbe:
    """The patterns of a model's heads on random repeated tokens, and when they were measured."""

    date: str  # as 2026-11-28
    seeds: tuple[int, ...]
    lengths: tuple[int, ...]
    shares: Mapping[Place, tuple[PatternShare, ...]]

    @property
    def rows(self) -> int:
        """The rows that counted."""
        return sum(self.lengths)

    def labels(self, kind: Kind) -> tuple[HeadLabel, ...]:
        """The heads that are known for a pattern, the highest share first."""
        named = ((place, name_of(shares)) for place, shares in self.shares.items())
        labels = (
            HeadLabel(layer, head, known.pattern, known.share, kind)
            for (layer, head), known in named
            if known is not None
        )
        return tuple(sorted(labels, key=lambda label: -label.score))


def store_directory(environment: Mapping[str, str]) -> Path | None:
    """The directory of the store: `ATTN_CACHE`, or else where the platform keeps caches; None: no store.

    `ATTN_CACHE=` (empty) turns it off.
    """
    if "ATTN_CACHE" in environment:
        return Path(environment["ATTN_CACHE"]) / _DIRECTORY if environment["ATTN_CACHE"] else None
    for variable, inside in _places():
        if environment.get(variable):
            return Path(environment[variable], *inside, "attn", _DIRECTORY)
    return None


def read_probe(source: Source, kind: Kind, environment: Mapping[str, str]) -> StoredProbe | None:
    """The stored result for these weights; None if there is none that can be read."""
    directory = store_directory(environment)
    with suppress(OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        if directory is None or not source.paths or not directory.is_dir():
            return None
        identity = _identity(source, kind)
        path = _path(directory, identity)
        if path.stat().st_size > _MOST_BYTES:
            return None
        content = json.loads(path.read_text("utf-8"))
        return _parsed(content, source, kind) if content["identity"] == identity else None
    return None


def write_probe(
    probe: StoredProbe, source: Source, kind: Kind, environment: Mapping[str, str]
) -> Path | None:
    """Store a result, whole or not at all; its path, or None if it could not be stored."""
    directory = store_directory(environment)
    with suppress(OSError):
        if directory is None or not source.paths:
            return None
        directory.mkdir(parents=True, exist_ok=True)
        identity = _identity(source, kind)
        path = _path(directory, identity)
        with temporary(path.with_suffix(f".{os.getpid()}.partial")) as partial:
            content = {"identity": identity} | _as_json(probe, source, kind)
            partial.write_text(json.dumps(content, allow_nan=False), "utf-8")
            partial.replace(path)
        return path
    return None


def _places() -> Iterator[tuple[str, tuple[str, ...]]]:
    """The variables that name the directory of caches, the first that is set, and the path inside it."""
    yield "XDG_CACHE_HOME", ()
    if sys.platform == "win32":
        yield "LOCALAPPDATA", ()
    elif sys.platform == "darwin":
        yield "HOME", ("Library", "Caches")
    else:
        yield "HOME", (".cache",)


def _path(directory: Path, identity: str) -> Path:
    """The file for these weights, or for others whose identity has the same checksum.

    A checksum suffices, since the file has the identity itself; importing hashlib takes 2 ms of every start.
    """
    return directory / f"{zlib.crc32(identity.encode()):08x}.json"


def _identity(source: Source, kind: Kind) -> str:
    """What a result depends on: the request, and the files of the model as they are.

    Raises:
        OSError: the files cannot be listed.
    """
    request = {name: value for name, value in asdict(source.request).items() if name not in _WITHOUT_EFFECT}
    return repr((_FORMAT, __version__, source.engine, str(kind), request, sorted(_states(source))))


def _states(source: Source) -> Iterator[tuple[str, int, int, int]]:
    """The name, size and times of change of every file that makes the model.

    The time of the last change of the inode cannot be set by a program that keeps the time of the content.
    """
    for place in sorted({path.resolve() for path in source.paths}):
        for file in sorted(place.iterdir()) if place.is_dir() else [place]:
            if file.suffix.lower() in _READ and file.is_file():
                state = file.stat()
                yield file.name, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _as_json(probe: StoredProbe, source: Source, kind: Kind) -> dict[str, Any]:
    heads = [
        {"layer": layer, "head": head, "patterns": [share.fields() for share in shares]}
        for (layer, head), shares in probe.shares.items()
    ]
    described = {"format": _FORMAT, "attn": __version__, "model": source.card.name, "kind": str(kind)}
    return {**described, "date": probe.date, "seeds": probe.seeds, "lengths": probe.lengths, "heads": heads}


def _parsed(content: Any, source: Source, kind: Kind) -> StoredProbe | None:
    """The result in the file; None if it does not have exactly the heads of the model.

    Raises:
        ValueError, KeyError, TypeError: it is damaged.
    """
    shares = {(int(head["layer"]), int(head["head"])): _shares(head["patterns"]) for head in content["heads"]}
    extent = source.kinds[kind]
    if set(shares) != {(layer, head) for layer in extent.layers for head in range(extent.heads)}:
        return None
    date = str(content["date"])
    seeds, lengths = (tuple(map(int, content[name])) for name in ("seeds", "lengths"))
    return StoredProbe(date, seeds, lengths, shares)


def _shares(entries: Sequence[Mapping[str, Any]]) -> tuple[PatternShare, ...]:
    found = [(Pattern(entry["name"]), float(entry["share"]), int(entry["rows"])) for entry in entries]
    if not all(0 <= share <= 1 and rows > 0 for _, share, rows in found):
        raise ValueError("a share is from 0 to 1")
    return tuple(PatternShare(*each) for each in found)
