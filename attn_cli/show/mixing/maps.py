"""Pictures of rollout, layer by layer, and of flow."""

from collections.abc import Sequence
from dataclasses import replace

from attn_cli.answers.mixing import Mixing
from attn_cli.grid import Grid
from attn_cli.show.grids import grid_of


def mixing_maps(mixing: Mixing, texts: Sequence[str]) -> list[Grid]:
    """A map of layers × tokens for rollout, and a line of tokens for flow."""
    maps = list[Grid]()
    if mixing.rollout is not None:
        rows = [str(layer) for layer in range(len(mixing.rollout))]
        grid = grid_of("rollout", mixing.rollout, rows, texts, limits=(0.0, 1.0), are_tokens=False)
        maps.append(replace(grid, step="rollout", unit="share", axes=("after layer", "token")))
    if mixing.flow is not None:
        grid = grid_of("flow", mixing.flow[None, :], ["all"], texts, limits=(0.0, 1.0), are_tokens=False)
        maps.append(replace(grid, step="flow", unit="flow", axes=("layers", "token")))
    return maps
