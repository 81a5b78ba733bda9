"""Gemma: Llama's blocks, norm weights stored minus 1, embeddings × √M. Gemma Team 2024, arXiv:2403.08295."""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.llamas.llama import decoder
from attn_cli.models.native.language_head.shared_heads import next_token_head
from attn_cli.models.native.spec import Spec


def spec(config: Config) -> Spec:
    """The spec of a Gemma model (`modeling_gemma.py`); "gelu" means its tanh approximation.

    Raises:
        NotNativeError: its attention is bidirectional.
    """
    refuse_both_sides(config)
    named = config.text("hidden_act", default="gelu")
    return scaled(config, "gelu_pytorch_tanh" if named == "gelu" else named, 16)


def scaled(config: Config, activation: str, kv_heads: int, longest: int = 8192) -> Spec:
    """What all Gemma models have in common."""
    has_bias = config.flag("attention_bias", default=False)
    whole = decoder(config, has_bias=has_bias, kv_heads=kv_heads, head_size=256, longest=longest)
    return replace(
        whole,
        embeddings=replace(whole.embeddings, scale=whole.width**0.5),
        feed_forward=replace(whole.feed_forward, activation=activation),
        gain_offset=1.0,
        head=lambda: next_token_head(config, tied=True),
    )


def refuse_both_sides(config: Config) -> None:
    """Refuse a bidirectional Gemma, whose mask differs between versions of transformers.

    Raises:
        NotNativeError: its attention is bidirectional.
    """
    if config.flag("use_bidirectional_attention", default=False):
        raise config.not_native("use_bidirectional_attention", what="false")
