"""Gemma 3: QK-norm, five sliding-window layers per full one, a different RoPE for each type.

Gemma Team 2025, arXiv:2503.19786. With `use_bidirectional_attention` it is EmbeddingGemma.
"""

from dataclasses import replace

from attn_cli.core.masks import Rule, nearby
from attn_cli.core.positions import Rotary
from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.llamas.gemma2 import capped_head, sandwiched
from attn_cli.models.native.layer_types import (
    SLIDING,
    is_causal_decoder,
    read_layer_types,
    read_window,
    windows_by_type,
)
from attn_cli.models.native.rope import check_one_rope, of_layer_type, read_rotary
from attn_cli.models.native.spec import Part, Spec

_ATTENTION = "layers.{layer}.self_attn."


def spec(config: Config) -> Spec:
    """The spec of a Gemma 3 model (`modeling_gemma3.py`, which never applies its soft cap)."""
    whole = sandwiched(config, longest=131072)
    stride = config.count("sliding_window_pattern", default=6)
    layer_type = read_layer_types(config, whole.layers, lambda layer: (layer + 1) % stride != 0)
    check_one_rope(config)
    has_both_sides = config.flag("use_bidirectional_attention", default=False)
    if has_both_sides and not is_causal_decoder(config):  # two windows, of which the wider counts
        raise config.not_native("is_causal", what="true beside use_bidirectional_attention")

    def turned(layer: int, length: int) -> Rotary:
        return read_rotary(_rope(config, layer_type(layer)), whole.head_size, length, is_whole=True)

    return replace(
        whole,
        projections=replace(
            whole.projections,
            query_norm=Part(_ATTENTION + "q_norm", has_bias=False),
            key_norm=Part(_ATTENTION + "k_norm", has_bias=False),
        ),
        is_causal=is_causal_decoder(config) and not has_both_sides,
        window=windows_by_type(
            layer_type, _window_to_both_sides(config) if has_both_sides else read_window(config)
        ),
        rotary=turned,
        head=lambda: capped_head(config, None),
    )


def _rope(config: Config, layer_type: str) -> dict[str, object]:
    """The RoPE parameters of a layer type: a large θ, perhaps scaled, or Gemma 2's θ in sliding layers."""
    values = {"max_position_embeddings": 131072} | dict(config.values)
    if layer_type == SLIDING:
        return dict(of_layer_type(values, layer_type, config.number("rope_local_base_freq", default=1e4)))
    theta = config.number("rope_theta", default=1e6)
    return dict(of_layer_type(values, layer_type, theta, config.values.get("rope_scaling")))


def _window_to_both_sides(config: Config) -> Rule:
    """Half of the window on either side (`_bidirectional_window_overlay`)."""
    return nearby(config.count("sliding_window", default=4096) // 2)
