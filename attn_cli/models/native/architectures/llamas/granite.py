"""Granite: Llama's blocks with multipliers for embeddings, scores and residuals. Granite team 2024."""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.llamas.llama import decoder
from attn_cli.models.native.language_head.shared_heads import next_token_head
from attn_cli.models.native.spec import LanguageHead, Spec


def spec(config: Config) -> Spec:
    """The spec of a Granite model (`modeling_granite.py`)."""
    whole = decoder(config, has_bias=config.flag("attention_bias", default=False))
    scale = config.number("attention_multiplier", default=1.0)
    return replace(
        whole,
        embeddings=replace(whole.embeddings, scale=config.number("embedding_multiplier", default=1.0)),
        residual_scale=config.number("residual_multiplier", default=1.0),
        scale=lambda _layer: scale,
        scale_name="attention_multiplier",
        head=lambda: _scaled_head(config),
    )


def _scaled_head(config: Config) -> LanguageHead:
    """The head whose logits are divided by `logits_scaling`."""
    divisor = config.number("logits_scaling", default=1.0)
    if divisor == 0:
        raise config.unfit("logits_scaling", what="a number other than 0")
    return replace(next_token_head(config, tied=False), scale=1 / divisor)
