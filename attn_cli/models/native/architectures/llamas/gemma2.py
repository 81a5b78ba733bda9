"""Gemma 2: soft-capped scores, norms before and after each sublayer, a window in every other layer.

Gemma Team 2024, arXiv:2408.00118.
"""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.llamas.gemma import refuse_both_sides, scaled
from attn_cli.models.native.language_head.shared_heads import next_token_head
from attn_cli.models.native.layer_types import read_layer_types, read_window, windows_by_type
from attn_cli.models.native.spec import LanguageHead, Part, Spec

_LAYER = "layers.{layer}."


def spec(config: Config) -> Spec:
    """The spec of a Gemma 2 model (`modeling_gemma2.py`).

    Raises:
        AttnError: its attention is bidirectional.
    """
    refuse_both_sides(config)
    whole = sandwiched(config)
    layer_type = read_layer_types(config, whole.layers, lambda layer: layer % 2 == 0)
    return replace(
        whole,
        window=windows_by_type(layer_type, read_window(config)),
        softcap=_softcap(config),
        head=lambda: capped_head(config, 30.0),
    )


def _softcap(config: Config) -> float | None:
    """The soft cap; null means none, and the default is 50."""
    name = "attn_logit_softcapping"
    return config.number(name, default=50.0) if config.values.get(name, 50.0) is not None else None


def capped_head(config: Config, cap: float | None) -> LanguageHead:
    """The head with the soft cap of its logits; null means none, and `cap` is the default."""
    name = "final_logit_softcapping"
    is_capped = config.values.get(name, cap) is not None
    head = next_token_head(config, tied=True)
    return replace(head, softcap=config.number(name, default=cap) if is_capped else None)


def sandwiched(config: Config, longest: int = 8192) -> Spec:
    """A Gemma with norms before and after each sublayer, and its own scale."""
    whole = scaled(config, config.text("hidden_activation", default="gelu_pytorch_tanh"), 4, longest)
    size = config.number("query_pre_attn_scalar", default=256.0)
    if size <= 0:
        raise config.unfit("query_pre_attn_scalar", what="more than 0")
    return replace(
        whole,
        attention_result_norm=Part(_LAYER + "post_attention_layernorm", has_bias=False),
        feed_forward_norm=Part(_LAYER + "pre_feedforward_layernorm", has_bias=False),
        feed_forward_result_norm=Part(_LAYER + "post_feedforward_layernorm", has_bias=False),
        scale=lambda _layer: size**-0.5,
        scale_name="query_pre_attn_scalar",
    )
