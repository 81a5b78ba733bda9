"""A Hugging Face cache under names of the hub, without the hub: examples name models that people know."""

from collections.abc import Mapping
from pathlib import Path


def hub_cache(home: Path, models: Mapping[str, Path]) -> Path:
    """`home` as an HF_HOME whose cache holds each model as the directory given for it."""
    for name, directory in models.items():
        snapshots = home / "hub" / f"models--{name.replace('/', '--')}" / "snapshots"
        snapshots.mkdir(parents=True)
        (snapshots / "main").symlink_to(directory)
    return home
