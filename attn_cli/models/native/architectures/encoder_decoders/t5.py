"""T5: an encoder-decoder, relative position bias, unscaled scores. Raffel et al. 2019, arXiv:1910.10683."""

from dataclasses import replace

from attn_cli.core.positions import Buckets
from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.encoder_decoders.bart import SHARED
from attn_cli.models.native.halves import is_encoder_alone
from attn_cli.models.native.layer_types import is_causal_decoder
from attn_cli.models.native.spec import (
    Cross,
    Embeddings,
    FeedForward,
    LanguageHead,
    Norm,
    Part,
    Projections,
    Relative,
    Spec,
)

_ENCODER = "encoder.block.{layer}.layer."
_DECODER = "decoder.block.{layer}.layer."
_TABLE = "block.0.layer.0.SelfAttention.relative_attention_bias"


def spec(config: Config) -> Spec:
    """The spec of a T5 model (`modeling_t5.py`)."""
    encoder = _stack(
        config, "encoder.", _ENCODER, config.layers(*config.either("num_hidden_layers", "num_layers"))
    )
    if is_encoder_alone(config):
        return replace(encoder, is_encoder_alone=True)
    layers = config.layers("num_decoder_layers", "num_layers", default=6)
    decoder = replace(
        _stack(config, "decoder.", _DECODER, layers, feeds=2),
        is_causal=is_causal_decoder(config),
        cross=Cross(
            projections=_projections(_DECODER + "1.EncDecAttention."),
            output=_plain(_DECODER + "1.EncDecAttention.o"),
            norm=_plain(_DECODER + "1.layer_norm"),
        ),
        head=lambda: _head(config),
    )
    start = config.integer("decoder_start_token_id", "pad_token_id", default=0)
    return replace(encoder, decoder=decoder, start=start)


def _head(config: Config) -> LanguageHead:
    """The head: T5 1.0 multiplies what it reads by 1/√M, and 1.1, whose config says it is not tied, does not.

    What is missing is tied whatever the config says (`configuration_t5.py`).
    """
    is_scaled = config.flag("scale_decoder_outputs", "tie_word_embeddings", default=True)
    width = config.count(*config.either("hidden_size", "d_model"))
    names = ("shared", "decoder.embed_tokens")
    return LanguageHead(_plain("lm_head"), tied_to=names, scale=width**-0.5 if is_scaled else 1.0)


def _stack(config: Config, side: str, layer: str, layers: int, feeds: int = 1) -> Spec:
    """The encoder or the decoder; `feeds` is the index of the feed-forward sublayer in a block."""
    heads = config.count(*config.either("num_attention_heads", "num_heads"))
    return Spec(
        type="t5",
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_size=config.count(*config.either("head_dim", "d_kv")),
        width=config.count(*config.either("hidden_size", "d_model")),
        vocabulary=config.count("vocab_size"),
        longest=None,
        embeddings=Embeddings(tokens=side + "embed_tokens"),
        projections=_projections(layer + "0.SelfAttention."),
        output=_plain(layer + "0.SelfAttention.o"),
        attention_norm=_plain(layer + "0.layer_norm"),
        feed_forward=_feed_forward(config, f"{layer}{feeds}.DenseReluDense."),
        feed_forward_norm=_plain(f"{layer}{feeds}.layer_norm"),
        final_norm=_plain(side + "final_layer_norm"),
        norm=Norm.RMS,
        epsilon=config.number("layer_norm_epsilon", default=1e-6),
        is_pre_norm=True,
        takes_pairs=False,
        prefixes=("", "transformer."),
        aliases=SHARED,
        relative=Relative(_plain(side + _TABLE), _buckets(config, both_sides=side == "encoder.")),
        scale=lambda _layer: 1.0,
    )


def _buckets(config: Config, *, both_sides: bool) -> Buckets:
    """The buckets of distances: some hold one distance each, the others as many as reach the farthest.

    Raises:
        AttnError: there are too few, or the farthest distance has a bucket of its own.
    """
    least = 4 if both_sides else 2
    count = config.count("relative_attention_num_buckets", default=32)
    if count < least:
        raise config.unfit("relative_attention_num_buckets", what=f"{least} or more")
    farthest = config.count("relative_attention_max_distance", default=128)
    if farthest <= count // least:
        raise config.unfit("relative_attention_max_distance", what=f"more than {count // least}")
    return Buckets(count, farthest, both_sides=both_sides)


def _projections(attention: str) -> Projections:
    return Projections(
        query=_plain(attention + "q"), key=_plain(attention + "k"), value=_plain(attention + "v")
    )


def _feed_forward(config: Config, name: str) -> FeedForward:
    """The feed-forward block: `relu`, or gated, where `gated-gelu` means the tanh approximation.

    `is_gated_act` and `dense_act_fn` override what `feed_forward_proj` says (`configuration_t5.py`).
    """
    kind, _, gated = config.text("feed_forward_proj", default="relu").partition("-")
    if gated and kind != "gated":
        raise config.unfit("feed_forward_proj", what='an activation, or "gated-" followed by one')
    activation = config.text("dense_act_fn", default="gelu_new" if gated == "gelu" else gated or kind)
    is_gated = config.flag("is_gated_act", default=bool(gated))
    return FeedForward(
        gate=_plain(name + "wi_0") if is_gated else None,
        up=_plain(name + ("wi_1" if is_gated else "wi")),
        down=_plain(name + "wo"),
        size=config.count("d_ff"),
        activation=activation,
        is_down_float32=True,
    )


def _plain(name: str) -> Part:
    return Part(name, has_bias=False)
