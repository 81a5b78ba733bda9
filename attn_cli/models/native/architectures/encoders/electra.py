"""ELECTRA: BERT's blocks with narrower embeddings. Clark et al. 2020, arXiv:2003.10555."""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.encoders.bert import encoder
from attn_cli.models.native.language_head.shared_heads import masked_head
from attn_cli.models.native.layer_types import is_causal_encoder
from attn_cli.models.native.spec import LanguageHead, Part, Spec


def spec(config: Config) -> Spec:
    """The spec of an ELECTRA model (`modeling_electra.py`)."""
    whole = encoder(config)
    narrow = config.count("embedding_size", default=128)
    return replace(
        whole,
        embeddings=replace(
            whole.embeddings,
            width=narrow,
            projection=None if narrow == whole.width else Part("embeddings_project"),
        ),
        takes_pairs=whole.segments > 1,
        prefixes=("", "electra."),
        is_causal=is_causal_encoder(config),
        head=lambda: _head(config, narrow),
    )


def _head(config: Config, narrow: int) -> LanguageHead:
    """The head of the generator, as wide as the embeddings; the discriminator has another."""
    names = ("generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head")
    return replace(masked_head(config, *names, activation="gelu"), width=narrow)
