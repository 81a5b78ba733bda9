"""BERT: a bidirectional encoder. Devlin et al. 2018, arXiv:1810.04805."""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.language_head.shared_heads import bert_head
from attn_cli.models.native.layer_types import is_causal_encoder
from attn_cli.models.native.spec import Embeddings, FeedForward, Norm, Part, Projections, Spec

_LAYER = "encoder.layer.{layer}."
_EMBEDDINGS = Embeddings(
    tokens="embeddings.word_embeddings",
    positions="embeddings.position_embeddings",
    segments="embeddings.token_type_embeddings",
    norm=Part("embeddings.LayerNorm"),
)
_PROJECTIONS = Projections(
    query=Part(_LAYER + "attention.self.query"),
    key=Part(_LAYER + "attention.self.key"),
    value=Part(_LAYER + "attention.self.value"),
)


def spec(config: Config) -> Spec:
    """The spec of a BERT model (`modeling_bert.py`)."""
    segments = config.count("type_vocab_size", default=2)
    return replace(
        encoder(config),
        takes_pairs=segments > 1,
        is_causal=is_causal_encoder(config),
        head=lambda: bert_head(config),
    )


def encoder(config: Config, *, epsilon: float = 1e-12, segments: int | None = None) -> Spec:
    """A BERT encoder, as the basis of other families: it looks to both sides.

    `segments` is their default number of segments.

    Raises:
        AttnError: the position embeddings are not absolute; transformers 5 dropped relative keys.
    """
    if config.text("position_embedding_type", default="absolute") != "absolute":
        raise config.not_native("position_embedding_type", what='"absolute"')
    width = config.count("hidden_size")
    heads = config.heads("num_attention_heads", width=width)
    return Spec(
        type=config.text("model_type"),
        layers=config.layers("num_hidden_layers"),
        heads=heads,
        kv_heads=heads,
        head_size=width // heads,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=config.count("max_position_embeddings"),
        embeddings=_EMBEDDINGS,
        projections=_PROJECTIONS,
        output=Part(_LAYER + "attention.output.dense"),
        attention_norm=Part(_LAYER + "attention.output.LayerNorm"),
        feed_forward=_feed_forward(config),
        feed_forward_norm=Part(_LAYER + "output.LayerNorm"),
        final_norm=None,
        norm=Norm.LAYER,
        epsilon=config.number("layer_norm_eps", default=epsilon),
        is_pre_norm=False,
        segments=config.count("type_vocab_size", default=2)
        if segments is None
        else config.integer("type_vocab_size", default=segments),
        prefixes=("", "bert."),
        aliases={"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"},
    )


def _feed_forward(config: Config) -> FeedForward:
    return FeedForward(
        up=Part(_LAYER + "intermediate.dense"),
        down=Part(_LAYER + "output.dense"),
        size=config.count("intermediate_size"),
        activation=config.text("hidden_act", default="gelu"),
    )
