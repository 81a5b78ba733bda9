"""Which layers use a sliding window, and whether a decoder is causal, according to the config."""

from collections.abc import Callable
from typing import TypeAlias

from attn_cli.core.masks import Rule, everywhere, nearby, sliding
from attn_cli.models.files.config import Config

LayerTypes: TypeAlias = Callable[[int], str]
"""Maps a layer's number to its type, `full_attention` or `sliding_attention`."""

FULL, SLIDING = "full_attention", "sliding_attention"


def read_layer_types(config: Config, layers: int, slides: Callable[[int], bool]) -> LayerTypes:
    """The types in the config's `layer_types`; without it, `slides` tells which layers have a window.

    Raises:
        AttnError: the list is too short, or contains something else.
        NotNativeError: it contains another type.
    """
    listed = config.values.get("layer_types")
    if listed is None:
        return lambda layer: SLIDING if slides(layer) else FULL
    what = f'a list of "{FULL}" and "{SLIDING}", one for each layer'
    is_list = isinstance(listed, list) and len(listed) >= layers
    if not is_list or not all(isinstance(name, str) for name in listed):
        raise config.unfit("layer_types", what=what)
    if not {FULL, SLIDING}.issuperset(listed):
        raise config.not_native("layer_types", what=what)
    return lambda layer: str(listed[layer])


def windows_by_type(layer_type: LayerTypes, window: Rule) -> Callable[[int], Rule]:
    """The window of each layer: `window` if it is sliding, else everything."""
    return lambda layer: window if layer_type(layer) == SLIDING else everywhere


def read_window(config: Config, default: int | None = 4096) -> Rule:
    """The window of the config's `sliding_window`, in positions; `default` if it is missing, all if null.

    In a model that is not causal the window extends to both sides and includes one more position
    (`sliding_window_bidirectional_overlay` in `masking_utils.py`).
    """
    if config.values.get("sliding_window", default) is None:
        return everywhere
    size = config.count("sliding_window", default=default)
    return sliding(size) if is_causal_decoder(config) else nearby(size)


def is_causal_decoder(config: Config) -> bool:
    """Whether a decoder masks later tokens; it does not if `is_causal` is false or null.

    Embedding models made from decoders (gte-Qwen2) set it; transformers honours it since 5.2
    (`create_causal_mask` in `masking_utils.py`).

    Raises:
        AttnError: the value is neither a boolean nor null.
    """
    value = config.values.get("is_causal", True)
    if value is not None and not isinstance(value, bool):
        raise config.unfit("is_causal", what="true, false or null")
    return bool(value)


def is_causal_encoder(config: Config) -> bool:
    """Whether an encoder of BERT's kind masks later tokens: `is_decoder` makes it a decoder."""
    return config.flag("is_decoder", default=False) and is_causal_decoder(config)


def refuse_decoder(config: Config) -> None:
    """Check that an encoder does not mask later tokens.

    Raises:
        NotNativeError: `is_decoder` is true, which this family ignores in some versions of transformers.
    """
    if config.flag("is_decoder", default=False):
        raise config.not_native("is_decoder", what="false")


def in_every_layer(rule: Rule) -> Callable[[int], Rule]:
    """The same rule in every layer."""
    return lambda _layer: rule
