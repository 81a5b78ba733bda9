"""The language heads that families share; they are read from a config when predictions are asked for."""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.spec import LanguageHead, Part


def is_tied(config: Config, *, default: bool) -> bool:
    """Whether the head is the matrix of the token embeddings, if the file has no other."""
    return config.flag("tie_word_embeddings", default=default)


def next_token_head(config: Config, *, tied: bool, has_bias: bool = False) -> LanguageHead:
    """The head of a decoder, `lm_head`; `tied` is the default of the family."""
    return LanguageHead(Part("lm_head", has_bias), is_tied=is_tied(config, default=tied))


def masked_head(config: Config, dense: str, norm: str, decoder: str, *, activation: str) -> LanguageHead:
    """The head of an encoder that was trained to fill in masked tokens.

    The names are those of its linear layer, its norm, and the matrix with a row for each token.
    """
    return LanguageHead(
        Part(decoder),
        is_tied=is_tied(config, default=True),
        transform=Part(dense),
        activation=activation,
        norm=Part(norm),
        fills_masks=True,
    )


def bert_head(config: Config) -> LanguageHead:
    """The head of BERT (`BertLMPredictionHead`)."""
    name, activation = "cls.predictions.", config.text("hidden_act", default="gelu")
    names = (f"{name}transform.dense", f"{name}transform.LayerNorm", f"{name}decoder")
    return replace(masked_head(config, *names, activation=activation), tied_bias=f"{name}bias")


def roberta_head(config: Config) -> LanguageHead:
    """The head of RoBERTa and MPNet (`RobertaLMHead`), whose activation no config changes."""
    names = ("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder")
    return replace(masked_head(config, *names, activation="gelu"), tied_bias="lm_head.bias")
