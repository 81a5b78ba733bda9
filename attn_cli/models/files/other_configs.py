"""Recognises a `config.json` that no model can be built from: of another library, or of pruned heads."""

from collections.abc import Mapping
from typing import Any

from attn_cli.errors import AttnError
from attn_cli.models.files.config import Config

_LIBRARIES = {
    "_class_name": ("diffusers", "-m with the folder text_encoder of its pipeline"),
    "pretrained_cfg": ("timm, for images", "use a model that reads text"),
    "model_cfg": ("open_clip", "the same model in the layout of transformers"),
    "n_layers": ("the original code of the model", "the same model in Hugging Face layout"),
    "class_name": ("Keras", "the same model in the layout of transformers"),
    "peft_type": ("PEFT, for an adapter", "rename it to adapter_config.json"),
    "word_embedding_dimension": ("sentence-transformers", "-m with the folder that modules.json names"),
    "unk_token": ("CTranslate2", "use the checkpoint that it was converted from"),
}
"""Keys that a configuration of another library has, the library, and what to try."""


def check_config(config: Config) -> None:
    """Raise `AttnError` for a configuration of another library, or of a model with pruned heads."""
    if config.values.get("model_type") is None:
        _check_library(config)
    pruned = config.values.get("pruned_heads")
    if isinstance(pruned, Mapping) and any(pruned.values()):
        layer, heads = next((layer, heads) for layer, heads in pruned.items() if heads)
        problem = f"{config.path} says that heads were pruned (layer {layer}: {_listed(heads)})"
        hint = "use the checkpoint from before pruning: transformers 5 does not read pruned layers either"
        raise AttnError(f"{problem}: its layers have different numbers of heads", hint)


def _check_library(config: Config) -> None:
    for key, (library, hint) in _LIBRARIES.items():
        if key in config.values:
            raise AttnError(f"{config.path} is not a configuration of transformers but of {library}", hint)


def _listed(heads: Any) -> str:
    return ", ".join(map(str, heads)) if isinstance(heads, list) else str(heads)
