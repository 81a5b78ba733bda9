"""Which layers use a sliding window, and whether a decoder is causal at all, by what the config says."""

from collections.abc import Callable
from typing import TypeAlias

from attn_cli.core.masks import Rule, everywhere, nearby, sliding
from attn_cli.models.files.config import Config

LayerTypes: TypeAlias = Callable[[int], str]
"""A layer's number to its type, `full_attention` or `sliding_attention`."""

FULL, SLIDING = "full_attention", "sliding_attention"


def read_layer_types(config: Config, layers: int, slides: Callable[[int], bool]) -> LayerTypes:
    """The types that `layer_types` lists; without a list a layer slides where `slides` says so.

    Raises:
        AttnError: the list is too short, or names a type that is not known.
    """
    listed = config.values.get("layer_types")
    if listed is None:
        return lambda layer: SLIDING if slides(layer) else FULL
    is_sound = isinstance(listed, list) and len(listed) >= layers
    if not is_sound or any(name not in (FULL, SLIDING) for name in listed):
        raise config.unfit("layer_types", what=f'a list of "{FULL}" and "{SLIDING}", one for each layer')
    return lambda layer: str(listed[layer])


def windows_by_type(layer_type: LayerTypes, window: Rule) -> Callable[[int], Rule]:
    """The window of every layer: `window` where it slides."""
    return lambda layer: window if layer_type(layer) == SLIDING else everywhere


def read_window(config: Config, default: int | None = 4096) -> Rule:
    """The last so many positions that the config names, or `default` where it says nothing; null is all.

    Where the model is not causal, it is that many to either side: `sliding_window_bidirectional_overlay` in
    `masking_utils.py`, which counts one position more.
    """
    if config.values.get("sliding_window", default) is None:
        return everywhere
    size = config.count("sliding_window", default=default)
    return sliding(size) if reads_causally(config) else nearby(size)


def reads_causally(config: Config) -> bool:
    """Whether a decoder hides later tokens: since transformers 5.2 not with `"is_causal": false` or null.

    Embedding models made from decoders (gte-Qwen2) say so; see `create_causal_mask` in `masking_utils.py`.
    """
    value = config.values.get("is_causal", True)
    if value is not None and not isinstance(value, bool):
        raise config.unfit("is_causal", what="true, false or null")
    return bool(value)


def in_every_layer(rule: Rule) -> Callable[[int], Rule]:
    """The same rule in each layer."""
    return lambda _layer: rule
