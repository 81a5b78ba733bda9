"""A hub, and a cache to download into."""

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from attn_cli.models.hub import download as downloads
from tests.support.hub_place import BASE, WEIGHTS, Place
from tests.support.local_hub import Hub, serving


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Go online: the tests run with HF_HUB_OFFLINE=1, which the library reads only once."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(downloads, "_CHUNK", 1024)


@pytest.fixture
def hub() -> Iterator[Hub]:
    files = BASE | {"model.safetensors": WEIGHTS, "pytorch_model.bin": b"never", "vocab.json": b"older"}
    with serving(Hub(dict(files))) as found:
        yield found


@pytest.fixture
def place(tmp_path: Path, hub: Hub) -> Place:
    return Place(tmp_path, hub)
