"""ALBERT: BERT's blocks, with weights shared between layers. Lan et al. 2019, arXiv:1909.11942."""

from collections.abc import Mapping
from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.encoders.bert import encoder
from attn_cli.models.native.language_head.shared_heads import masked_head
from attn_cli.models.native.layer_types import refuse_decoder
from attn_cli.models.native.spec import FeedForward, LanguageHead, Part, Projections, Spec

_LAYER = "encoder.albert_layer_groups.{group}.albert_layers.{inner}."
_PROJECTIONS = Projections(
    query=Part(_LAYER + "attention.query"),
    key=Part(_LAYER + "attention.key"),
    value=Part(_LAYER + "attention.value"),
)


_MOST_LAYERS = 1_000
"""Layers share weights, so the file does not bound their number; the largest model has 24."""


def spec(config: Config) -> Spec:
    """The spec of an ALBERT model (`modeling_albert.py`); the inner layers of a group count as layers.

    Raises:
        AttnError: it has more layers than any model.
    """
    refuse_decoder(config)
    whole = encoder(config)
    inner, groups = config.count("inner_group_num", default=1), config.count("num_hidden_groups", default=1)
    if groups > whole.layers:
        raise config.unfit("num_hidden_groups", what=f"at most num_hidden_layers {whole.layers}")
    if whole.layers * inner > _MOST_LAYERS:
        name = "inner_group_num" if inner > 1 else "num_hidden_layers"
        raise config.unfit(name, what=f"{_MOST_LAYERS // (whole.layers if inner > 1 else 1):,} or fewer")

    def numbers(layer: int) -> Mapping[str, int]:
        return {"group": int(layer // inner / (whole.layers / groups)), "inner": layer % inner}

    narrow = config.count("embedding_size", default=128)
    return replace(
        whole,
        layers=whole.layers * inner,
        embeddings=replace(
            whole.embeddings, width=narrow, projection=Part("encoder.embedding_hidden_mapping_in")
        ),
        projections=_PROJECTIONS,
        output=Part(_LAYER + "attention.dense"),
        attention_norm=Part(_LAYER + "attention.LayerNorm"),
        feed_forward=_feed_forward(config, whole.feed_forward.size),
        feed_forward_norm=Part(_LAYER + "full_layer_layer_norm"),
        takes_pairs=whole.segments > 1,
        prefixes=("", "albert."),
        numbers=numbers,
        head=lambda: _head(config, narrow),
    )


def _head(config: Config, narrow: int) -> LanguageHead:
    """The head, as wide as the embeddings (`AlbertMLMHead`)."""
    activation = config.text("hidden_act", default="gelu_new")
    names = ("predictions.dense", "predictions.LayerNorm", "predictions.decoder")
    head = masked_head(config, *names, activation=activation)
    return replace(head, width=narrow, tied_bias="predictions.bias")


def _feed_forward(config: Config, size: int) -> FeedForward:
    return FeedForward(
        up=Part(_LAYER + "ffn"),
        down=Part(_LAYER + "ffn_output"),
        size=size,
        activation=config.text("hidden_act", default="gelu_new"),
    )
