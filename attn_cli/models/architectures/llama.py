"""Llama: a decoder with rotary positions, grouped heads and a gate. Touvron et al. 2023, arXiv:2302.13971."""

from attn_cli.models.config import Config
from attn_cli.models.rope import rotary
from attn_cli.models.spec import Embeddings, FeedForward, Norm, Part, Projections, Spec

_LAYER = "layers.{layer}."


def spec(config: Config) -> Spec:
    """A Llama of this configuration (`modeling_llama.py`)."""
    width = config.count("hidden_size")
    heads = config.count("num_attention_heads")
    kv_heads = config.count("num_key_value_heads", default=heads)
    head_size = config.count("head_dim", default=max(1, width // heads))
    if heads % kv_heads:
        raise config.unfit("num_key_value_heads", what=f"a divisor of num_attention_heads {heads}")
    known = {"max_position_embeddings": config.count("max_position_embeddings", default=2048)}
    attention_bias = config.flag("attention_bias", default=False)
    feed_forward_bias = config.flag("mlp_bias", default=False)
    return Spec(
        type="llama",
        layers=config.count("num_hidden_layers"),
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=known["max_position_embeddings"],
        embeddings=Embeddings(tokens="embed_tokens"),
        projections=Projections(
            query=Part(_LAYER + "self_attn.q_proj", attention_bias),
            key=Part(_LAYER + "self_attn.k_proj", attention_bias),
            value=Part(_LAYER + "self_attn.v_proj", attention_bias),
        ),
        output=Part(_LAYER + "self_attn.o_proj", attention_bias),
        attention_norm=Part(_LAYER + "input_layernorm", has_bias=False),
        feed_forward=FeedForward(
            gate=Part(_LAYER + "mlp.gate_proj", feed_forward_bias),
            up=Part(_LAYER + "mlp.up_proj", feed_forward_bias),
            down=Part(_LAYER + "mlp.down_proj", feed_forward_bias),
            size=config.count("intermediate_size"),
            activation=config.text("hidden_act", default="silu"),
        ),
        feed_forward_norm=Part(_LAYER + "post_attention_layernorm", has_bias=False),
        final_norm=Part("norm", has_bias=False),
        norm=Norm.RMS,
        epsilon=config.number("rms_norm_eps", default=1e-6),
        is_pre_norm=True,
        is_causal=True,
        prefixes=("model.", ""),
        rotary=lambda length: rotary({**known, **config.values}, head_size, length, is_whole=True),
    )
