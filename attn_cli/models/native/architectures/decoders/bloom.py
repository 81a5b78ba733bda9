"""BLOOM: ALiBi instead of position embeddings. BigScience 2022, arXiv:2211.05100."""

from attn_cli.models.files.config import Config
from attn_cli.models.native.language_head.shared_heads import next_token_head
from attn_cli.models.native.layer_types import is_causal_decoder
from attn_cli.models.native.spec import Embeddings, FeedForward, Norm, Part, Projections, Spec

_LAYER = "h.{layer}."


def spec(config: Config) -> Spec:
    """The spec of a BLOOM model (`modeling_bloom.py`)."""
    width = config.count("n_embed", "hidden_size")
    heads = config.heads(*config.either("num_attention_heads", "n_head"), width=width)
    has_bias = _adds_biases(config)
    return Spec(
        type="bloom",
        layers=config.layers(*config.either("num_hidden_layers", "n_layer")),
        heads=heads,
        kv_heads=heads,
        head_size=width // heads,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=None,
        embeddings=Embeddings(tokens="word_embeddings", norm=Part("word_embeddings_layernorm")),
        projections=Projections(fused=Part(_LAYER + "self_attention.query_key_value"), is_interleaved=True),
        output=Part(_LAYER + "self_attention.dense", has_bias),
        attention_norm=Part(_LAYER + "input_layernorm"),
        feed_forward=_feed_forward(width, has_bias=has_bias),
        feed_forward_norm=Part(_LAYER + "post_attention_layernorm"),
        final_norm=Part("ln_f"),
        norm=Norm.LAYER,
        epsilon=config.number("layer_norm_epsilon", default=1e-5),
        is_pre_norm=True,
        residual_is_normed=config.flag("apply_residual_connection_post_layernorm", default=False),
        is_causal=is_causal_decoder(config),
        is_alibi=True,
        prefixes=("transformer.", ""),
        head=lambda: next_token_head(config, tied=True),
    )


def _adds_biases(config: Config) -> bool:
    """Whether W^O and W_down have their biases: transformers leaves them out if it multiplies slices."""
    in_slices = config.flag("slow_but_exact", default=False)
    return not in_slices or config.integer("pretraining_tp", default=1) <= 1


def _feed_forward(width: int, *, has_bias: bool) -> FeedForward:
    return FeedForward(
        up=Part(_LAYER + "mlp.dense_h_to_4h"),
        down=Part(_LAYER + "mlp.dense_4h_to_h", has_bias),
        size=4 * width,
        activation="bloom_gelu",
    )
