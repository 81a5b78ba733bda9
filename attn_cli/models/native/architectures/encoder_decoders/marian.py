"""Marian: BART's blocks, sinusoidal positions. Junczys-Dowmunt et al. 2018, arXiv:1804.00344."""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.encoder_decoders.bart import translator
from attn_cli.models.native.spec import Spec


def spec(config: Config) -> Spec:
    """The spec of a Marian model (`modeling_marian.py`)."""
    both = translator(config)
    assert both.decoder is not None, "translator sets the decoder"
    vocabulary = config.count("decoder_vocab_size", default=both.vocabulary)
    decoder = replace(_with_waves(config, both.decoder, "decoder"), vocabulary=vocabulary)
    start = config.integer("decoder_start_token_id", default=58100)
    return replace(_with_waves(config, both, "encoder"), decoder=decoder, start=start)


def _with_waves(config: Config, side: Spec, name: str) -> Spec:
    """The same side with sinusoidal positions; encoder and decoder may have separate vocabularies."""
    is_shared = config.flag("share_encoder_decoder_embeddings", default=True)
    tokens = side.embeddings.tokens if is_shared else f"{name}.embed_tokens"
    return replace(
        side,
        longest=config.count("max_position_embeddings", default=1024),
        embeddings=replace(side.embeddings, tokens=tokens, has_sinusoids=True),
    )
