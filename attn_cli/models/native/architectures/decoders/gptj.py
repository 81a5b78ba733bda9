"""GPT-J: interleaved RoPE, attention and feed-forward block share one norm. Wang and Komatsuzaki 2021."""

from attn_cli.models.files.config import Config
from attn_cli.models.native.language_head.shared_heads import next_token_head
from attn_cli.models.native.layer_types import is_causal_decoder
from attn_cli.models.native.rope import read_rotary
from attn_cli.models.native.spec import Embeddings, FeedForward, Norm, Part, Projections, Spec

_LAYER = "h.{layer}."
_PROJECTIONS = Projections(
    query=Part(_LAYER + "attn.q_proj", has_bias=False),
    key=Part(_LAYER + "attn.k_proj", has_bias=False),
    value=Part(_LAYER + "attn.v_proj", has_bias=False),
)


def spec(config: Config) -> Spec:
    """The spec of a GPT-J model (`modeling_gptj.py`)."""
    width = config.count(*config.either("hidden_size", "n_embd"))
    heads = config.heads(*config.either("num_attention_heads", "n_head"), width=width, of="n_embd")
    head_size = width // heads
    longest = config.count(*config.either("max_position_embeddings", "n_positions"), default=2048)
    turning = config.count("rotary_dim", default=64)
    if turning > head_size or turning % 2:
        raise config.unfit("rotary_dim", what=f"an even number up to {head_size}")
    values = {"max_position_embeddings": longest}
    norm = Part(_LAYER + "ln_1")
    return Spec(
        type="gptj",
        layers=config.layers(*config.either("num_hidden_layers", "n_layer")),
        heads=heads,
        kv_heads=heads,
        head_size=head_size,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=longest,
        embeddings=Embeddings(tokens="wte"),
        projections=_PROJECTIONS,
        output=Part(_LAYER + "attn.out_proj", has_bias=False),
        attention_norm=norm,
        feed_forward=_feed_forward(config, width),
        feed_forward_norm=norm,
        final_norm=Part("ln_f"),
        norm=Norm.LAYER,
        epsilon=config.number("layer_norm_epsilon", default=1e-5),
        is_pre_norm=True,
        is_parallel=True,
        is_causal=is_causal_decoder(config),
        prefixes=("transformer.", ""),
        head=lambda: next_token_head(config, tied=False, has_bias=True),
        rotary=lambda _layer, length: read_rotary(values, turning, length, interleaved=True),
    )


def _feed_forward(config: Config, width: int) -> FeedForward:
    return FeedForward(
        up=Part(_LAYER + "mlp.fc_in"),
        down=Part(_LAYER + "mlp.fc_out"),
        size=config.count("n_inner", default=4 * width),
        activation=config.text("activation_function", default="gelu_new"),
    )
