"""RoBERTa: BERT's blocks, positions that start after the padding id. Liu et al. 2019, arXiv:1907.11692."""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.encoders.bert import encoder
from attn_cli.models.native.language_head.shared_heads import roberta_head
from attn_cli.models.native.layer_types import is_causal_encoder
from attn_cli.models.native.spec import Spec


def spec(config: Config) -> Spec:
    """The spec of a RoBERTa model (`modeling_roberta.py`)."""
    whole = encoder(config)
    padding = config.integer("pad_token_id", default=1)
    whole = replace(
        whole,
        takes_pairs=True,
        prefixes=("", "roberta."),
        is_causal=is_causal_encoder(config),
        head=lambda: roberta_head(config),
    )
    return behind_padding(config, whole, padding)


def behind_padding(config: Config, whole: Spec, padding: int) -> Spec:
    """The same model with positions that start at `padding` + 1; padding tokens have position `padding`.

    Raises:
        AttnError: no position is left.
    """
    rows = config.count("max_position_embeddings", default=512)
    if rows <= padding + 1:
        raise config.unfit("max_position_embeddings", what=f"more than {padding + 1}")
    return replace(
        whole,
        longest=rows - padding - 1,
        embeddings=replace(whole.embeddings, first=padding + 1, padding=padding),
    )
