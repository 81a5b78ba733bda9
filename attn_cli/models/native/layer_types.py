"""Which layers use a sliding window, according to the config's list or the family's rule."""

from collections.abc import Callable
from typing import TypeAlias

from attn_cli.core.masks import Rule, everywhere, sliding
from attn_cli.models.files.config import Config

LayerTypes: TypeAlias = Callable[[int], str]
"""Maps a layer's number to its type, `full_attention` or `sliding_attention`."""

FULL, SLIDING = "full_attention", "sliding_attention"


def read_layer_types(config: Config, layers: int, slides: Callable[[int], bool]) -> LayerTypes:
    """The types in the config's `layer_types`; without it, `slides` tells which layers have a window.

    Raises:
        AttnError: the list is too short, or contains an unknown type.
    """
    listed = config.values.get("layer_types")
    if listed is None:
        return lambda layer: SLIDING if slides(layer) else FULL
    is_sound = isinstance(listed, list) and len(listed) >= layers
    if not is_sound or any(name not in (FULL, SLIDING) for name in listed):
        raise config.unfit("layer_types", what=f'a list of "{FULL}" and "{SLIDING}", one for each layer')
    return lambda layer: str(listed[layer])


def windows_by_type(layer_type: LayerTypes, window: Rule) -> Callable[[int], Rule]:
    """The window of each layer: `window` if it is sliding, else everything."""
    return lambda layer: window if layer_type(layer) == SLIDING else everywhere


def read_window(config: Config, default: int | None = 4096) -> Rule:
    """The window of the config's `sliding_window`, in positions; `default` if it is missing, all if null."""
    size = config.values.get("sliding_window", default)
    return everywhere if size is None else sliding(config.count("sliding_window", default=default))


def in_every_layer(rule: Rule) -> Callable[[int], Rule]:
    """The same rule in every layer."""
    return lambda _layer: rule
