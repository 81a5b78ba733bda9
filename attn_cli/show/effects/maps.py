"""Maps of effects, layers by heads: 0 is in the middle of their scale."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from attn_cli.answers.effects import Effects, HeadPlace
from attn_cli.grid import Grid
from attn_cli.show.grids import around_zero, grid_of
from attn_cli.vocabulary import Kind


def effect_maps(effects: Effects) -> list[Grid]:
    """A map of the direct effects, and one of ablation, for each kind of attention."""
    maps = list[Grid]()
    if effects.direct is not None:
        unit = "effect on the logit less the mean" if effects.against is None else "effect on the difference"
        maps += _maps("direct effect", unit, effects.direct.heads)
    if effects.ablation is not None:
        changes = {change.head: change.logit for change in effects.ablation.heads}
        unit = "change of the logit" if effects.against is None else "change of the difference"
        maps += _maps(f"{effects.ablation.method} ablation", unit, changes)
    return maps


def _maps(name: str, unit: str, values: Mapping[HeadPlace, float]) -> list[Grid]:
    kinds = list(dict.fromkeys(kind for kind, _, _ in values))
    return [_map(f"{name}{_of(kind, kinds)}", unit, kind, values) for kind in kinds]


def _of(kind: Kind, kinds: list[Kind]) -> str:
    return f", {kind} attention" if len(kinds) > 1 else ""


def _map(name: str, unit: str, kind: Kind, values: Mapping[HeadPlace, float]) -> Grid:
    of_kind = {(layer, head): value for (which, layer, head), value in values.items() if which is kind}
    layers, heads = (sorted(set(numbers)) for numbers in zip(*of_kind, strict=True))
    cells = np.full((len(layers), len(heads)), np.nan)
    for (layer, head), value in of_kind.items():
        cells[layers.index(layer), heads.index(head)] = value
    seen = np.isfinite(cells)
    cells = np.where(seen, cells, 0.0)
    names = [str(layer) for layer in layers], [str(head) for head in heads]
    grid = grid_of(f"{name}, layer × head", cells, *names, seen, around_zero(cells), are_tokens=False)
    return replace(grid, step=name, unit=unit, axes=("layer", "head"))
