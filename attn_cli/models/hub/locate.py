"""Resolves a model's name to a path; imports nothing heavy, since shell completion uses it."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from attn_cli.errors import AttnError, UsageError
from attn_cli.models.files.config import read_adapter_config
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path, joined
from attn_cli.models.hub.directories import GGUF, is_adapter, is_model, model_in, near
from attn_cli.record import record
from attn_cli.vocabulary import EMBEDDED

EMBEDDED_DIRECTORY = Path(__file__).parents[1] / "embedded"
"""The directory of the bundled model."""

Fetch: TypeAlias = Callable[[str, str | None], Path]
"""Downloads the model of this name and revision from the hub and returns its directory."""

DownloadProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with the file being downloaded, the bytes received so far, and the total number of bytes."""

MAIN = "main"
"""The default branch."""

_NAME = r"[\w.\-]+(/[\w.\-]+)?"
_YES = {"1", "ON", "YES", "TRUE"}  # as in huggingface_hub/constants.py
_MOST_LISTED = 8
_LONGEST_REF = 256  # bytes
_TOKENIZERS = ("tokenizer*", "vocab*", "*.model", "*.spm")
_OWN_CLASS = r"(\w+)\.\w+"  # a name with -- belongs to another repository


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
    directory: Path  # or the .gguf file; of an adapter, its base's
    adapter: Path | None = None  # the directory of the LoRA adapter to merge
    remarks: tuple[str, ...] = ()  # about how the name was understood


@record(frozen=True, slots=True)
class WantedFiles:
    """Which files of a model are needed besides its configuration and its tokenizer."""

    weights: bool = True
    code: bool = False  # the checkpoint's own Python modules
    adapter: bool = True  # whether an adapter is merged into its base, or left out


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
    wanted = wanted or WantedFiles()
    place = _locate(name, environment, revision, fetch, wanted)
    if not is_adapter(place.directory):
        return place
    has_base = (place.directory / "config.json").is_file()
    if not wanted.adapter and has_base:
        return place
    if has_base and os.path.isdir(expanded(name)):  # noqa: PTH112  as in `_on_disk`
        return replace(place, name=f"{place.name} + adapter", adapter=place.directory)
    base = _base(place, environment, fetch, wanted)
    if not wanted.adapter:
        return base
    return replace(base, name=f"{base.name} + {place.name}", adapter=place.directory)


def _locate(
    name: str,
    environment: Mapping[str, str],
    revision: str | None,
    fetch: Fetch | None,
    wanted: WantedFiles,
) -> Located:
    """Find the model or the adapter of that name.

    Raises:
        AttnError: there is neither.
        UsageError: a revision is given for a model on disk.
    """
    is_name = _may_be_name(name)
    snapshot = _snapshot(model_directory(name, environment), revision) if is_name else None
    on_disk, remarks = _not_hidden(name, snapshot, revision)
    if on_disk is not None:
        _check_no_revision(on_disk, revision)
        return replace(on_disk, remarks=remarks)
    if not is_name:
        raise absent(name, environment)
    if snapshot is None and revision is None:
        _check_name(name, environment)
    if fetch is not None and (snapshot is None or not _is_whole(snapshot, wanted)):
        return Located(name, fetch(name, revision), remarks=remarks)
    if snapshot is None:
        offline = "HF_HUB_OFFLINE forbids downloading it" if is_offline(environment) else ""
        raise absent(name, environment, revision, offline)
    return Located(name, snapshot, remarks=remarks)


def _not_hidden(
    name: str, snapshot: Path | None, revision: str | None
) -> tuple[Located | None, tuple[str, ...]]:
    """The model on disk, and a remark if a directory and a cached model have the same name.

    A directory that is not a model does not hide the cached model, nor one of which a revision is given.

    Raises:
        AttnError: what is on disk is not a model, and nothing else has its name.
    """
    try:
        on_disk = _on_disk(name)
    except AttnError:
        if snapshot is None and (revision is None or not _may_be_name(name)):
            raise
        return None, (f"the directory {name} is not a model: the model {name} of the hub is read",)
    if on_disk is None or snapshot is None:
        return on_disk, ()
    return on_disk, (f"{name} is read from the directory of that name, not from the cached model",)


def _base(
    adapter: Located, environment: Mapping[str, str], fetch: Fetch | None, wanted: WantedFiles
) -> Located:
    """The base model that the adapter names: a directory, also beside the adapter, or a model of the hub.

    Raises:
        AttnError: the adapter names none, or it is not found, or is an adapter itself.
    """
    config = read_adapter_config(adapter.directory)
    name, revision = (config.values.get(key) for key in ("base_model_name_or_path", "revision"))
    hint = (
        f"write the directory of its base there, or leave its files beside those of the base: {config.path}"
    )
    if config.values.get("peft_type") is None:
        problem = f"{adapter.name} is not an adapter of PEFT: {config.path} has no peft_type"
        raise AttnError(
            problem, "merge it with the library that made it, and name the directory of the result"
        )
    if not isinstance(name, str) or not name:
        raise AttnError(f"{adapter.name} is an adapter whose base_model_name_or_path is empty", hint)
    beside = adapter.directory / name
    is_here = os.path.isdir(expanded(name))  # noqa: PTH112  as in `_on_disk`
    if not is_here and os.path.isdir(beside):  # noqa: PTH112
        name, is_here = str(beside), True
    is_pinned = isinstance(revision, str) and revision and not is_here
    try:
        base = _locate(name, environment, str(revision) if is_pinned else None, fetch, wanted)
    except AttnError as error:
        problem = f"{adapter.name} is an adapter, and its base is missing: {error.problem}"
        raise AttnError(problem, error.hint if _may_be_name(name) else hint) from error
    if base.directory.is_file() or is_adapter(base.directory):
        what = "a GGUF file" if base.directory.is_file() else "an adapter too"
        raise AttnError(f"{adapter.name} is an adapter, and its base {name} is {what}", hint)
    return base


def _may_be_name(name: str) -> bool:
    """Whether a model on the hub may have this name: it looks like no other path."""
    return re.fullmatch(_NAME, name, re.ASCII) is not None


def _check_name(name: str, environment: Mapping[str, str]) -> None:
    """Raise `AttnError` for a name that is probably mistyped, before the hub is contacted.

    It is not called if a revision is given.
    """
    from attn_cli.models.hub.names import slip  # models on disk do without

    if name.lower().endswith(GGUF):
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
    revisions = sorted(_revisions(model_directory(name, environment))) if _may_be_name(name) else []
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
    from attn_cli.models.hub.names import name_at, suggestion  # only an error needs it

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
        return expanded(environment["HF_HUB_CACHE"])
    if environment.get("HF_HOME"):
        return expanded(environment["HF_HOME"]) / "hub"
    base = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return expanded(base) / "huggingface" / "hub"


def model_directory(name: str, environment: Mapping[str, str]) -> Path:
    """The cache folder of a model on the hub, for its blobs, refs and snapshots; it may not exist."""
    return joined(cache_directory(environment), "models--" + name.replace("/", "--"))


def _on_disk(name: str) -> Located | None:
    """The directory or the file of that name, or the bundled model; None if there is neither.

    Raises:
        AttnError: the path exists and is not a model.
    """
    path = expanded(name)
    if name == EMBEDDED and not is_model(path):
        return Located(EMBEDDED, EMBEDDED_DIRECTORY)
    if os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises for a name that is too long
        place = model_in(name, path)
        is_folder = place.is_dir()
        return Located(path.resolve().name if is_folder else place.stem, place)
    if os.path.exists(path):  # noqa: PTH110  as above
        if path.suffix.lower() == GGUF:
            return Located(path.stem, path)
        problem = f"{name} is not a model: it is a file, and not a .gguf file"
        raise AttnError(problem, near(path, "a .gguf file, or the directory that contains the model"))
    return None


def expanded(path: str) -> Path:
    """The path with the home directory for `~`."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  Path.expanduser raises for an unknown user


def _is_whole(snapshot: Path, wanted: WantedFiles) -> bool:
    """Whether the snapshot has all files that are wanted, judging by their names."""
    if is_adapter(snapshot) and (wanted.adapter or not (snapshot / "config.json").is_file()):
        return not wanted.weights or any(snapshot.glob("adapter_model.*"))
    has_tokenizer = any(file for pattern in _TOKENIZERS for file in snapshot.glob(pattern))
    all_weights = not wanted.weights or has_weights(snapshot)
    has_code = not wanted.code or all(_is_in(snapshot, f"{name}.py") for name in own_modules(snapshot))
    return all_weights and has_code and (has_tokenizer or wanted.weights)


def has_weights(snapshot: Path) -> bool:
    """Whether there is a file of weights, or every shard that an index names."""
    names: set[str] = set()
    for index in snapshot.glob("*.index.json"):
        listed = _read(snapshot, index.name).get("weight_map")
        names |= set(map(str, listed.values())) if isinstance(listed, dict) else set()
    if any(_is_in(snapshot, name) for name in ("model.safetensors", "pytorch_model.bin")):
        return True
    if names:
        return all(_is_in(snapshot, name) for name in names)
    return any(snapshot.glob("*.safetensors")) or any(snapshot.glob("*.bin"))


def _is_in(snapshot: Path, name: str) -> bool:
    """Whether the snapshot has a file of this name, which may come from an index."""
    try:
        return joined(snapshot, name).is_file()
    except (AttnError, OSError):  # a name that leads out of it, or is too long
        return False


def own_modules(directory: Path) -> set[str]:
    """The checkpoint's own Python modules, as named in its configuration files."""
    named: list[object] = []
    for file in ("config.json", "tokenizer_config.json"):
        auto_map = _read(directory, file).get("auto_map")
        for entry in auto_map.values() if isinstance(auto_map, dict) else [auto_map]:
            named += entry if isinstance(entry, list) else [entry]
    matches = [re.fullmatch(_OWN_CLASS, entry, re.ASCII) for entry in named if isinstance(entry, str)]
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
            path.relative_to(refs).as_posix(): _commit_in(path) for path in refs.rglob("*") if path.is_file()
        }
    except (OSError, ValueError):
        return {}
    commits = {name: path for name, path in commits.items() if is_model(path)}
    return commits | {name: commits[commit] for name, commit in named.items() if commit in commits}


def _commit_in(ref: Path) -> str:
    """The commit that a branch or a tag refers to: a short line, and not all of a longer file is read."""
    with ref.open("rb") as file:
        return file.read(_LONGEST_REF).decode(errors="replace").strip()


def _listed(names: list[str]) -> str:
    """The names, comma-separated; of many only the first few."""
    more = len(names) - _MOST_LISTED
    return ", ".join(names[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _type(snapshot: Path) -> str:
    if is_adapter(snapshot) and not (snapshot / "config.json").is_file():
        return "adapter"
    return str(_read(snapshot, "config.json").get("model_type") or "")


def _read(directory: Path, name: str) -> dict[str, Any]:
    """The JSON object in the file; empty if there is none or it cannot be read."""
    try:
        content = json.loads(checked_path(directory, name, LARGEST_TEXT).read_text(encoding="utf-8"))
    except (AttnError, OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
