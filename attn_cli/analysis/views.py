"""Heads as labelled matrices: the tokens that look down the side, where they look on top."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from attn_cli.core.grid import Grid, Head, Sides, grid
from attn_cli.vocabulary import Step

_OF_KEYS = frozenset({Step.KEYS, Step.VALUES})
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
    queries = [texts.queries[place] for place in head.queries]
    keys = [texts.keys[place] for place in head.keys]
    if not step.is_pairwise:
        features = [str(feature) for feature in range(values.shape[-1])]
        sides = keys if step in _OF_KEYS else queries
        return replace(grid(name, values, sides, features, are_tokens=False), by_size=True)
    seen = grid(name, values, queries, keys, head.mask if step in _MASKED else None)
    if step is Step.WEIGHTS:
        return replace(seen, limits=(0.0, seen.limits[1]))
    return replace(seen, ranked=head.mask)  # the largest scores are those that the softmax will see


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
