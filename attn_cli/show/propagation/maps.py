"""Pictures of rollout, layer by layer, and of flow."""

from collections.abc import Sequence
from dataclasses import replace

from attn_cli.answers.propagation import Propagation
from attn_cli.grid import Grid
from attn_cli.show.grids import grid_of


def propagation_maps(propagation: Propagation, texts: Sequence[str]) -> list[Grid]:
    """A map of layers × tokens for rollout, and a line of tokens for flow."""
    maps = list[Grid]()
    if propagation.rollout is not None:
        rows = [str(layer) for layer in range(len(propagation.rollout))]
        grid = grid_of("rollout", propagation.rollout, rows, texts, limits=(0.0, 1.0), are_tokens=False)
        maps.append(replace(grid, step="rollout", unit="share", axes=("after layer", "token")))
    if propagation.flow is not None:
        grid = grid_of("flow", propagation.flow[None, :], ["all"], texts, limits=(0.0, 1.0), are_tokens=False)
        maps.append(replace(grid, step="flow", unit="flow", axes=("layers", "token")))
    return maps
