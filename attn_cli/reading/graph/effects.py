"""The graph of effects: each head at each of its keys, on the direct way to the prediction."""

from collections.abc import Collection, Iterable, Iterator

import numpy as np

from attn_cli.answers.effects import DirectEffects, Effects, HeadPlace, KeptLooks, LookEffect
from attn_cli.answers.graph import AttentionGraph, EdgeKind, EdgeMeasure, GraphEdge
from attn_cli.models.predictions import Looks
from attn_cli.reading.graph.keeping import strongest
from attn_cli.reading.graph.nodes import PREDICTION, TokenNodes, ends, head_kind, predicted
from attn_cli.reading.reading import Reading


def kept_looks(layers: Iterable[Looks], share: float, heads: Collection[HeadPlace]) -> KeptLooks:
    """The strongest looks of these heads, the strongest first.

    Raises:
        AttnError: they are too many for a file.
    """
    found = [(looks, head) for looks in layers for head in _chosen(looks, heads)]
    effects = np.concatenate([looks.effects[head] for looks, head in found]) if found else np.zeros(0)
    starts = np.cumsum([0, *(len(looks.effects[head]) for looks, head in found)])
    seen = np.flatnonzero(effects)
    order, kept = strongest(np.abs(effects[seen]), share)
    places = seen[order]
    owners = np.searchsorted(starts, places, side="right") - 1
    listed = [
        _look(found[owner], place - start)
        for owner, place, start in zip(owners.tolist(), places.tolist(), starts[owners].tolist(), strict=True)
    ]
    return KeptLooks(listed, kept)


def _chosen(looks: Looks, heads: Collection[HeadPlace]) -> Iterator[int]:
    return (head for head in range(len(looks.effects)) if (looks.kind, looks.layer, head) in heads)


def _look(of_head: tuple[Looks, int], key: int) -> LookEffect:
    looks, head = of_head
    weight, effect = float(looks.weights[head, key]), float(looks.effects[head, key])
    return LookEffect((looks.kind, looks.layer, head), key, weight, effect)


def effects_graph(
    reading: Reading, effects: Effects, direct: DirectEffects, kept: KeptLooks
) -> AttentionGraph:
    """The graph whose edges, if all are kept, add up to the logit, less the constant parts in its facts."""
    nodes, position = TokenNodes(reading), effects.position
    edges = [
        *(_head_edge(nodes, look, position) for look in kept.looks),
        *_other_edges(nodes, reading, direct, position),
    ]
    facts: dict[str, str | float | int] = {
        "position": position,
        "logit": effects.target.logit,
        "probability": effects.target.probability,
        "bias": direct.bias,
        "constant": direct.constant,
        "mean": direct.mean,
        "sum": direct.total,
    }
    if direct.softcap is not None:
        facts["softcap"] = direct.softcap
    if effects.against is not None:
        facts["against"] = effects.against.text
    tokens = nodes.named(ends(edges))
    return AttentionGraph(EdgeMeasure.EFFECTS, kept.share, [*tokens, predicted(effects.target)], edges, facts)


def _head_edge(nodes: TokenNodes, look: LookEffect, position: int) -> GraphEdge:
    kind, layer, head = look.head
    return GraphEdge(
        nodes.key(kind, layer, look.key),
        PREDICTION,
        head_kind(kind, position, look.key),
        look.effect,
        layer,
        head,
        kind,
        look.weight,
    )


def _other_edges(
    nodes: TokenNodes, reading: Reading, direct: DirectEffects, position: int
) -> Iterator[GraphEdge]:
    """What the embedding and the feed-forward blocks write at the position."""
    kind = reading.kind
    yield GraphEdge(nodes.key(kind, 0, position), PREDICTION, EdgeKind.RESIDUAL, direct.embedding)
    for layer, effect in direct.feed_forward.items():
        source = nodes.key(kind, layer, position)
        yield GraphEdge(source, PREDICTION, EdgeKind.FEED_FORWARD, effect, layer)
