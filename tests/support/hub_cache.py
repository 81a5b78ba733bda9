"""A Hugging Face cache with models under hub names, without the hub, for examples with well-known models."""

import os
from collections.abc import Mapping
from pathlib import Path

from attn_cli.models.hub.locate import cached_models, has_weights


def hub_cache(home: Path, models: Mapping[str, Path]) -> Path:
    """Make `home` an HF_HOME whose cache has each model, taken from the given directory."""
    for name, directory in models.items():
        snapshots = home / "hub" / f"models--{name.replace('/', '--')}" / "snapshots"
        snapshots.mkdir(parents=True)
        (snapshots / "main").symlink_to(directory)
    return home


def cached_gpt2() -> str | None:
    """The name of GPT-2 small in the user's own cache, with its weights; None if it is not there."""
    found = {model.name for model in cached_models(os.environ) if has_weights(model.path)}
    return next((name for name in ("gpt2", "openai-community/gpt2") if name in found), None)
