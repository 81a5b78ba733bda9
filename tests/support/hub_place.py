"""A cache for tests, and the hub behind it."""

from pathlib import Path
from typing import Any

import pytest

from attn_cli.errors import AttnError
from attn_cli.models.hub.locate import DownloadProgress, Located, WantedFiles, locate_model, no_progress
from attn_cli.models.open import fetcher
from tests.support.local_hub import Hub

BASE = {"config.json": b'{"model_type": "gpt2"}', "tokenizer.json": b"{}"}
WEIGHTS = bytes(range(256)) * 40  # 10 KiB


class Place:
    """A cache, and the hub behind it."""

    def __init__(self, home: Path, hub: Hub) -> None:
        self.environment = {"HF_HOME": str(home), "HF_ENDPOINT": hub.endpoint}
        self.folder = home / "hub" / "models--org--small"
        self.snapshot = self.folder / "snapshots" / hub.commit

    def locate(
        self,
        name: str = "org/small",
        revision: str | None = None,
        watch: DownloadProgress = no_progress,
        wanted: WantedFiles | None = None,
    ) -> Located:
        return locate_model(
            name,
            self.environment,
            revision,
            fetcher(self.environment, watch, wanted or WantedFiles()),
            wanted,
        )

    @property
    def names(self) -> set[str]:
        """The files of the snapshot."""
        return {each.name for each in self.snapshot.iterdir()}

    def refused(self, *arguments: Any) -> tuple[str, str]:
        with pytest.raises(AttnError) as caught:
            self.locate(*arguments)
        return caught.value.problem, caught.value.hint

    @property
    def blobs(self) -> list[str]:
        """The unfinished downloads."""
        return [each.name for each in self.folder.glob("blobs/*.incomplete")]
