"""BLOOM: ALiBi instead of position embeddings. BigScience 2022, arXiv:2211.05100."""

from attn_cli.models.files.config import Config
from attn_cli.models.native.layer_types import is_causal_decoder
from attn_cli.models.native.spec import Embeddings, FeedForward, Norm, Part, Projections, Spec

_LAYER = "h.{layer}."


def spec(config: Config) -> Spec:
    """The spec of a BLOOM model (`modeling_bloom.py`)."""
    width = config.count("n_embed", "hidden_size")
    heads = config.heads("num_attention_heads", "n_head", width=width)
    return Spec(
        type="bloom",
        layers=config.count("num_hidden_layers", "n_layer"),
        heads=heads,
        kv_heads=heads,
        head_size=width // heads,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=None,
        embeddings=Embeddings(tokens="word_embeddings", norm=Part("word_embeddings_layernorm")),
        projections=Projections(fused=Part(_LAYER + "self_attention.query_key_value"), is_interleaved=True),
        output=Part(_LAYER + "self_attention.dense"),
        attention_norm=Part(_LAYER + "input_layernorm"),
        feed_forward=_feed_forward(width),
        feed_forward_norm=Part(_LAYER + "post_attention_layernorm"),
        final_norm=Part("ln_f"),
        norm=Norm.LAYER,
        epsilon=config.number("layer_norm_epsilon", default=1e-5),
        is_pre_norm=True,
        residual_is_normed=config.flag("apply_residual_connection_post_layernorm", default=False),
        is_causal=is_causal_decoder(config),
        is_alibi=True,
        prefixes=("transformer.", ""),
    )


def _feed_forward(width: int) -> FeedForward:
    return FeedForward(
        up=Part(_LAYER + "mlp.dense_h_to_4h"),
        down=Part(_LAYER + "mlp.dense_4h_to_h"),
        size=4 * width,
        activation="bloom_gelu",
    )
