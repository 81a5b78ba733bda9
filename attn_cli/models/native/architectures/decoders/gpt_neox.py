"""GPT-NeoX and Pythia: RoPE on part of each head, attention and feed-forward block in parallel.

Black et al. 2022, arXiv:2204.06745.
"""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.language_head.shared_heads import next_token_head
from attn_cli.models.native.layer_types import is_causal_decoder
from attn_cli.models.native.rope import read_rotary
from attn_cli.models.native.spec import Embeddings, FeedForward, Norm, Part, Projections, Spec

_LAYER = "layers.{layer}."
_OLDER = {"lm_head.": "embed_out."}  # the name of the head before transformers 5.10


def spec(config: Config) -> Spec:
    """The spec of a GPT-NeoX model (`modeling_gpt_neox.py`).

    Raises:
        NotNativeError: its heads have another size than its width says.
    """
    width = config.count("hidden_size")
    heads = config.heads("num_attention_heads", width=width)
    head_size, has_bias = width // heads, config.flag("attention_bias", default=True)
    if config.count("head_dim", default=head_size) != head_size:  # transformers rotates as if it were
        raise config.not_native("head_dim", what=str(head_size))
    longest = config.count("max_position_embeddings", default=2048)
    values = {
        "max_position_embeddings": longest,
        "rope_theta": config.number("rotary_emb_base", default=10000.0),
        "partial_rotary_factor": config.number("rotary_pct", default=0.25),
    } | dict(config.values)
    return Spec(
        type="gpt_neox",
        layers=config.layers("num_hidden_layers"),
        heads=heads,
        kv_heads=heads,
        head_size=head_size,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=longest,
        embeddings=Embeddings(tokens="embed_in"),
        projections=Projections(
            fused=Part(_LAYER + "attention.query_key_value", has_bias), is_interleaved=True
        ),
        output=Part(_LAYER + "attention.dense", has_bias),
        attention_norm=Part(_LAYER + "input_layernorm"),
        feed_forward=_feed_forward(config, width),
        feed_forward_norm=Part(_LAYER + "post_attention_layernorm"),
        final_norm=Part("final_layer_norm"),
        norm=Norm.LAYER,
        epsilon=config.number("layer_norm_eps", default=1e-5),
        is_pre_norm=True,
        is_parallel=config.flag("use_parallel_residual", default=True),
        is_causal=is_causal_decoder(config),
        prefixes=("gpt_neox.", ""),
        head=lambda: replace(next_token_head(config, tied=False), aliases=_OLDER),
        rotary=lambda _layer, length: read_rotary(values, head_size, length),
    )


def _feed_forward(config: Config, width: int) -> FeedForward:
    return FeedForward(
        up=Part(_LAYER + "mlp.dense_h_to_4h"),
        down=Part(_LAYER + "mlp.dense_4h_to_h"),
        size=config.count("intermediate_size", default=4 * width),
        activation=config.text("hidden_act", default="gelu"),
    )
