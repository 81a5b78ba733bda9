"""ModernBERT: rotary positions, a gate, two of three layers see a window. arXiv:2412.13663."""

from dataclasses import replace

from attn_cli.core.masks import nearby
from attn_cli.core.positions import Rotary
from attn_cli.models.files.config import Config
from attn_cli.models.native.layer_types import FULL, kinds, windows
from attn_cli.models.native.rope import of_kind, rotary
from attn_cli.models.native.spec import Embeddings, FeedForward, Norm, Part, Projections, Spec

_LAYER = "layers.{layer}."


def spec(config: Config) -> Spec:
    """A ModernBERT of this configuration (`modeling_modernbert.py`).

    `local_rope_theta` may be null: local layers turn as global ones. That is transformers 4's reading;
    transformers 5 keeps the null and cannot compute with it.
    """
    width = config.count("hidden_size")
    heads = config.heads("num_attention_heads", width=width)
    layers = config.count("num_hidden_layers")
    longest = config.count("max_position_embeddings", default=8192)
    values = {"max_position_embeddings": longest} | dict(config.values)
    stride = config.count("global_attn_every_n_layers", default=3)
    kind = kinds(config, layers, lambda layer: layer % stride != 0)
    has_shift = config.flag("norm_bias", default=False)
    attends, feeds = config.flag("attention_bias", default=False), config.flag("mlp_bias", default=False)

    def turned(layer: int, length: int) -> Rotary:
        theta = config.number("global_rope_theta", default=160000.0)
        if kind(layer) != FULL and config.values.get("local_rope_theta", 1e4) is not None:
            theta = config.number("local_rope_theta", default=1e4)
        asked = of_kind(values, kind(layer), theta, config.values.get("rope_scaling"))
        return rotary(asked, width // heads, length, is_whole=True)

    whole = Spec(
        type="modernbert",
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_size=width // heads,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=longest,
        embeddings=Embeddings(tokens="embeddings.tok_embeddings", norm=Part("embeddings.norm", has_shift)),
        projections=Projections(fused=Part(_LAYER + "attn.Wqkv", attends)),
        output=Part(_LAYER + "attn.Wo", attends),
        attention_norm=Part(_LAYER + "attn_norm", has_shift, since=1),
        feed_forward=FeedForward(
            up=Part(_LAYER + "mlp.Wi", feeds),
            down=Part(_LAYER + "mlp.Wo", feeds),
            size=config.count("intermediate_size"),
            activation=config.text("hidden_activation", default="gelu"),
            holds_gate=True,
        ),
        feed_forward_norm=Part(_LAYER + "mlp_norm", has_shift),
        final_norm=Part("final_norm", has_shift),
        norm=Norm.LAYER,
        epsilon=config.number("norm_eps", default=1e-5),
        is_pre_norm=True,
        takes_pairs=True,
        prefixes=("model.", ""),
    )
    window = nearby(config.count("local_attention", default=128) // 2)
    return replace(whole, window=windows(kind, window), rotary=turned)
