"""Resolves a model's name to a path; imports nothing heavy, since shell completion uses it."""

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
"""The directory of the bundled model."""

Fetch: TypeAlias = Callable[[str, str | None], Path]
"""Downloads the model of this name and revision from the hub and returns its directory."""

DownloadProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with the file being downloaded, the bytes received so far, and the total number of bytes."""

_GGUF = ".gguf"
UNFINISHED = "attn-training"
"""The directory in which `attn train` keeps the state of a run, inside the model's."""

MAIN = "main"
"""The default branch."""

_NAME = re.compile(r"[\w.\-]+(/[\w.\-]+)?", re.ASCII)
_YES = {"1", "ON", "YES", "TRUE"}  # as in huggingface_hub/constants.py
_MOST_LISTED = 8
_TOKENIZERS = ("tokenizer*", "vocab*", "*.model", "*.spm")
_OWN_CLASS = re.compile(r"(\w+)\.\w+", re.ASCII)  # a name with -- belongs to another repository


@record(frozen=True, slots=True)
class CachedModel:
    """A model in the local Hugging Face cache."""

    name: str
    type: str  # the config's model_type; empty where there is none
    path: Path


@record(frozen=True, slots=True)
class Located:
    """A model's display name and its location."""

    name: str
    directory: Path  # or the .gguf file


@record(frozen=True, slots=True)
class WantedFiles:
    """Which files of a model are needed besides its configuration and its tokenizer."""

    weights: bool = True
    code: bool = False  # the checkpoint's own Python modules


def no_progress(_file: str, _done: int, _total: int) -> None:
    """Ignores the progress."""


def locate_model(
    name: str,
    environment: Mapping[str, str],
    revision: str | None = None,
    fetch: Fetch | None = None,
    wanted: WantedFiles | None = None,
) -> Located:
    """Find the model `name`: a path, the bundled model, a model in the local cache, or one on the hub.

    `revision` is a branch, a tag or a commit of a model on the hub. `fetch` downloads a model that is not
    in the cache, or lacks files that are `wanted`; without it the hub is not used.

    Raises:
        AttnError: there is no such model.
        UsageError: a revision is given for a model on disk.
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
        offline = "HF_HUB_OFFLINE forbids downloading it" if is_offline(environment) else ""
        raise absent(name, environment, revision, offline)
    return Located(name, snapshot)


def _check_name(name: str, environment: Mapping[str, str]) -> None:
    """Raise `AttnError` for a name that is probably mistyped, before the hub is contacted.

    It is not called if a revision is given.
    """
    if name.lower().endswith(_GGUF):
        raise AttnError(f"the file {name} does not exist", "check the path after --model")
    meant = slip(name, cached_names(environment))
    if meant is not None:
        insist = f"or --revision {MAIN} for the model of that name on the hub"
        raise AttnError(f"model '{name}' not found, but there is {meant}", f"-m {meant}, {insist}")


def _check_no_revision(on_disk: Located, revision: str | None) -> None:
    """Raise `UsageError` if a revision is given for a model on disk."""
    if revision is not None:
        problem = f"--revision applies only to models on the hub: {on_disk.directory} is on disk"
        raise UsageError(problem, "leave out --revision")


def absent(
    name: str, environment: Mapping[str, str], revision: str | None = None, why: str = ""
) -> AttnError:
    """The error for a model or a revision that was not found; it lists what is available.

    `why` is the reason the hub could not be used, if it was needed.
    """
    cache = cache_directory(environment)
    revisions = sorted(_revisions(model_directory(name, environment))) if _NAME.fullmatch(name) else []
    if revision is not None and revisions:
        what, here = f"revision '{revision}' of {name} not found", f"cached are {_listed(revisions)}"
        hint = f"--revision {revisions[0]}"
    else:
        models = cached_names(environment) if why else []
        what = f"model '{name}' not found"
        here = f"cached are {_listed(models)}" if models else f"no such directory, and not cached in {cache}"
        meant = model_like(name, environment)
        hint = f"{'' if meant is None else f'-m {meant}, or: '}attn models lists the models on this machine"
    if why:
        cause = "unset HF_HUB_OFFLINE" if is_offline(environment) else "check the connection"
        what, hint = f"{what}, and {why}", f"{cause}, or: {hint}"
    return AttnError(f"{what}: {here}", hint)


def model_like(name: str, environment: Mapping[str, str]) -> str | None:
    """The model that was probably meant: the one at that URL, or a local one with a similar name."""
    return name_at(name) or suggestion(name, cached_names(environment))


def is_offline(environment: Mapping[str, str]) -> bool:
    """Whether the environment forbids access to the hub."""
    return any(
        environment.get(name, "").upper() in _YES for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )


def cached_models(environment: Mapping[str, str]) -> Iterator[CachedModel]:
    """Every model in the local Hugging Face cache that has a configuration, sorted by name."""
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
    """Where Hugging Face keeps its downloads (`huggingface_hub/constants.py`)."""
    if environment.get("HF_HUB_CACHE"):
        return _expanded(environment["HF_HUB_CACHE"])
    if environment.get("HF_HOME"):
        return _expanded(environment["HF_HOME"]) / "hub"
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(base) / "huggingface" / "hub"


def model_directory(name: str, environment: Mapping[str, str]) -> Path:
    """The cache folder of a model on the hub, for its blobs, refs and snapshots; it may not exist."""
    return cache_directory(environment) / ("models--" + name.replace("/", "--"))


def _on_disk(name: str) -> Located | None:
    """The directory or the file of that name, or the bundled model; None if there is neither.

    Raises:
        AttnError: the path exists and is not a model.
    """
    path = _expanded(name)
    if name == EMBEDDED and not (path / "config.json").is_file():
        return Located(EMBEDDED, EMBEDDED_DIRECTORY)
    if os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises for a name that is too long
        return _in_directory(name, path)
    if os.path.exists(path):  # noqa: PTH110  as above
        if path.suffix.lower() == _GGUF:
            return Located(path.stem, path)
        problem = f"{name} is not a model: it is a file, and not a .gguf file"
        raise AttnError(problem, _near(path, "a .gguf file, or the directory that contains the model"))
    return None


def _in_directory(name: str, path: Path) -> Located:
    """The model in a directory: in Hugging Face layout, or its only `.gguf` file.

    Raises:
        AttnError: there is none, or there are several.
    """
    if (path / "config.json").is_file():
        return Located(path.resolve().name, path)
    files = sorted(file for file in path.iterdir() if file.suffix.lower() == _GGUF)
    if len(files) == 1:  # as a repository of one quantized file is downloaded
        return Located(files[0].stem, files[0])
    if files:
        names = ", ".join(file.name for file in files)
        raise AttnError(f"{name} has {len(files)} {_GGUF} files: {names}", f"-m {files[0]}")
    if (path / UNFINISHED).is_dir():
        problem = f"{name} is not a model yet: its training is not finished"
        raise AttnError(problem, f"attn train FILE... -o {name} --resume, with the options of the run")
    problem = f"{name} is not a model: the directory has no config.json"
    raise AttnError(
        problem, _near(path, "a directory with config.json, model.safetensors and tokenizer.json")
    )


def _near(path: Path, otherwise: str) -> str:
    """The hint: `-m` with a model near the path, or else `otherwise`."""
    place = directory_with_model(path)
    return otherwise if place is None else f"-m {place}"


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111  Path.expanduser raises for an unknown user


def _is_whole(snapshot: Path, wanted: WantedFiles) -> bool:
    """Whether the snapshot has all files that are wanted, judging by their names."""
    has_tokenizer = any(file for pattern in _TOKENIZERS for file in snapshot.glob(pattern))
    all_weights = not wanted.weights or has_weights(snapshot)
    has_code = not wanted.code or all((snapshot / f"{name}.py").exists() for name in own_modules(snapshot))
    return all_weights and has_code and (has_tokenizer or wanted.weights)


def has_weights(snapshot: Path) -> bool:
    """Whether there is a file of weights, or every shard that an index names."""
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
    """The checkpoint's own Python modules, as named in its configuration files."""
    named: list[object] = []
    for file in ("config.json", "tokenizer_config.json"):
        auto_map = _read(directory, file).get("auto_map")
        for entry in auto_map.values() if isinstance(auto_map, dict) else [auto_map]:
            named += entry if isinstance(entry, list) else [entry]
    matches = [_OWN_CLASS.fullmatch(entry) for entry in named if isinstance(entry, str)]
    return {match[1] for match in matches if match}


def _snapshot(folder: Path, revision: str | None = None) -> Path | None:
    """The given revision; without one the commit of `main`, else the newest snapshot with a configuration."""
    revisions = _revisions(folder)
    if revision is not None:
        return revisions.get(revision)
    return revisions.get(MAIN) or max(revisions.values(), key=os.path.getmtime, default=None)


def _revisions(folder: Path) -> dict[str, Path]:
    """The cached revisions that have a configuration, by commit, branch and tag.

    Revisions are looked up in this table, never as paths, so that `../` in a name cannot leave the cache.
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
    """The names, comma-separated; of many only the first few."""
    more = len(names) - _MOST_LISTED
    return ", ".join(names[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _type(snapshot: Path) -> str:
    return str(_read(snapshot, "config.json").get("model_type") or "")


def _read(directory: Path, name: str) -> dict[str, Any]:
    """The JSON object in the file; empty if there is none or it cannot be read."""
    try:
        content = json.loads(checked_path(directory, name, LARGEST_TEXT).read_text(encoding="utf-8"))
    except (AttnError, OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
