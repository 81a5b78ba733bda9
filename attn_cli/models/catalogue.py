"""What a model's name means here. It imports nothing heavy: completion asks it too."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.vocabulary import EMBEDDED

EMBEDDED_DIRECTORY = Path(__file__).with_name("embedded")
"""Where the model lies that ships with the package."""

_NAME = re.compile(r"[\w.\-]+(/[\w.\-]+)?")


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


def locate(name: str, environment: Mapping[str, str]) -> Located:
    """The directory of the model `name`: itself one, the one that ships, or in the local Hugging Face cache.

    Raises:
        AttnError: there is none.
    """
    path = _expanded(name)
    if name == EMBEDDED and not (path / "config.json").is_file():
        return Located(EMBEDDED, EMBEDDED_DIRECTORY)
    if os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises for a name that is too long
        if (path / "config.json").is_file():
            return Located(path.resolve().name, path)
        problem = f"{name} is not a model: the directory has no config.json"
        raise AttnError(problem, "give a directory with config.json, model.safetensors and tokenizer.json")
    if os.path.exists(path):  # noqa: PTH110  as above
        problem = f"{name} is not a model: it is a file"
        raise AttnError(problem, "give the directory that holds the model")
    cache = cache_directory(environment)
    snapshot = _snapshot(cache / _folder(name)) if _NAME.fullmatch(name) else None
    if snapshot is None:
        problem = f"the model '{name}' is not here: no such directory, nor in the cache {cache}"
        raise AttnError(problem, "attn models lists what is here")
    return Located(name, snapshot)


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


def _folder(name: str) -> str:
    return "models--" + name.replace("/", "--")


def _snapshot(folder: Path) -> Path | None:
    """The revision that `main` names, or the newest one, if it holds a configuration."""
    main = folder / "refs" / "main"
    try:
        name = main.read_text(encoding="utf-8").strip() if main.is_file() else ""
        revisions = sorted((folder / "snapshots").iterdir(), key=os.path.getmtime, reverse=True)
    except (OSError, ValueError):
        return None
    revisions.sort(key=lambda each: each.name != name)  # a name that is no revision leads nowhere
    return next((each for each in revisions if (each / "config.json").is_file()), None)


def _type(snapshot: Path) -> str:
    try:
        config = json.loads((snapshot / "config.json").read_text(encoding="utf-8"))
        return str(config.get("model_type") or "")
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""
