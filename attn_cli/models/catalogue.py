"""What a model's name means here. It imports nothing heavy: completion asks it too."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from attn_cli.errors import AttnError, UsageError
from attn_cli.vocabulary import EMBEDDED

EMBEDDED_DIRECTORY = Path(__file__).with_name("embedded")
"""Where the model lies that ships with the package."""

_NAME = re.compile(r"[\w.\-]+(/[\w.\-]+)?")
_MAIN = "main"
_MOST_LISTED = 8


@dataclass(frozen=True, slots=True)
class Cached:
    """A model in the local Hugging Face cache."""

    name: str
    type: str  # the config's model_type; empty where there is none
    path: Path


@dataclass(frozen=True, slots=True)
class Located:
    """Where a model is, and what it is called."""

    name: str
    directory: Path


def locate(name: str, environment: Mapping[str, str], revision: str | None = None) -> Located:
    """Where the model `name` is: itself a directory, the one that ships, or in the local Hugging Face cache.

    `revision` is a branch, a tag or a commit of a model in the cache.

    Raises:
        AttnError: there is none.
        UsageError: a revision is asked of what has none.
    """
    path = _expanded(name)
    if name == EMBEDDED and not (path / "config.json").is_file():
        return Located(EMBEDDED, EMBEDDED_DIRECTORY)
    if os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises for a name that is too long
        if revision is not None:
            raise UsageError(
                f"--revision is for a model of the hub, and {name} is a directory", "leave it out"
            )
        if (path / "config.json").is_file():
            return Located(path.resolve().name, path)
        problem = f"{name} is not a model: the directory has no config.json"
        raise AttnError(problem, "give a directory with config.json, model.safetensors and tokenizer.json")
    if os.path.exists(path):  # noqa: PTH110  as above
        problem = f"{name} is not a model: it is a file"
        raise AttnError(problem, "give the directory that holds the model")
    snapshot = _snapshot(_folder(name, environment), revision) if _NAME.fullmatch(name) else None
    if snapshot is None:
        raise absent(name, environment, revision)
    return Located(name, snapshot)


def absent(name: str, environment: Mapping[str, str], revision: str | None = None) -> AttnError:
    """The error for a model, or a revision of one, that is not here; it says what is."""
    revisions = sorted(_revisions(_folder(name, environment))) if _NAME.fullmatch(name) else []
    if revision is not None and revisions:
        problem = f"the revision '{revision}' of {name} is not here: cached are {_listed(revisions)}"
        return AttnError(problem, f"--revision {revisions[0]}")
    where = f"no such directory, nor in the cache {cache_directory(environment)}"
    return AttnError(f"the model '{name}' is not here: {where}", "attn models lists what is here")


def cached_models(environment: Mapping[str, str]) -> Iterator[Cached]:
    """Every model in the local Hugging Face cache that has a configuration, by name."""
    for folder in sorted(cache_directory(environment).glob("models--*")):
        snapshot = _snapshot(folder)
        if snapshot is not None:
            yield Cached(folder.name.removeprefix("models--").replace("--", "/"), _type(snapshot), snapshot)


def cache_directory(environment: Mapping[str, str]) -> Path:
    """Where Hugging Face keeps what it downloaded (`huggingface_hub/constants.py`)."""
    if environment.get("HF_HUB_CACHE"):
        return _expanded(environment["HF_HUB_CACHE"])
    if environment.get("HF_HOME"):
        return _expanded(environment["HF_HOME"]) / "hub"
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(base) / "huggingface" / "hub"


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111  Path.expanduser raises for an unknown user


def _folder(name: str, environment: Mapping[str, str]) -> Path:
    return cache_directory(environment) / ("models--" + name.replace("/", "--"))


def _snapshot(folder: Path, revision: str | None = None) -> Path | None:
    """The revision, or else what `main` names, or else the newest one that holds a configuration."""
    revisions = _revisions(folder)
    if revision is not None:
        return revisions.get(revision)
    return revisions.get(_MAIN) or max(revisions.values(), key=os.path.getmtime, default=None)


def _revisions(folder: Path) -> dict[str, Path]:
    """The revisions in a model's folder that hold a configuration: by commit, by branch and by tag.

    A name is looked up here and nowhere on the disk: one that climbs leads nowhere.
    """
    refs = folder / "refs"
    try:
        commits = {each.name: each for each in (folder / "snapshots").iterdir()}
        named = {
            each.relative_to(refs).as_posix(): each.read_text(encoding="utf-8").strip()
            for each in refs.rglob("*")
            if each.is_file()
        }
    except (OSError, ValueError):
        return {}
    commits = {name: each for name, each in commits.items() if (each / "config.json").is_file()}
    return commits | {name: commits[commit] for name, commit in named.items() if commit in commits}


def _listed(names: list[str]) -> str:
    """The names, the first few where there are many."""
    more = len(names) - _MOST_LISTED
    return ", ".join(names[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _type(snapshot: Path) -> str:
    try:
        config = json.loads((snapshot / "config.json").read_text(encoding="utf-8"))
        return str(config.get("model_type") or "")
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""
