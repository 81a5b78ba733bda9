"""BART: an encoder like BERT's, and a decoder. Lewis et al. 2019, arXiv:1910.13461."""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.halves import check_has_both
from attn_cli.models.native.language_head.shared_heads import next_token_head
from attn_cli.models.native.layer_types import is_causal_decoder
from attn_cli.models.native.spec import (
    Cross,
    Embeddings,
    FeedForward,
    LanguageHead,
    Norm,
    Part,
    Projections,
    Spec,
)


def spec(config: Config) -> Spec:
    """The spec of a BART model (`modeling_bart.py`)."""
    both = translator(config)
    assert both.decoder is not None, "translator sets the decoder"
    decoder = replace(_learned(config, both.decoder, "decoder"), head=lambda: shared_head(config))
    start = config.integer("decoder_start_token_id", default=2)
    return replace(_learned(config, both, "encoder"), decoder=decoder, start=start)


def _learned(config: Config, side: Spec, name: str) -> Spec:
    """The same side with learned positions, which start at row 2, and a norm after the embeddings."""
    return replace(
        side,
        longest=config.count("max_position_embeddings", default=1024),
        embeddings=replace(
            side.embeddings,
            positions=f"{name}.embed_positions",
            first=2,
            norm=Part(f"{name}.layernorm_embedding"),
        ),
    )


SHARED = {
    "encoder.embed_tokens.": "shared.",
    "decoder.embed_tokens.": "shared.",
    "encoder.embed_tokens.w": "decoder.embed_tokens.w",
    "decoder.embed_tokens.w": "encoder.embed_tokens.w",
}
"""Token embeddings: each side's own where a file has them, else the shared ones, else the other side's.

transformers ties those that are missing (`_tied_weights_keys`) and leaves those that are present alone.
"""


def shared_head(config: Config, names: tuple[str, ...] = ("shared", "decoder.embed_tokens")) -> LanguageHead:
    """The head, tied to the embeddings called `names`, and the bias that BART and Marian add."""
    return replace(next_token_head(config, tied=True), tied_to=names, added_bias="final_logits_bias")


def translator(config: Config) -> Spec:
    """What BART and Marian have in common: post-norm blocks."""
    check_has_both(config)
    return replace(_side(config, "encoder"), decoder=_decoder(config))


def _decoder(config: Config) -> Spec:
    layer = "decoder.layers.{layer}.encoder_attn"
    return replace(
        _side(config, "decoder"),
        is_causal=is_causal_decoder(config),
        cross=Cross(_projections(layer), Part(layer + ".out_proj"), Part(layer + "_layer_norm")),
    )


def _side(config: Config, side: str) -> Spec:
    layer = side + ".layers.{layer}."
    width = config.count(*config.either("hidden_size", "d_model"))
    heads_names = _names(config, side, "num_attention_heads", "attention_heads")
    heads = config.heads(*heads_names, width=width, of="d_model")
    is_scaled = config.flag("scale_embedding", default=False)
    return Spec(
        type=config.text("model_type"),
        layers=config.layers(*_names(config, side, "num_hidden_layers", "layers")),
        heads=heads,
        kv_heads=heads,
        head_size=width // heads,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=None,
        embeddings=Embeddings(tokens=f"{side}.embed_tokens", scale=width**0.5 if is_scaled else 1.0),
        projections=_projections(layer + "self_attn"),
        output=Part(layer + "self_attn.out_proj"),
        attention_norm=Part(layer + "self_attn_layer_norm"),
        feed_forward=_feed_forward(config, side, layer),
        feed_forward_norm=Part(layer + "final_layer_norm"),
        final_norm=None,
        norm=Norm.LAYER,
        epsilon=1e-5,
        is_pre_norm=False,
        takes_pairs=side == "encoder",
        prefixes=("model.", ""),
        aliases=SHARED,
    )


def _names(config: Config, side: str, general: str, own: str) -> tuple[str, ...]:
    """The keys of one side; the general name is the encoder's (`configuration_bart.py`)."""
    return config.either(general, f"{side}_{own}") if side == "encoder" else (f"{side}_{own}", general)


def _feed_forward(config: Config, side: str, layer: str) -> FeedForward:
    return FeedForward(
        up=Part(layer + "fc1"),
        down=Part(layer + "fc2"),
        size=config.count(f"{side}_ffn_dim"),
        activation=config.text("activation_function", default="gelu"),
    )


def _projections(attention: str) -> Projections:
    return Projections(
        query=Part(attention + ".q_proj"), key=Part(attention + ".k_proj"), value=Part(attention + ".v_proj")
    )
