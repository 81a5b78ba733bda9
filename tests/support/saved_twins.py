"""Twins with a language head: each is saved once for a module of tests, when it is first asked for."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from attn_cli.models.backend import Backend
from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.open import open_checkpoint
from tests.support.language_models import HeadRecipe

Saved: TypeAlias = Callable[[str], Path]
"""The name of a twin to its directory."""


def saving(recipes: Mapping[str, HeadRecipe], directories: pytest.TempPathFactory) -> Saved:
    """Saves twins of these recipes."""
    found: dict[str, Path] = {}

    def directory(name: str) -> Path:
        if name not in found:
            found[name] = recipes[name].save(directories.mktemp("twin"))
        return found[name]

    return directory


def opened(directory: Path, backend: Backend) -> Checkpoint:
    """The native model in a directory."""
    source = open_checkpoint("twin", directory, backend)
    assert isinstance(source, Checkpoint)
    return source
