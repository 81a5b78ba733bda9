"""Twins and real weights in directories, created once; both array libraries."""

from pathlib import Path
from typing import Any

import pytest

from attn_cli.models.backend import Backend
from tests.support.every_type import save_twin
from tests.support.reference import NUMPY, TORCH
from tests.support.twins import RECIPES, Save, minilm


@pytest.fixture(scope="session")
def save(tmp_path_factory: pytest.TempPathFactory) -> Save:
    """A twin's directory: `save("bert")`, with arguments of `save_pretrained`.

    A type that is not native has a twin too, which the bridge reads: `save("cohere")`.
    """

    def saved(name: str, **how: Any) -> Path:
        directory = tmp_path_factory.mktemp("twin")
        if name in RECIPES:
            RECIPES[name].save(directory, **how)
        else:
            assert not how, "a twin of the bridge is saved in one way"
            save_twin(name, directory)
        return directory

    return saved


@pytest.fixture(scope="session", params=[*RECIPES, "MiniLM"])
def directory(request: pytest.FixtureRequest, save: Save) -> Path:
    return minilm() if request.param == "MiniLM" else save(request.param)


@pytest.fixture(params=[NUMPY, TORCH], ids=["numpy", "torch"])
def backend(request: pytest.FixtureRequest) -> Backend:
    found: Backend = request.param
    return found
