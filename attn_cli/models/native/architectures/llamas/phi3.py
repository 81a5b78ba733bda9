"""Phi-3: Llama's blocks with fused matrices. Abdin et al. 2024, arXiv:2404.14219."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.llamas.llama import decoder
from attn_cli.models.native.layer_types import in_every_layer, read_window
from attn_cli.models.native.rope import read_rotary
from attn_cli.models.native.spec import FeedForward, Part, Projections, Spec

_LAYER = "layers.{layer}."


def spec(config: Config) -> Spec:
    """The spec of a Phi-3 model (`modeling_phi3.py`)."""
    whole = decoder(config, has_bias=False, longest=4096)
    values = _rope(config)
    return replace(
        whole,
        projections=Projections(fused=Part(_LAYER + "self_attn.qkv_proj", has_bias=False)),
        feed_forward=FeedForward(
            up=Part(_LAYER + "mlp.gate_up_proj", has_bias=False),
            down=Part(_LAYER + "mlp.down_proj", has_bias=False),
            size=whole.feed_forward.size,
            activation=whole.feed_forward.activation,
            holds_gate=True,
        ),
        epsilon=config.number("rms_norm_eps", default=1e-5),
        window=in_every_layer(read_window(config, None)),
        rotary=lambda _layer, length: read_rotary(values, whole.head_size, length),
    )


def _rope(config: Config) -> Mapping[str, Any]:
    """The config; early checkpoints say `yarn` and mean longrope (`configuration_phi3.py`)."""
    values: dict[str, Any] = {"max_position_embeddings": 4096, "original_max_position_embeddings": 4096}
    values |= config.values
    for name in ("rope_scaling", "rope_parameters"):
        scaling = values.get(name)
        if isinstance(scaling, Mapping) and "yarn" in (scaling.get("type"), scaling.get("rope_type")):
            values[name] = {**scaling, "rope_type": "longrope"}
    return values
