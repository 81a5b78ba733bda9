"""Where a model's name leads; imports nothing heavy, since shell completion uses it."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from attn_cli.errors import AttnError, UsageError
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.models.hub.names import directory_with_model, name_at, slip, suggestion
from attn_cli.record import record
from attn_cli.vocabulary import EMBEDDED

EMBEDDED_DIRECTORY = Path(__file__).parents[1] / "embedded"
"""Where the model lies that ships with the package."""

Fetch: TypeAlias = Callable[[str, str | None], Path]
"""A name on the hub and a revision of it, to the directory where it lies once it is downloaded."""

DownloadProgress: TypeAlias = Callable[[str, int, int], None]
"""Is told which file is coming, how many bytes have come, and of how many."""

MAIN = "main"
"""The branch that is meant where none is named."""

_NAME = re.compile(r"[\w.\-]+(/[\w.\-]+)?", re.ASCII)
_YES = {"1", "ON", "YES", "TRUE"}  # as huggingface_hub/constants.py has it
_MOST_LISTED = 8
_TOKENIZERS = ("tokenizer*", "vocab*", "*.model", "*.spm")
_OWN_CLASS = re.compile(r"(\w+)\.\w+", re.ASCII)  # with -- in it, it is another repository's


@record(frozen=True, slots=True)
class CachedModel:
    """A model in the local Hugging Face cache."""

    name: str
    type: str  # the config's model_type; empty where there is none
    path: Path


@record(frozen=True, slots=True)
class Located:
    """Where a model is, and what it is called."""

    name: str
    directory: Path  # or the .gguf file


@record(frozen=True, slots=True)
class WantedFiles:
    """What is to be read of a model besides its configuration and its tokenizer."""

    weights: bool = True
    code: bool = False  # Python of the checkpoint's own


def no_progress(_file: str, _done: int, _total: int) -> None:
    """Nobody looks."""


def locate_model(
    name: str,
    environment: Mapping[str, str],
    revision: str | None = None,
    fetch: Fetch | None = None,
    wanted: WantedFiles | None = None,
) -> Located:
    """Where the model `name` is: itself a directory, the one that ships, in the local cache, on the hub.

    `revision` is a branch, a tag or a commit of a model of the hub. `fetch` gets what is not in the
    cache, or lacks there what is `wanted`; without it there is no hub.

    Raises:
        AttnError: there is none.
        UsageError: a revision is asked of a directory.
    """
    on_disk = _on_disk(name)
    if on_disk is not None:
        _check_no_revision(on_disk, revision)
        return on_disk
    if not _NAME.fullmatch(name):
        raise absent(name, environment)
    snapshot = _snapshot(model_directory(name, environment), revision)
    if snapshot is None and revision is None:
        _check_name(name, environment)
    if fetch is not None and (snapshot is None or not _is_whole(snapshot, wanted or WantedFiles())):
        return Located(name, fetch(name, revision))
    if snapshot is None:
        offline = "HF_HUB_OFFLINE keeps attn off the hub" if is_offline(environment) else ""
        raise absent(name, environment, revision, offline)
    return Located(name, snapshot)


def _check_name(name: str, environment: Mapping[str, str]) -> None:
    """Raise `AttnError` for a name that is no model's of the hub, before the hub is asked.

    With a revision it is asked all the same.
    """
    if name.endswith(".gguf"):
        raise AttnError(f"the file {name} does not exist", "check the path after --model")
    meant = slip(name, cached_names(environment))
    if meant is not None:
        insist = f"or --revision {MAIN} for a model of the hub that is called {name}"
        raise AttnError(f"the model '{name}' is not here, but {meant} is", f"-m {meant}, {insist}")


def _check_no_revision(on_disk: Located, revision: str | None) -> None:
    """Raise `UsageError` where a revision is asked of what is on the disk."""
    if revision is not None:
        problem = f"--revision is for a model of the hub, and {on_disk.directory} is on the disk"
        raise UsageError(problem, "leave it out")


def absent(
    name: str, environment: Mapping[str, str], revision: str | None = None, why: str = ""
) -> AttnError:
    """The error for a model, or a revision of one, that is not here; it says what is.

    `why` is the reason for which the hub does not help, where it was to be asked.
    """
    cache = cache_directory(environment)
    revisions = sorted(_revisions(model_directory(name, environment))) if _NAME.fullmatch(name) else []
    if revision is not None and revisions:
        what, here = f"the revision '{revision}' of {name} is not here", f"cached are {_listed(revisions)}"
        hint = f"--revision {revisions[0]}"
    else:
        models = cached_names(environment) if why else []
        what = f"the model '{name}' is not here"
        here = f"cached are {_listed(models)}" if models else f"no such directory, nor in the cache {cache}"
        meant = model_like(name, environment)
        hint = f"{'' if meant is None else f'-m {meant}, or: '}attn models lists what is here"
    if why:
        cause = "unset HF_HUB_OFFLINE" if is_offline(environment) else "check the connection"
        what, hint = f"{what}, and {why}", f"{cause}, or: {hint}"
    return AttnError(f"{what}: {here}", hint)


def model_like(name: str, environment: Mapping[str, str]) -> str | None:
    """The model that was probably meant: at that address, or here under a name that is close."""
    return name_at(name) or suggestion(name, cached_names(environment))


def is_offline(environment: Mapping[str, str]) -> bool:
    """Whether the environment forbids to ask the hub."""
    return any(
        environment.get(name, "").upper() in _YES for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )


def cached_models(environment: Mapping[str, str]) -> Iterator[CachedModel]:
    """Every model in the local Hugging Face cache that has a configuration, by name."""
    for folder in sorted(cache_directory(environment).glob("models--*")):
        snapshot = _snapshot(folder)
        if snapshot is not None:
            yield CachedModel(
                folder.name.removeprefix("models--").replace("--", "/"), _type(snapshot), snapshot
            )


def cached_names(environment: Mapping[str, str]) -> list[str]:
    """The names of all models in the cache."""
    return [model.name for model in cached_models(environment)]


def cache_directory(environment: Mapping[str, str]) -> Path:
    """Where Hugging Face keeps what it downloaded (`huggingface_hub/constants.py`)."""
    if environment.get("HF_HUB_CACHE"):
        return _expanded(environment["HF_HUB_CACHE"])
    if environment.get("HF_HOME"):
        return _expanded(environment["HF_HOME"]) / "hub"
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(base) / "huggingface" / "hub"


def model_directory(name: str, environment: Mapping[str, str]) -> Path:
    """Where the cache has, or would have, a model of the hub: its blobs, refs and snapshots."""
    return cache_directory(environment) / ("models--" + name.replace("/", "--"))


def _on_disk(name: str) -> Located | None:
    """The directory or the file of that name, or the model that ships; None where there is neither.

    Raises:
        AttnError: it is no model.
    """
    path = _expanded(name)
    if name == EMBEDDED and not (path / "config.json").is_file():
        return Located(EMBEDDED, EMBEDDED_DIRECTORY)
    if os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises for a name that is too long
        if (path / "config.json").is_file():
            return Located(path.resolve().name, path)
        problem = f"{name} is not a model: the directory has no config.json"
        raise AttnError(
            problem, _near(path, "a directory with config.json, model.safetensors and tokenizer.json")
        )
    if os.path.exists(path):  # noqa: PTH110  as above
        if path.suffix == ".gguf":
            return Located(path.stem, path)
        problem = f"{name} is not a model: it is a file"
        raise AttnError(problem, _near(path, "a .gguf file, or the directory that holds the model"))
    return None


def _near(path: Path, otherwise: str) -> str:
    """The model that lies near, or else what would be one."""
    place = directory_with_model(path)
    return f"give {otherwise}" if place is None else f"-m {place}"


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111  Path.expanduser raises for an unknown user


def _is_whole(snapshot: Path, wanted: WantedFiles) -> bool:
    """Whether all that is wanted lies there, as far as the names of the files tell."""
    has_tokenizer = any(file for pattern in _TOKENIZERS for file in snapshot.glob(pattern))
    has_weights = not wanted.weights or _has_weights(snapshot)
    has_code = not wanted.code or all((snapshot / f"{name}.py").exists() for name in own_modules(snapshot))
    return has_weights and has_code and (has_tokenizer or wanted.weights)


def _has_weights(snapshot: Path) -> bool:
    """Whether there is a file of weights, and every one that an index names."""
    names: set[str] = set()
    for index in snapshot.glob("*.index.json"):
        listed = _read(snapshot, index.name).get("weight_map")
        names |= set(map(str, listed.values())) if isinstance(listed, dict) else set()
    if any((snapshot / name).is_file() for name in ("model.safetensors", "pytorch_model.bin")):
        return True
    if names:
        return all((snapshot / name).exists() for name in names)
    return any(snapshot.glob("*.safetensors")) or any(snapshot.glob("*.bin"))


def own_modules(directory: Path) -> set[str]:
    """The Python modules that the checkpoint brings for itself, as its configurations name them."""
    named: list[object] = []
    for file in ("config.json", "tokenizer_config.json"):
        auto_map = _read(directory, file).get("auto_map")
        for entry in auto_map.values() if isinstance(auto_map, dict) else [auto_map]:
            named += entry if isinstance(entry, list) else [entry]
    matches = [_OWN_CLASS.fullmatch(entry) for entry in named if isinstance(entry, str)]
    return {match[1] for match in matches if match}


def _snapshot(folder: Path, revision: str | None = None) -> Path | None:
    """The revision, or else what `main` names, or else the newest one that holds a configuration."""
    revisions = _revisions(folder)
    if revision is not None:
        return revisions.get(revision)
    return revisions.get(MAIN) or max(revisions.values(), key=os.path.getmtime, default=None)


def _revisions(folder: Path) -> dict[str, Path]:
    """The revisions in a model's folder that hold a configuration: by commit, by branch and by tag.

    A name is looked up here and nowhere on the disk: one that climbs leads nowhere.
    """
    refs = folder / "refs"
    try:
        commits = {path.name: path for path in (folder / "snapshots").iterdir()}
        named = {
            path.relative_to(refs).as_posix(): path.read_text(encoding="utf-8").strip()
            for path in refs.rglob("*")
            if path.is_file()
        }
    except (OSError, ValueError):
        return {}
    commits = {name: path for name, path in commits.items() if (path / "config.json").is_file()}
    return commits | {name: commits[commit] for name, commit in named.items() if commit in commits}


def _listed(names: list[str]) -> str:
    """The names, the first few where there are many."""
    more = len(names) - _MOST_LISTED
    return ", ".join(names[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _type(snapshot: Path) -> str:
    return str(_read(snapshot, "config.json").get("model_type") or "")


def _read(directory: Path, name: str) -> dict[str, Any]:
    """The JSON object in the file; an empty one where there is none that can be read."""
    try:
        content = json.loads(checked_path(directory, name, LARGEST_TEXT).read_text(encoding="utf-8"))
    except (AttnError, OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
