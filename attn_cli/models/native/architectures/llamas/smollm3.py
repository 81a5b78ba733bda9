"""SmolLM3: Llama's blocks, without RoPE in every fourth layer (NoPE).

Bakouch et al. 2025; the idea is from Yang et al. 2025, arXiv:2501.18795.
"""

from collections.abc import Callable
from dataclasses import replace

from attn_cli.core.masks import everywhere
from attn_cli.core.positions import Rotary
from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.llamas.llama import decoder
from attn_cli.models.native.language_head.shared_heads import next_token_head
from attn_cli.models.native.layer_types import read_layer_types, read_window, windows_by_type
from attn_cli.models.native.spec import Spec


def spec(config: Config) -> Spec:
    """The spec of a SmolLM3 model (`modeling_smollm3.py`)."""
    has_bias = config.flag("attention_bias", default=False)
    whole = decoder(config, has_bias=has_bias, kv_heads=4, theta=2000000.0, longest=32768)
    turns = _turning(config, whole.layers)
    # With a list, the mask has the window whatever `use_sliding_window` says (`modeling_smollm3.py`).
    has_window = config.flag("use_sliding_window", default=False) or config.has("layer_types")
    window = read_window(config, None) if has_window else everywhere

    def turned(layer: int, length: int) -> Rotary | None:
        return whole.rotary(layer, length) if turns(layer) else None

    layer_type = read_layer_types(config, whole.layers, lambda layer: not turns(layer))
    return replace(
        whole,
        window=windows_by_type(layer_type, window),
        rotary=turned,
        head=lambda: next_token_head(config, tied=True),
    )


def _turning(config: Config, layers: int) -> Callable[[int], bool]:
    """Which layers use RoPE: those with 1 in `no_rope_layers`, despite its name."""
    listed = config.values.get("no_rope_layers")
    if listed is None:
        stride = config.count("no_rope_layer_interval", default=4)
        return lambda layer: (layer + 1) % stride != 0
    if not isinstance(listed, list) or len(listed) < layers or any(turns not in (0, 1) for turns in listed):
        raise config.unfit("no_rope_layers", what="a list of 0 and 1, one for each layer")
    return lambda layer: bool(listed[layer])
