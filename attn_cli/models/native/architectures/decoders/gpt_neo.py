"""GPT-Neo: GPT-2's blocks, unscaled scores, a sliding window in every other layer. Black et al. 2021."""

from collections.abc import Callable
from itertools import cycle, islice

from attn_cli.core.masks import Rule, everywhere, sliding
from attn_cli.models.files.config import Config
from attn_cli.models.native.language_head.shared_heads import next_token_head
from attn_cli.models.native.spec import Embeddings, FeedForward, Norm, Part, Projections, Spec

_LAYER = "h.{layer}."
_ATTENTION = _LAYER + "attn.attention."
_PROJECTIONS = Projections(
    query=Part(_ATTENTION + "q_proj", has_bias=False),
    key=Part(_ATTENTION + "k_proj", has_bias=False),
    value=Part(_ATTENTION + "v_proj", has_bias=False),
)


def spec(config: Config) -> Spec:
    """The spec of a GPT-Neo model (`modeling_gpt_neo.py`)."""
    width = config.count("hidden_size")
    heads = config.heads(*config.either("num_attention_heads", "num_heads"), width=width)
    layers = config.layers(*config.either("num_hidden_layers", "num_layers"))
    return Spec(
        type="gpt_neo",
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_size=width // heads,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=config.count("max_position_embeddings", default=2048),
        embeddings=Embeddings(tokens="wte", positions="wpe"),
        projections=_PROJECTIONS,
        output=Part(_ATTENTION + "out_proj"),
        attention_norm=Part(_LAYER + "ln_1"),
        feed_forward=_feed_forward(config, width),
        feed_forward_norm=Part(_LAYER + "ln_2"),
        final_norm=Part("ln_f"),
        norm=Norm.LAYER,
        epsilon=config.number("layer_norm_epsilon", default=1e-5),
        is_pre_norm=True,
        is_causal=True,
        prefixes=("transformer.", ""),
        head=lambda: next_token_head(config, tied=True),
        scale=lambda _layer: 1.0,
        window=_windows(config, layers),
    )


def _feed_forward(config: Config, width: int) -> FeedForward:
    return FeedForward(
        up=Part(_LAYER + "mlp.c_fc"),
        down=Part(_LAYER + "mlp.c_proj"),
        size=config.count("intermediate_size", default=4 * width),
        activation=config.text("activation_function", default="gelu_new"),
    )


def _windows(config: Config, layers: int) -> Callable[[int], Rule]:
    """The window of each layer, from `attention_layers`, or `attention_types`: [[kinds, times], ...]."""
    local = sliding(config.count("window_size", default=256))
    names = config.values.get("attention_layers") or _expanded(config, layers)
    if names is None:
        return lambda layer: local if layer % 2 else everywhere
    if not isinstance(names, list) or len(names) != layers or not {"global", "local"}.issuperset(names):
        raise config.unfit("attention_layers", what=f'{layers} times "global" or "local"')
    return lambda layer: local if names[layer] == "local" else everywhere


def _expanded(config: Config, layers: int) -> list[str] | None:
    """The kind of each layer by `attention_types`; None without it."""
    listed = config.values.get("attention_types")
    if listed is None:
        return None
    try:
        every = (name for kinds, times in listed for name in islice(cycle(kinds), len(kinds) * times))
        names = list(islice(every, layers + 1))
    except (TypeError, ValueError):
        names = []
    if len(names) != layers or any(name not in ("global", "local") for name in names):
        raise config.unfit("attention_types", what=f'[["global" or "local", ...], times], {layers} in all')
    return names
