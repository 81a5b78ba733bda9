"""Mistral: Llama's blocks with a sliding window. Jiang et al. 2023, arXiv:2310.06825."""

from dataclasses import replace

from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.llamas.llama import decoder
from attn_cli.models.native.layer_types import in_every_layer, read_window
from attn_cli.models.native.spec import Spec


def spec(config: Config) -> Spec:
    """The spec of a Mistral model (`modeling_mistral.py`).

    Raises:
        NotNativeError: the config has layer types, which transformers reads for the size of the mask only.
    """
    if config.has("layer_types"):
        raise config.not_native("layer_types", what="null")
    return replace(
        decoder(config, has_bias=False, kv_heads=8, longest=131072),
        window=in_every_layer(read_window(config)),
    )
