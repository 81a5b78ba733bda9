"""OLMo 2: norms after the attention and the feed-forward block, QK-norm over all heads together.

OLMo team 2025, arXiv:2501.00656.
"""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.llamas.llama import decoder
from attn_cli.models.native.spec import Part, Spec

_LAYER = "layers.{layer}."


def spec(config: Config) -> Spec:
    """The spec of an OLMo 2 model (`modeling_olmo2.py`)."""
    whole = decoder(config, has_bias=config.flag("attention_bias", default=False))
    return replace(
        whole,
        projections=replace(
            whole.projections,
            query_norm=Part(_LAYER + "self_attn.q_norm", has_bias=False),
            key_norm=Part(_LAYER + "self_attn.k_norm", has_bias=False),
            is_norm_whole=True,
        ),
        attention_norm=None,
        attention_result_norm=Part(_LAYER + "post_attention_layernorm", has_bias=False),
        feed_forward_norm=None,
        feed_forward_result_norm=Part(_LAYER + "post_feedforward_layernorm", has_bias=False),
        epsilon=config.number("rms_norm_eps", default=1e-5),
    )
