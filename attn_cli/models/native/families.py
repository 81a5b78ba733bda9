"""Finds the native families in `architectures/`, and reads a model's spec from its config."""

import importlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from attn_cli.core.layers import ACTIVATIONS
from attn_cli.errors import AttnError
from attn_cli.models.files.config import Config, NotNativeError
from attn_cli.models.native import architectures
from attn_cli.models.native.config_keys import check_keys
from attn_cli.models.native.spec import Spec


def native_families() -> tuple[str, ...]:
    """The model types with a native implementation, sorted."""
    return tuple(sorted(_modules()))


def native_groups() -> dict[str, tuple[str, ...]]:
    """The families by folder: `encoders`, `decoders`, and so on."""
    groups: dict[str, list[str]] = {}
    for name, module in sorted(_modules().items()):
        groups.setdefault(module.split(".")[-2], []).append(name)
    return {folder: tuple(names) for folder, names in sorted(groups.items())}


def native_types() -> frozenset[str]:
    """The native families as `model_type` may spell them, with hyphens or underscores."""
    return frozenset(alias for name in _modules() for alias in (name, name.replace("_", "-")))


def native_spec(config: Config, *, is_causal: bool | None = None) -> Spec | None:
    """The model's spec; None if its family has no native implementation.

    `is_causal` overrides the model's own mask.

    Raises:
        NotNativeError: this variant of the family is not native.
        AttnError: a value of the configuration is missing or damaged.
    """
    if config.has("text_config"):
        from attn_cli.models.native.towers import tower_config  # only models of several parts need it

        if tower := tower_config(config):
            return _tower_spec(tower, config, is_causal=is_causal)
    if config.text("model_type").replace("-", "_") not in _modules():
        return None
    return read_spec(config, is_causal=is_causal)


def _tower_spec(tower: Config, whole: Config, *, is_causal: bool | None) -> Spec | None:
    """The spec of the language model in a larger one; None if transformers has to complete its config."""
    from attn_cli.models.native.towers import as_tower

    try:
        return as_tower(read_spec(tower, is_causal=is_causal), whole)
    except AttnError:
        return None


def read_spec(config: Config, *, is_causal: bool | None = None) -> Spec:
    """The model's spec, from the module named after its `model_type`; `is_causal` overrides its own mask.

    Raises:
        NotNativeError: the family, or this variant of it, is not native.
        AttnError: a value is missing or damaged.
    """
    kind = config.text("model_type")
    name = kind.replace("-", "_")
    if name not in _modules():
        problem = f"unknown model type '{kind}': {config.path}"
        raise AttnError(problem, f"use a model of type {', '.join(native_families())}")
    spec: Spec = importlib.import_module(_modules()[name]).spec(config)
    check_keys(config)
    for part in filter(None, (spec, spec.decoder)):
        if part.feed_forward.activation not in ACTIVATIONS:
            problem = f"{config.path} has an activation that is not native: {part.feed_forward.activation}"
            raise NotNativeError(problem)
    return spec if is_causal is None else replace(spec, is_causal=is_causal)


@cache
def _modules() -> Mapping[str, str]:
    """The module of each family, by file name."""
    (home,) = map(Path, architectures.__path__)
    folders = [folder for folder in home.iterdir() if _is_shown(folder) and folder.is_dir()]
    files = [file for folder in folders for file in folder.iterdir() if _is_shown(file)]
    return {
        file.stem: f"{architectures.__name__}.{file.parent.name}.{file.stem}"
        for file in files
        if file.suffix == ".py"
    }


def _is_shown(path: Path) -> bool:
    """Whether it is no file or folder of Python's own, such as `__init__.py`."""
    return not path.name.startswith("_")
