"""OPT: GPT-2's blocks, positions that start at row 2. Zhang et al. 2022, arXiv:2205.01068."""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.language_head.shared_heads import next_token_head
from attn_cli.models.native.layer_types import is_causal_decoder
from attn_cli.models.native.spec import Embeddings, FeedForward, LanguageHead, Norm, Part, Projections, Spec

_LAYER = "layers.{layer}."
_ATTENTION = _LAYER + "self_attn."


def spec(config: Config) -> Spec:
    """The spec of an OPT model (`modeling_opt.py`).

    Raises:
        NotNativeError: the norms have no weights.
    """
    width = config.count("hidden_size")
    heads = config.heads("num_attention_heads", width=width)
    if not config.flag("layer_norm_elementwise_affine", default=True):
        raise config.not_native("layer_norm_elementwise_affine", what="true")
    has_bias = config.flag("enable_bias", default=True)
    is_pre_norm = config.flag("do_layer_norm_before", default=True)
    ends_normed = is_pre_norm and not config.flag("_remove_final_layer_norm", default=False)
    return Spec(
        type="opt",
        layers=config.layers("num_hidden_layers"),
        heads=heads,
        kv_heads=heads,
        head_size=width // heads,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=config.count("max_position_embeddings", default=2048),
        embeddings=_embeddings(config, width),
        projections=_projections(has_bias=has_bias),
        output=Part(_ATTENTION + "out_proj", has_bias),
        attention_norm=Part(_LAYER + "self_attn_layer_norm"),
        feed_forward=_feed_forward(config, has_bias=has_bias),
        feed_forward_norm=Part(_LAYER + "final_layer_norm"),
        final_norm=Part("final_layer_norm") if ends_normed else None,
        norm=Norm.LAYER,
        epsilon=1e-5,
        is_pre_norm=is_pre_norm,
        is_causal=is_causal_decoder(config),
        prefixes=("model.decoder.", "decoder."),
        head=lambda: _head(config, width),
    )


def _embeddings(config: Config, width: int) -> Embeddings:
    narrow = config.count("word_embed_proj_dim", default=width)
    return Embeddings(
        tokens="embed_tokens",
        positions="embed_positions",
        width=narrow,
        projection=None if narrow == width else Part("project_in", has_bias=False),
        projects_tokens=True,
        first=2,
        skips_padding=True,
    )


def _head(config: Config, width: int) -> LanguageHead:
    """The head, which reads vectors as narrow as the embeddings (`project_out`)."""
    narrow = config.count("word_embed_proj_dim", default=width)
    projection = None if narrow == width else Part("project_out", has_bias=False)
    return replace(next_token_head(config, tied=True), transform=projection, width=narrow)


def _projections(*, has_bias: bool) -> Projections:
    return Projections(
        query=Part(_ATTENTION + "q_proj", has_bias),
        key=Part(_ATTENTION + "k_proj", has_bias),
        value=Part(_ATTENTION + "v_proj", has_bias),
    )


def _feed_forward(config: Config, *, has_bias: bool) -> FeedForward:
    return FeedForward(
        up=Part(_LAYER + "fc1", has_bias),
        down=Part(_LAYER + "fc2", has_bias),
        size=config.count("ffn_dim"),
        activation=config.text("activation_function", default="relu"),
    )
