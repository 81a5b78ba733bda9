"""Qwen 2: Llama's blocks with a bias on Q, K and V. Yang et al. 2024, arXiv:2407.10671."""

from dataclasses import replace

from attn_cli.core.masks import Rule, everywhere
from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.llamas.llama import decoder
from attn_cli.models.native.layer_types import Kinds, kinds, window_of, windows
from attn_cli.models.native.spec import Part, Spec


def spec(config: Config) -> Spec:
    """A Qwen 2 of this configuration (`modeling_qwen2.py`)."""
    whole = decoder(config, has_bias=True, kv_heads=32, longest=32768)
    return replace(
        whole,
        output=Part(whole.output.name, has_bias=False),
        window=windows(sliding_kinds(config, whole.layers), window(config)),
    )


def sliding_kinds(config: Config, layers: int) -> Kinds:
    """The layers from `max_window_layers` on slide."""
    first = config.integer("max_window_layers", default=28)
    return kinds(config, layers, lambda layer: layer >= first)


def window(config: Config) -> Rule:
    """The window, where it is switched on."""
    return window_of(config) if config.flag("use_sliding_window", default=False) else everywhere
