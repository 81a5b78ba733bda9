"""MPNet: BERT's blocks, a position bias shared by all layers. Song et al. 2020, arXiv:2004.09297."""

from dataclasses import replace

from attn_cli.core.positions import Buckets
from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.encoders.bert import encoder
from attn_cli.models.native.architectures.encoders.roberta import behind_padding
from attn_cli.models.native.language_head.shared_heads import roberta_head
from attn_cli.models.native.layer_types import refuse_decoder
from attn_cli.models.native.spec import Part, Projections, Relative, Spec

_ATTENTION = "encoder.layer.{layer}.attention."
_BUCKETS = 32
_PADDING = 1
_PROJECTIONS = Projections(
    query=Part(_ATTENTION + "attn.q"), key=Part(_ATTENTION + "attn.k"), value=Part(_ATTENTION + "attn.v")
)
_RELATIVE = Relative(
    table=Part("encoder.relative_attention_bias"),
    buckets=Buckets(_BUCKETS, farthest=128, both_sides=True),
)


def spec(config: Config) -> Spec:
    """The spec of an MPNet model (`modeling_mpnet.py`).

    transformers always uses 32 buckets and padding token 1, whatever the config says.

    Raises:
        NotNativeError: the config has another number of buckets.
    """
    refuse_decoder(config)
    whole = encoder(config)
    if config.count("relative_attention_num_buckets", default=_BUCKETS) != _BUCKETS:
        raise config.not_native("relative_attention_num_buckets", what=str(_BUCKETS))
    return behind_padding(
        config,
        replace(
            whole,
            embeddings=replace(whole.embeddings, segments=None),
            segments=0,
            takes_pairs=True,
            projections=_PROJECTIONS,
            output=Part(_ATTENTION + "attn.o"),
            attention_norm=Part(_ATTENTION + "LayerNorm"),
            relative=_RELATIVE,
            prefixes=("", "mpnet."),
            aliases={},
            head=lambda: roberta_head(config),
        ),
        _PADDING,
    )
