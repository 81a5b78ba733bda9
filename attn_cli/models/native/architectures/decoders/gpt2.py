"""GPT-2: a decoder with learned positions and a fused matrix for Q, K and V. Radford et al. 2019."""

from collections.abc import Callable

from attn_cli.models.files.config import Config
from attn_cli.models.native.language_head.shared_heads import next_token_head
from attn_cli.models.native.layer_types import is_causal_decoder
from attn_cli.models.native.spec import Embeddings, FeedForward, Norm, Part, Projections, Spec

_LAYER = "h.{layer}."
_SCALES = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False}
"""The flags that set the scale, with their defaults: 1/√D."""


def spec(config: Config) -> Spec:
    """The spec of a GPT-2 model (`modeling_gpt2.py`)."""
    width = config.count(*config.either("hidden_size", "n_embd"))
    heads = config.heads(*config.either("num_attention_heads", "n_head"), width=width, of="n_embd")
    return Spec(
        type="gpt2",
        layers=config.layers(*config.either("num_hidden_layers", "n_layer")),
        heads=heads,
        kv_heads=heads,
        head_size=width // heads,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=config.count(*config.either("max_position_embeddings", "n_positions"), default=1024),
        embeddings=Embeddings(tokens="wte", positions="wpe"),
        projections=Projections(fused=Part(_LAYER + "attn.c_attn")),
        output=Part(_LAYER + "attn.c_proj"),
        attention_norm=Part(_LAYER + "ln_1"),
        feed_forward=_feed_forward(config, width),
        feed_forward_norm=Part(_LAYER + "ln_2"),
        final_norm=Part("ln_f"),
        norm=Norm.LAYER,
        epsilon=config.number("layer_norm_epsilon", default=1e-5),
        is_pre_norm=True,
        is_causal=is_causal_decoder(config),
        is_transposed=True,
        prefixes=("", "transformer."),
        head=lambda: next_token_head(config, tied=True),
        scale=_scale(config, width // heads),
        scale_name=", ".join(
            name for name, usual in _SCALES.items() if config.flag(name, default=usual) != usual
        ),
    )


def _feed_forward(config: Config, width: int) -> FeedForward:
    return FeedForward(
        up=Part(_LAYER + "mlp.c_fc"),
        down=Part(_LAYER + "mlp.c_proj"),
        size=config.count("n_inner", default=4 * width),
        activation=config.text("activation_function", default="gelu_new"),
    )


def _scale(config: Config, head_size: int) -> Callable[[int], float]:
    """The scale of each layer; the GPT-2 models of Stanford's Mistral project also divide by layer + 1."""
    scaled, by_layer = (config.flag(name, default=usual) for name, usual in _SCALES.items())
    base = head_size**-0.5 if scaled else 1.0
    return lambda layer: base / (layer + 1) if by_layer else base
