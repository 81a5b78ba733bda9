"""Qwen 2: Llama's blocks with a bias on Q, K and V. Yang et al. 2024, arXiv:2407.10671."""

from dataclasses import replace

from attn_cli.core.masks import Rule, everywhere
from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.llamas.llama import decoder
from attn_cli.models.native.layer_types import LayerTypes, read_layer_types, read_window, windows_by_type
from attn_cli.models.native.spec import Part, Spec


def spec(config: Config) -> Spec:
    """The spec of a Qwen 2 model (`modeling_qwen2.py`)."""
    whole = decoder(config, has_bias=True, kv_heads=32, longest=32768)
    return replace(
        whole,
        output=Part(whole.output.name, has_bias=False),
        window=windows_by_type(sliding_layer_types(config, whole.layers), switched_window(config)),
    )


def sliding_layer_types(config: Config, layers: int) -> LayerTypes:
    """The layer types; by default layers from `max_window_layers` on have a sliding window."""
    first = config.integer("max_window_layers", default=28)
    return read_layer_types(config, layers, lambda layer: layer >= first)


def switched_window(config: Config) -> Rule:
    """The window if `use_sliding_window` is set, else everything."""
    return read_window(config) if config.flag("use_sliding_window", default=False) else everywhere
