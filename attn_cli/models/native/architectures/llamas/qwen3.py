"""Qwen 3: Llama's blocks with QK-norm. Yang et al. 2025, arXiv:2505.09388."""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.llamas.llama import decoder
from attn_cli.models.native.architectures.llamas.qwen2 import sliding_layer_types, switched_window
from attn_cli.models.native.layer_types import windows_by_type
from attn_cli.models.native.spec import Part, Spec

_ATTENTION = "layers.{layer}.self_attn."


def spec(config: Config) -> Spec:
    """The spec of a Qwen 3 model (`modeling_qwen3.py`)."""
    has_bias = config.flag("attention_bias", default=False)
    whole = decoder(config, has_bias=has_bias, kv_heads=32, head_size=128, longest=32768)
    return replace(
        whole,
        projections=replace(
            whole.projections,
            query_norm=Part(_ATTENTION + "q_norm", has_bias=False),
            key_norm=Part(_ATTENTION + "k_norm", has_bias=False),
        ),
        window=windows_by_type(sliding_layer_types(config, whole.layers), switched_window(config)),
    )
