"""Hubs that lie, a token that is copied badly, revisions that are paths, and a damaged cache."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.hostile.cases import TEXT, Build, Case, Place
from tests.hostile.processes import Line
from tests.support.local_hub import COMMIT

_LIES = "a hub that lies"
_TOKEN = "a token that is copied badly"  # noqa: S105
_REVISION = "a revision that is a path"
_CACHE = "a cache that is damaged"
_SECRET = "hf_" + "x" * 34
_EMBEDDED = Path(__file__).parents[2] / "attn_cli" / "models" / "embedded"
_FILES = {
    path.name: path.read_bytes() for path in _EMBEDDED.iterdir() if path.suffix in {".json", ".safetensors"}
}


def _asked(*words: str, token: str = "", **answers: Any) -> Build:
    """`attn inspect` of a model of a hub that answers so."""

    def build(place: Place) -> Line:
        hub = place.hub(dict(_FILES), **answers)
        environment = {
            "HF_ENDPOINT": hub.endpoint,
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(place.folder / "home"),
        }
        if token:
            environment["HF_TOKEN"] = token
        place.file("victim", "whole")
        place.kept["victim"] = b"whole"
        return Line(("inspect", TEXT, "-m", "org/small", *words), environment=environment)

    return build


def _sharded(place: Place) -> Line:
    names = {f"t{number}": f"model-{number}.safetensors" for number in range(100_000)}
    line = _asked()(place)
    files = place.hubs[-1].files
    del files["model.safetensors"]
    files["model.safetensors.index.json"] = json.dumps({"weight_map": names}).encode()
    return line


def _cached(damage: Callable[[Path], object]) -> Build:
    """A model in the cache, to which this was done; no hub is asked."""

    def build(place: Place) -> Line:
        kept = place.folder / "home" / "hub" / "models--org--small"
        snapshot = kept / "snapshots" / COMMIT
        (kept / "refs").mkdir(parents=True)
        snapshot.mkdir(parents=True)
        (kept / "refs" / "main").write_text(COMMIT)
        for name, content in _FILES.items():
            (snapshot / name).write_bytes(content)
        damage(kept)
        environment = {"HF_HOME": str(place.folder / "home")}
        return Line(("inspect", TEXT, "-m", "org/small"), environment=environment)

    return build


def _emptied(kept: Path) -> None:
    (kept / "snapshots" / COMMIT / "model.safetensors").write_bytes(bytes(10**6))


def _long_ref(kept: Path) -> None:
    os.truncate(kept / "refs" / "main", 3 * 10**9)


def _ref_outside(kept: Path) -> None:
    (kept / "refs" / "main").write_text("../../../../../../etc")


def _linked(kept: Path) -> None:
    config = kept / "snapshots" / COMMIT / "config.json"
    config.unlink()
    config.symlink_to("/etc/passwd")


def cases() -> Iterator[Case]:
    """Of these four kinds."""
    for name, build, says in (
        (
            "100 MB more than announced",
            _asked(extra=100 * 2**20),
            "has the wrong size: more bytes instead of",
        ),
        ("a compressed body", _asked(encoding="gzip", extra=20 * 2**20), "compressed: gzip"),
        ("10¹⁸ bytes announced", _asked(headers={"X-Linked-Size": str(10**18)}), "is too large"),
        ("an error without end", _asked(error=b"x"), "the hub answered 500"),
        ("an index of 100,000 shards", _sharded, "shards|too large"),
    ):
        yield Case(_LIES, name, build, says)
    for name, token in (("a line break", "\n"), ("a carriage return", "\r\n"), ("a space", " ")):
        refusing = _asked(token=_SECRET + token, refusal=(401, "GatedRepo"))
        yield Case(_TOKEN, f"{name} behind it", refusing, "org/small", hides=_SECRET)
    broken = _asked(token=f"hf_\n{_SECRET}\r\nX: 1")
    yield Case(_TOKEN, "a line break within", broken, "token|HF_TOKEN", hides=_SECRET)
    for name in ("../../../../victim", "a/../../../../../victim", "/etc/passwd", "\x1b[2J", "x" * 10_000):
        build = _asked("--revision", name, takes_any_revision=True)
        yield Case(_REVISION, ascii(name)[:30], build, "org/small has no revision")
    for name, damage, says, status in (
        ("a branch of 3 GB, sparse", _long_ref, "org/small", 0),  # the only snapshot is read
        ("a branch that is a path", _ref_outside, "org/small", 0),
        ("weights of zeros", _emptied, "model.safetensors has a damaged header", 1),
        ("a config that is a link out of it", _linked, "is a link that points outside", 1),
    ):
        yield Case(_CACHE, name, _cached(damage), says, status)
