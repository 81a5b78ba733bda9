"""Marian: BART's blocks, sinusoidal positions. Junczys-Dowmunt et al. 2018, arXiv:1804.00344."""

from dataclasses import replace
from functools import partial

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.encoder_decoders.bart import SHARED, shared_head, translator
from attn_cli.models.native.spec import Spec


def spec(config: Config) -> Spec:
    """The spec of a Marian model (`modeling_marian.py`)."""
    both = translator(config)
    assert both.decoder is not None, "translator sets the decoder"
    is_shared = config.flag("share_encoder_decoder_embeddings", default=True)
    is_tied = is_shared and config.flag("tie_word_embeddings", default=True)
    own = config.count("decoder_vocab_size", default=both.vocabulary)
    vocabulary = both.vocabulary if is_tied else own
    names = ("shared", "decoder.embed_tokens") if is_shared else ("decoder.embed_tokens",)
    head = partial(shared_head, config, names)
    decoder = replace(_with_waves(config, both.decoder), vocabulary=vocabulary, head=head)
    start = config.integer("decoder_start_token_id", default=58100)
    return replace(_with_waves(config, both), decoder=decoder, start=start)


def _with_waves(config: Config, side: Spec) -> Spec:
    """The same side with sinusoidal positions; encoder and decoder may have separate vocabularies."""
    is_shared = config.flag("share_encoder_decoder_embeddings", default=True)
    return replace(
        side,
        aliases=SHARED if is_shared else {},
        longest=config.count("max_position_embeddings", default=1024),
        embeddings=replace(side.embeddings, has_sinusoids=True),
    )
