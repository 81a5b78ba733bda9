"""ModernBERT: RoPE, gated feed-forward, a window in two of three layers. arXiv:2412.13663."""

from dataclasses import replace

from attn_cli.core.masks import nearby
from attn_cli.core.positions import Rotary
from attn_cli.models.files.config import Config
from attn_cli.models.native.language_head.shared_heads import masked_head
from attn_cli.models.native.layer_types import FULL, read_layer_types, refuse_decoder, windows_by_type
from attn_cli.models.native.rope import check_one_rope, of_layer_type, read_rotary
from attn_cli.models.native.spec import Embeddings, FeedForward, LanguageHead, Norm, Part, Projections, Spec

_LAYER = "layers.{layer}."


def spec(config: Config) -> Spec:
    """The spec of a ModernBERT model (`modeling_modernbert.py`).

    Raises:
        NotNativeError: the config gives the window or the RoPE parameters twice.
    """
    refuse_decoder(config)
    width = config.count("hidden_size")
    heads = config.heads("num_attention_heads", width=width)
    layers = config.layers("num_hidden_layers")
    longest = config.count("max_position_embeddings", default=8192)
    stride = config.count("global_attn_every_n_layers", default=3)
    layer_type = read_layer_types(config, layers, lambda layer: layer % stride != 0)
    has_shift = config.flag("norm_bias", default=False)
    has_bias = config.flag("attention_bias", default=False)
    if config.has("sliding_window"):  # newer versions set `local_attention` from it
        raise config.not_native("sliding_window", what="null")
    check_one_rope(config)
    window = nearby(config.count("local_attention", default=128) // 2)
    return Spec(
        type="modernbert",
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_size=width // heads,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=longest,
        embeddings=Embeddings(tokens="embeddings.tok_embeddings", norm=Part("embeddings.norm", has_shift)),
        projections=Projections(fused=Part(_LAYER + "attn.Wqkv", has_bias)),
        output=Part(_LAYER + "attn.Wo", has_bias),
        attention_norm=Part(_LAYER + "attn_norm", has_shift, since=1),
        feed_forward=_feed_forward(config),
        feed_forward_norm=Part(_LAYER + "mlp_norm", has_shift),
        final_norm=Part("final_norm", has_shift),
        norm=Norm.LAYER,
        epsilon=config.number("norm_eps", default=1e-5),
        is_pre_norm=True,
        takes_pairs=True,
        prefixes=("model.", ""),
        window=windows_by_type(layer_type, window),
        rotary=lambda layer, length: _rotary(config, layer_type(layer), width // heads, length),
        head=lambda: _head(config),
    )


def _head(config: Config) -> LanguageHead:
    """The head, whose biases are options of the config."""
    activation = config.text("classifier_activation", default="gelu")
    head = masked_head(config, "head.dense", "head.norm", "decoder", activation=activation)
    return replace(
        head,
        transform=Part("head.dense", config.flag("classifier_bias", default=False)),
        norm=Part("head.norm", config.flag("norm_bias", default=False)),
        decoder=Part("decoder", config.flag("decoder_bias", default=True)),
    )


def _feed_forward(config: Config) -> FeedForward:
    has_bias = config.flag("mlp_bias", default=False)
    return FeedForward(
        up=Part(_LAYER + "mlp.Wi", has_bias),
        down=Part(_LAYER + "mlp.Wo", has_bias),
        size=config.count("intermediate_size"),
        activation=config.text("hidden_activation", default="gelu"),
        holds_gate=True,
    )


def _rotary(config: Config, layer_type: str, head_size: int, length: int) -> Rotary:
    """The rotary embedding of a layer type: local layers have a smaller θ than global ones.

    If `local_rope_theta` is null, local layers use the global θ, as in transformers 4; transformers 5 keeps
    the null and fails.
    """
    values = {"max_position_embeddings": 8192} | dict(config.values)
    theta = config.number("global_rope_theta", default=160000.0)
    if layer_type != FULL and config.values.get("local_rope_theta", 1e4) is not None:
        theta = config.number("local_rope_theta", default=1e4)
    parameters = of_layer_type(values, layer_type, theta, config.values.get("rope_scaling"))
    return read_rotary(parameters, head_size, length, is_whole=True)
