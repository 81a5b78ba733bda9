"""Llama: a decoder with RoPE, grouped-query attention and SwiGLU. Touvron et al. 2023, arXiv:2302.13971."""

from attn_cli.models.files.config import Config
from attn_cli.models.native.language_head.shared_heads import next_token_head
from attn_cli.models.native.layer_types import is_causal_decoder
from attn_cli.models.native.rope import read_rotary
from attn_cli.models.native.spec import Embeddings, FeedForward, Norm, Part, Projections, Spec

_LAYER = "layers.{layer}."


def spec(config: Config) -> Spec:
    """The spec of a Llama model (`modeling_llama.py`)."""
    return decoder(config, has_bias=config.flag("attention_bias", default=False))


def decoder(
    config: Config,
    *,
    has_bias: bool,
    kv_heads: int | None = None,
    head_size: int | None = None,
    theta: float = 10000.0,
    longest: int = 2048,
) -> Spec:
    """A Llama decoder, as the basis of other families; has_bias is for projections, the rest are defaults."""
    width = config.count("hidden_size")
    heads = config.count("num_attention_heads")
    is_said = "num_key_value_heads" in config.values  # null means as many as heads
    kv_heads = config.count("num_key_value_heads", default=heads if is_said else kv_heads or heads)
    head_size = config.count("head_dim", default=head_size or max(1, width // heads))
    if heads % kv_heads:
        raise config.unfit("num_key_value_heads", what=f"a divisor of num_attention_heads {heads}")
    longest = config.count("max_position_embeddings", default=longest)
    values = {"max_position_embeddings": longest, "rope_theta": theta} | dict(config.values)
    return Spec(
        type=config.text("model_type"),
        layers=config.layers("num_hidden_layers"),
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=longest,
        embeddings=Embeddings(tokens="embed_tokens"),
        projections=_projections(has_bias=has_bias),
        output=Part(_LAYER + "self_attn.o_proj", has_bias),
        attention_norm=Part(_LAYER + "input_layernorm", has_bias=False),
        feed_forward=_feed_forward(config),
        feed_forward_norm=Part(_LAYER + "post_attention_layernorm", has_bias=False),
        final_norm=Part("norm", has_bias=False),
        norm=Norm.RMS,
        epsilon=config.number("rms_norm_eps", default=1e-6),
        is_pre_norm=True,
        is_causal=is_causal_decoder(config),
        prefixes=("model.", ""),
        rotary=lambda _layer, length: read_rotary(values, head_size, length, is_whole=True),
        head=lambda: next_token_head(config, tied=False),
    )


def _projections(*, has_bias: bool) -> Projections:
    return Projections(
        query=Part(_LAYER + "self_attn.q_proj", has_bias),
        key=Part(_LAYER + "self_attn.k_proj", has_bias),
        value=Part(_LAYER + "self_attn.v_proj", has_bias),
    )


def _feed_forward(config: Config) -> FeedForward:
    has_bias = config.flag("mlp_bias", default=False)
    return FeedForward(
        gate=Part(_LAYER + "mlp.gate_proj", has_bias),
        up=Part(_LAYER + "mlp.up_proj", has_bias),
        down=Part(_LAYER + "mlp.down_proj", has_bias),
        size=config.count("intermediate_size"),
        activation=config.text("hidden_act", default="silu"),
    )
