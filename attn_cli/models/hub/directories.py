"""What a directory holds: a model in Hugging Face layout, a `.gguf` file, an adapter, or something else.

Imports nothing heavy, as `locate.py`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attn_cli.errors import AttnError, DamagedFileError
from attn_cli.models.files.config import ADAPTER_CONFIG
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path

GGUF = ".gguf"
UNFINISHED = "attn-training"
"""The directory in which `attn train` keeps the state of a run, inside the model's."""

_CHECKPOINT = r"checkpoint-(\d+)"
_LAYOUT = "a directory with config.json, model.safetensors and tokenizer.json"


def is_model(directory: Path) -> bool:
    """Whether the directory has the configuration of a model, or of an adapter."""
    return (directory / "config.json").is_file() or is_adapter(directory)


def is_adapter(directory: Path) -> bool:
    """Whether the directory has an adapter, alone or beside its base."""
    return (directory / ADAPTER_CONFIG).is_file()


def model_in(name: str, directory: Path) -> Path:
    """The model in a directory: the directory itself, its only `.gguf` file, or the part that reads text.

    Raises:
        AttnError: there is none, or there are several.
    """
    if is_model(directory):
        return directory
    files = sorted(file for file in directory.iterdir() if file.suffix.lower() == GGUF)
    if len(files) == 1:  # as a repository of one quantized file is downloaded
        return files[0]
    if files:
        names = ", ".join(file.name for file in files)
        raise AttnError(f"{name} has {len(files)} {GGUF} files: {names}", f"-m {files[0]}")
    module = _first_module(directory)
    if module is None:
        raise _not_a_model(name, directory)
    return module


def near(path: Path, otherwise: str) -> str:
    """The hint: `-m` with a model near the path, or else `otherwise`."""
    place = _newest_checkpoint(path) or _directory_with_model(path)
    return otherwise if place is None else f"-m {place}"


def _directory_with_model(path: Path) -> Path | None:
    """A directory with a model near a path that is not one: beside a file, or inside a directory."""
    places = (path.parent,) if path.is_file() else (*path.glob("*"), *path.glob("snapshots/*"))
    return next((place for place in sorted(places) if is_model(place)), None)


def _not_a_model(name: str, directory: Path) -> AttnError:
    """The error for a directory without a model: what it is instead."""
    if (directory / UNFINISHED).is_dir():
        problem = f"{name} is not a model yet: its training is not finished"
        return AttnError(problem, f"attn train FILE... -o {name} --resume, with the options of the run")
    if (directory / "model_index.json").is_file():
        place = next((directory / part for part in _text_encoders(directory)), None)
        hint = "a model that reads text" if place is None else f"-m {place}"
        return AttnError(f"{name} is a pipeline of diffusers, not one model", hint)
    problem = f"{name} is not a model: the directory has no config.json"
    if _newest_checkpoint(directory) is not None:
        return AttnError(f"{problem}, and holds the checkpoints of a training", near(directory, _LAYOUT))
    from attn_cli.models.files.other_formats import other_weights  # only this error needs it

    other = other_weights(directory)
    if other is not None:
        file, form = other
        return AttnError(
            f"{problem}, and {file.relative_to(directory)} is in the format of {form.name}", form.hint
        )
    return AttnError(problem, near(directory, _LAYOUT))


def _text_encoders(directory: Path) -> Iterator[str]:
    return (file.name for file in sorted(directory.glob("text_encoder*")) if (file / "config.json").is_file())


def _newest_checkpoint(directory: Path) -> Path | None:
    """The checkpoint with the highest number that a training with transformers left in the directory."""
    if not directory.is_dir():
        return None
    numbered = {
        int(matched[1]): place
        for place in directory.iterdir()
        if (matched := re.fullmatch(_CHECKPOINT, place.name)) and is_model(place)
    }
    return numbered[max(numbered)] if numbered else None


def _first_module(directory: Path) -> Path | None:
    """The transformer of a model of sentence-transformers, whose `modules.json` names its parts."""
    listed = _parts(directory)
    folders = (part.get("path") for part in listed if isinstance(part, dict))
    names = (name for name in folders if isinstance(name, str) and re.fullmatch(r"\w[\w.\-]*", name))
    return next((directory / name for name in names if (directory / name / "config.json").is_file()), None)


def _parts(directory: Path) -> list[Any]:
    """The modules that `modules.json` lists."""
    path = directory / "modules.json"
    if not path.is_file():
        return []
    try:
        listed = json.loads(checked_path(directory, path.name, LARGEST_TEXT).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} is not JSON: {error}", "download the model again", path) from error
    return listed if isinstance(listed, list) else []
