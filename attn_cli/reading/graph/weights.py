"""The graph of weights or of norms: each head of each layer, from each key to each query that looks at it."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from attn_cli.answers.effects import HeadPlace
from attn_cli.answers.graph import AttentionGraph, EdgeKind, EdgeMeasure, GraphEdge, GraphNode
from attn_cli.answers.prediction import Prediction
from attn_cli.core.arrays import Floats, Indices
from attn_cli.errors import AttnError
from attn_cli.models.source import Layer
from attn_cli.reading.graph.keeping import strongest
from attn_cli.reading.graph.nodes import PREDICTION, TokenNodes, ends, head_kind, predicted
from attn_cli.reading.memory import check_run_fits
from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place
from attn_cli.reading.steps import ShownLayer, unwarned
from attn_cli.reading.window import LARGEST
from attn_cli.record import record
from attn_cli.vocabulary import Kind, Step

_MOST_PAIRS = 1 << 24  # of a query and a key, of all heads together: 16 million
_STEPS = {
    EdgeMeasure.WEIGHTS: (Step.WEIGHTS,),
    EdgeMeasure.NORMS: (Step.NORMS, Step.WEIGHTS),
}
_HELD = 8  # numbers of 4 bytes for each of them: its weight, its place, their order, their sums


@record(frozen=True, slots=True)
class Predicted:
    """What the model predicts, and at which position."""

    position: int
    token: Prediction


@record(frozen=True, slots=True, eq=False)
class _Block:
    """The numbers above 0 in some rows of one head, which are weights or norms."""

    kind: Kind
    layer: int
    head: int
    queries: Indices  # (N,)
    keys: Indices  # (N,)
    numbers: Floats  # (N,)
    weights: Floats | None = None  # (N,) of the softmax; None: the numbers are these


@unwarned
def weights_graph(
    reading: Reading,
    heads: Collection[HeadPlace],
    measure: EdgeMeasure,
    share: float,
    prediction: Predicted | None,
) -> AttentionGraph:
    """The strongest weights or norms of these heads, and the residual stream of every token.

    Raises:
        AttnError: the edges are too many, memory is short, a number is not finite, or norms are not known.
    """
    _check_size(reading, heads)
    blocks = list(_blocks(reading, heads, _STEPS[measure]))
    order, kept = strongest(np.concatenate([block.numbers for block in blocks]), share)
    starts = np.cumsum([0, *(len(block.numbers) for block in blocks)])
    owners = np.searchsorted(starts, order, side="right") - 1
    nodes = TokenNodes(reading)
    edges = [
        *(_edge(nodes, blocks[owner], place) for owner, place in _within(owners, order - starts[owners])),
        *_residual_edges(nodes, reading, 1.0 if measure is EdgeMeasure.WEIGHTS else None, prediction),
    ]
    return AttentionGraph(
        measure,
        kept,
        [*nodes.named(ends(edges)), *_predicted(prediction)],
        edges,
        _facts(prediction),
    )


def with_cross_heads(reading: Reading, places: Collection[Place]) -> list[HeadPlace]:
    """The chosen heads of the stack that the reading is of, and of a decoder's cross-attention."""
    kinds = (Kind.DECODER, Kind.CROSS) if reading.kind is Kind.DECODER else (reading.kind,)
    return [(kind, *place) for kind in kinds for place in places]


def _check_size(reading: Reading, heads: Collection[HeadPlace]) -> None:
    texts = reading.texts
    pairs = sum(len(texts.queries(kind)) * len(texts.keys(kind)) for kind, _, _ in heads)
    if pairs > _MOST_PAIRS:
        problem = f"a graph of the weights of {len(heads):,} heads has {pairs:,} pairs of a query and a key"
        raise AttnError(f"{problem}: at most {_MOST_PAIRS:,}", "a shorter text, or fewer heads: --heads")
    check_run_fits(reading, pairs * _HELD, "a shorter text, or fewer heads: --heads")


def _blocks(reading: Reading, heads: Collection[HeadPlace], steps: Sequence[Step]) -> Iterator[_Block]:
    for kind in dict.fromkeys(kind for kind, _, _ in heads):
        layers = sorted({layer for which, layer, _ in heads if which is kind})
        attentions = reading.source.attentions(reading.texts, kind, layers)
        for number, layer in zip(layers, attentions, strict=False):
            chosen = sorted(head for which, each, head in heads if which is kind and each == number)
            _check_known(reading, number, layer, steps)
            yield from _blocks_of_layer(ShownLayer(kind, number, layer), chosen, steps, reading)


def _check_known(reading: Reading, number: int, layer: Layer, steps: Sequence[Step]) -> None:
    for step in steps:
        if step in layer.absent:
            problem = f"{reading.source.card.name} has no {step} in layer {number}: {layer.absent[step]}"
            raise AttnError(problem, "--graph weights")


def _blocks_of_layer(
    layer: ShownLayer, heads: Sequence[int], steps: Sequence[Step], reading: Reading
) -> Iterator[_Block]:
    queries, keys = len(reading.texts.queries(layer.kind)), len(reading.texts.keys(layer.kind))
    step = max(1, LARGEST // (keys * len(heads)))
    for start in range(0, queries, step):
        rows = range(start, min(start + step, queries))
        for head, (numbers, *weights) in zip(
            heads, zip(*layer.matrices(steps, heads, rows), strict=True), strict=True
        ):
            row, key = np.nonzero(numbers)
            alphas = weights[0][row, key] if weights else None
            yield _Block(layer.kind, layer.number, head, row + start, key, numbers[row, key], alphas)


def _within(owners: Indices, places: Indices) -> Iterator[tuple[int, int]]:
    """Each edge as the number of its block, and its place there."""
    return zip(owners.tolist(), places.tolist(), strict=True)


def _edge(nodes: TokenNodes, block: _Block, place: int) -> GraphEdge:
    query, key = int(block.queries[place]), int(block.keys[place])
    return GraphEdge(
        nodes.key(block.kind, block.layer, key),
        nodes.query(block.kind, block.layer, query),
        head_kind(block.kind, query, key),
        float(block.numbers[place]),
        block.layer,
        block.head,
        block.kind,
        None if block.weights is None else float(block.weights[place]),
    )


def _residual_edges(
    nodes: TokenNodes, reading: Reading, weight: float | None, prediction: Predicted | None
) -> Iterator[GraphEdge]:
    """What every layer passes on of each token; the last one to the language head."""
    kind, extent = reading.kind, reading.extent
    last = 1 + max((*extent.layers, *extent.others))
    if not reading.source.has_decoder:
        last = max(last, reading.source.card.layers)  # a hybrid model may end with layers without attention
    for layer in range(last):
        for position in range(len(reading.queries)):
            before, after = nodes.key(kind, layer, position), nodes.key(kind, layer + 1, position)
            yield GraphEdge(before, after, EdgeKind.RESIDUAL, weight, layer)
    if prediction is not None:
        yield GraphEdge(nodes.key(kind, last, prediction.position), PREDICTION, EdgeKind.RESIDUAL, weight)


def _predicted(prediction: Predicted | None) -> list[GraphNode]:
    return [] if prediction is None else [predicted(prediction.token)]


def _facts(prediction: Predicted | None) -> dict[str, str | float | int]:
    if prediction is None:
        return {}
    token = prediction.token
    return {"position": prediction.position, "logit": token.logit, "probability": token.probability}
