"""Which layers use a sliding window, by the config's list or the family's own rule."""

from collections.abc import Callable
from typing import TypeAlias

from attn_cli.core.masks import Rule, everywhere, sliding
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
    """The last so many positions that the config names, or `default` where it says nothing; null is all."""
    size = config.values.get("sliding_window", default)
    return everywhere if size is None else sliding(config.count("sliding_window", default=default))


def in_every_layer(rule: Rule) -> Callable[[int], Rule]:
    """The same rule in each layer."""
    return lambda _layer: rule
