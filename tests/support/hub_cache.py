"""A Hugging Face cache with models under hub names, without the hub, for examples with well-known models."""

from collections.abc import Mapping
from pathlib import Path


def hub_cache(home: Path, models: Mapping[str, Path]) -> Path:
    """Make `home` an HF_HOME whose cache has each model, taken from the given directory."""
    for name, directory in models.items():
        snapshots = home / "hub" / f"models--{name.replace('/', '--')}" / "snapshots"
        snapshots.mkdir(parents=True)
        (snapshots / "main").symlink_to(directory)
    return home
