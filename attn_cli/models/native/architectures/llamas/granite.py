"""Granite: Llama's blocks with multipliers for embeddings, scores and residuals. Granite team 2024."""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.llamas.llama import decoder
from attn_cli.models.native.spec import Spec


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
    )
