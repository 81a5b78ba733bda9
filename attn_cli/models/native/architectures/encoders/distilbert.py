"""DistilBERT: half of BERT's layers, no segment embeddings. Sanh et al. 2019, arXiv:1910.01108."""

from attn_cli.models.files.config import Config
from attn_cli.models.native.language_head.shared_heads import masked_head
from attn_cli.models.native.layer_types import refuse_decoder
from attn_cli.models.native.spec import Embeddings, FeedForward, LanguageHead, Norm, Part, Projections, Spec

_LAYER = "transformer.layer.{layer}."
_EMBEDDINGS = Embeddings(
    tokens="embeddings.word_embeddings",
    positions="embeddings.position_embeddings",
    norm=Part("embeddings.LayerNorm"),
)
_PROJECTIONS = Projections(
    query=Part(_LAYER + "attention.q_lin"),
    key=Part(_LAYER + "attention.k_lin"),
    value=Part(_LAYER + "attention.v_lin"),
)


def spec(config: Config) -> Spec:
    """The spec of a DistilBERT model (`modeling_distilbert.py`)."""
    refuse_decoder(config)
    width = config.count(*config.either("hidden_size", "dim"))
    heads = config.heads(*config.either("num_attention_heads", "n_heads"), width=width, of="dim")
    return Spec(
        type="distilbert",
        layers=config.layers(*config.either("num_hidden_layers", "n_layers")),
        heads=heads,
        kv_heads=heads,
        head_size=width // heads,
        width=width,
        vocabulary=config.count("vocab_size"),
        longest=config.count("max_position_embeddings", default=512),
        embeddings=_EMBEDDINGS,
        projections=_PROJECTIONS,
        output=Part(_LAYER + "attention.out_lin"),
        attention_norm=Part(_LAYER + "sa_layer_norm"),
        feed_forward=_feed_forward(config, width),
        feed_forward_norm=Part(_LAYER + "output_layer_norm"),
        final_norm=None,
        norm=Norm.LAYER,
        epsilon=1e-12,
        is_pre_norm=False,
        takes_pairs=True,
        prefixes=("", "distilbert."),
        head=lambda: _head(config),
    )


def _head(config: Config) -> LanguageHead:
    names = ("vocab_transform", "vocab_layer_norm", "vocab_projector")
    return masked_head(config, *names, activation=config.text("activation", default="gelu"))


def _feed_forward(config: Config, width: int) -> FeedForward:
    return FeedForward(
        up=Part(_LAYER + "ffn.lin1"),
        down=Part(_LAYER + "ffn.lin2"),
        size=config.count("hidden_dim", default=4 * width),
        activation=config.text("activation", default="gelu"),
    )
