"""Phi: attention and feed-forward block in parallel, RoPE on part of each head. arXiv:2309.05463."""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.llamas.llama import decoder
from attn_cli.models.native.language_head.shared_heads import next_token_head
from attn_cli.models.native.rope import read_rotary
from attn_cli.models.native.spec import FeedForward, Norm, Part, Spec

_LAYER = "layers.{layer}."


def spec(config: Config) -> Spec:
    """The spec of a Phi model (`modeling_phi.py`)."""
    whole = decoder(config, has_bias=True)
    norm = Part(_LAYER + "input_layernorm")
    is_normed = config.flag("qk_layernorm", default=False)
    values = {"partial_rotary_factor": 0.5, "max_position_embeddings": 2048} | dict(config.values)
    return replace(
        whole,
        projections=replace(
            whole.projections,
            query_norm=Part(_LAYER + "self_attn.q_layernorm") if is_normed else None,
            key_norm=Part(_LAYER + "self_attn.k_layernorm") if is_normed else None,
        ),
        output=Part(_LAYER + "self_attn.dense"),
        attention_norm=norm,
        feed_forward=_feed_forward(config),
        feed_forward_norm=norm,
        final_norm=Part("final_layernorm"),
        norm=Norm.LAYER,
        epsilon=config.number("layer_norm_eps", default=1e-5),
        is_parallel=True,
        rotary=lambda _layer, length: read_rotary(values, whole.head_size, length),
        head=lambda: next_token_head(config, tied=False, has_bias=True),
    )


def _feed_forward(config: Config) -> FeedForward:
    return FeedForward(
        up=Part(_LAYER + "mlp.fc1"),
        down=Part(_LAYER + "mlp.fc2"),
        size=config.count("intermediate_size", default=8192),
        activation=config.text("hidden_act", default="gelu_new"),
    )
