"""What differs from layer to layer: which slide a window, as a config lists it or a family's rule has it."""

from collections.abc import Callable
from typing import TypeAlias

from attn_cli.core.masks import Rule, everywhere, sliding
from attn_cli.models.files.config import Config

Kinds: TypeAlias = Callable[[int], str]
"""A layer's number to what `layer_types` calls it."""

FULL, SLIDING = "full_attention", "sliding_attention"


def kinds(config: Config, layers: int, otherwise: Callable[[int], bool]) -> Kinds:
    """The kinds that `layer_types` lists; without a list a layer slides where `otherwise` says so.

    Raises:
        AttnError: the list is too short, or names a kind that is not known.
    """
    listed = config.values.get("layer_types")
    if listed is None:
        return lambda layer: SLIDING if otherwise(layer) else FULL
    is_sound = isinstance(listed, list) and len(listed) >= layers
    if not is_sound or any(each not in (FULL, SLIDING) for each in listed):
        raise config.unfit("layer_types", what=f'a list of "{FULL}" and "{SLIDING}", one for each layer')
    return lambda layer: str(listed[layer])


def windows(kind: Kinds, window: Rule) -> Callable[[int], Rule]:
    """The window of every layer: `window` where it slides."""
    return lambda layer: window if kind(layer) == SLIDING else everywhere


def window_of(config: Config, otherwise: int | None = 4096) -> Rule:
    """The last so many positions that the config names, or `otherwise` where it says nothing; null is all."""
    size = config.values.get("sliding_window", otherwise)
    return everywhere if size is None else sliding(config.count("sliding_window", default=otherwise))


def every_layer(rule: Rule) -> Callable[[int], Rule]:
    """The same rule in each layer."""
    return lambda _layer: rule
