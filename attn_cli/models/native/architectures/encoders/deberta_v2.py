"""DeBERTa v2 and v3: queries and keys attend to relative positions. He et al. 2021, arXiv:2111.09543."""

from dataclasses import replace

from attn_cli.core.positions import LogarithmicBuckets
from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.encoders.bert import encoder
from attn_cli.models.native.language_head.shared_heads import bert_head, masked_head
from attn_cli.models.native.layer_types import refuse_decoder
from attn_cli.models.native.spec import ContentBias, LanguageHead, Part, Projections, Spec

_SELF = "encoder.layer.{layer}.attention.self."
_KINDS = ("c2p", "p2c")


def spec(config: Config) -> Spec:
    """The spec of a DeBERTa model (`modeling_deberta_v2.py`).

    Raises:
        NotNativeError: it has a convolution after its first layer (v2 xlarge), narrower embeddings, or heads
            that are not as wide as the model together.
    """
    refuse_decoder(config)
    whole = encoder(config, epsilon=1e-7, segments=0)
    if config.integer("conv_kernel_size", default=0):
        raise config.not_native("conv_kernel_size", what="0")
    if config.count("embedding_size", default=whole.width) != whole.width:
        raise config.not_native("embedding_size", what=f"hidden_size {whole.width}")
    if config.count("attention_head_size", default=whole.head_size) != whole.head_size:
        raise config.not_native("attention_head_size", what=str(whole.head_size))
    kinds = _kinds(config)
    has_positions = config.flag("position_biased_input", default=True)
    scale = (whole.head_size * (1 + len(kinds))) ** -0.5
    return replace(
        whole,
        embeddings=replace(
            whole.embeddings,
            positions=whole.embeddings.positions if has_positions else None,
            segments=whole.embeddings.segments if whole.segments else None,
        ),
        projections=Projections(
            query=Part(_SELF + "query_proj"), key=Part(_SELF + "key_proj"), value=Part(_SELF + "value_proj")
        ),
        content_bias=_content_bias(config, kinds),
        takes_pairs=True,
        prefixes=("", "deberta."),
        scale=lambda _layer: scale,
        scale_name="pos_att_type" if kinds else "",
        head=lambda: _head(config, whole.embeddings.tokens),
    )


def _head(config: Config, embeddings: str) -> LanguageHead:
    """BERT's head, or the one that the models were trained with, which is tied in any case (`legacy`)."""
    if config.flag("legacy", default=True):
        return bert_head(config)
    name, activation = "lm_predictions.lm_head.", config.text("hidden_act", default="gelu")
    head = masked_head(config, f"{name}dense", f"{name}LayerNorm", embeddings, activation=activation)
    return replace(head, is_tied=True, tied_bias=f"{name}bias")


def _kinds(config: Config) -> tuple[str, ...]:
    """The terms of the bias (content to position, position to content), from a list or a string "p2c|c2p"."""
    given = config.values.get("pos_att_type") or ()
    words = [word.strip() for word in given.lower().split("|")] if isinstance(given, str) else given
    if not isinstance(words, list | tuple):
        raise config.unfit("pos_att_type", what='a list of "c2p" and "p2c"')
    return tuple(kind for kind in _KINDS if kind in words)


def _content_bias(config: Config, kinds: tuple[str, ...]) -> ContentBias | None:
    if not config.flag("relative_attention", default=False) or not kinds:
        return None
    farthest = _positive(config, "max_relative_positions") or config.count(
        "max_position_embeddings", default=512
    )
    buckets = _positive(config, "position_buckets")
    if buckets and farthest - 1 <= buckets // 2:  # the distances that share a bucket begin at half of them
        raise config.not_native("max_relative_positions", what=f"more than {buckets // 2 + 1}")
    is_shared = config.flag("share_att_key", default=False)
    key, query = ("key_proj", "query_proj") if is_shared else ("pos_key_proj", "pos_query_proj")
    is_normed = "layer_norm" in config.text("norm_rel_ebd", default="none").lower()
    return ContentBias(
        table=Part("encoder.rel_embeddings"),
        norm=Part("encoder.LayerNorm") if is_normed else None,
        distances=LogarithmicBuckets(buckets, farthest, span=buckets or farthest),
        keys=Part(_SELF + key) if "c2p" in kinds else None,
        queries=Part(_SELF + query) if "p2c" in kinds else None,
    )


def _positive(config: Config, name: str) -> int | None:
    """The number if it is positive, else None: the config uses -1 for none."""
    value = config.number(name, default=-1)
    return config.count(name) if value > 0 else None
