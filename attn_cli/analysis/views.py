"""Heads as labelled matrices: the tokens that look down the side, where they look on top."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from attn_cli.grid import Grid, Head, Sides, limits_of, make_grid
from attn_cli.vocabulary import Step

_MASKED = frozenset({Step.LOGITS, Step.WEIGHTS})  # scores and bias are there before the mask is


def views(texts: Sides, heads: Sequence[Head]) -> Iterator[Grid]:
    """Every step of the heads; `texts` is what the tokens stand for."""
    return (view(texts, head, step) for head in heads for step in head.steps)


def view(texts: Sides, head: Head, step: Step) -> Grid:
    """One step of a head: tokens by tokens, or tokens by features."""
    name = f"{step} {head.name}"
    if step is Step.SCORES:
        name += f" · q·k × {head.scale:.4g}"
    values = np.asarray(head.steps[step], dtype=np.float64)
    queries = _names(texts.queries, head.queries, is_pooled=head.is_pooled)
    keys = _names(texts.keys, head.keys, is_pooled=head.is_pooled)
    if not step.is_pairwise:
        features = [str(feature) for feature in range(values.shape[-1])]
        sides, places = (keys, head.keys) if step.is_of_keys else (queries, head.queries)
        found = make_grid(name, values, sides, features, are_tokens=False)
        return replace(found, by_size=True, row_places=places)
    found = make_grid(name, values, queries, keys, head.mask if step in _MASKED else None)
    seen = replace(found, row_places=head.queries, column_places=head.keys, cells=head.cells)
    if step is Step.WEIGHTS:
        return replace(seen, limits=(0.0, seen.limits[1]))
    return replace(seen, ranked=head.mask)  # the largest scores are those that the softmax will see


def shares(texts: Sides, pooled: Grid) -> Grid:
    """Pooled weights as what a query gives to all keys of a cell together: numbers that can be read.

    Anything else is left as it is.
    """
    if not pooled.is_pooled:
        return pooled
    assert pooled.column_places is not None, "a cell is named by the first of its keys"
    values = pooled.values * np.diff(pooled.column_places, append=len(texts.keys))
    reach = max(abs(limit) for limit in limits_of(values, pooled.visible))
    return replace(pooled, values=values, limits=(-reach if pooled.by_size else 0.0, reach), is_summed=True)


def _names(texts: Sequence[str], places: Sequence[int], *, is_pooled: bool) -> list[str]:
    """What the tokens at those places stand for; a cell of several is named by the place of the first."""
    return [str(place) if is_pooled else texts[place] for place in places]


def table(texts: Sides, heads: Sequence[Head], step: Step) -> list[list[Grid]]:
    """One step of the heads as panels: a row for each layer, where every layer has the same heads."""
    by_layer: dict[int, list[Head]] = {}
    for head in heads:
        by_layer.setdefault(head.layer, []).append(head)
    same = {tuple(head.head for head in row) for row in by_layer.values()}
    is_model = len(same) == 1 and len(heads) > len(by_layer)
    rows = by_layer.values() if is_model else [heads]
    return [[view(texts, head, step) for head in row] for row in rows]


def weights_on_one_scale(texts: Sides, heads: Sequence[Head]) -> list[Grid]:
    """The weights of the heads, coloured alike: equal colours are equal weights."""
    alone = [view(texts, head, Step.WEIGHTS) for head in heads]
    limits = (0.0, max(each.limits[1] for each in alone))
    return [replace(each, limits=limits) for each in alone]
