"""The nodes of a graph: the tokens that edges lead from and to, and the prediction."""

from collections.abc import Iterable

from attn_cli.answers.graph import EdgeKind, GraphEdge, GraphNode
from attn_cli.answers.prediction import Prediction
from attn_cli.reading.reading import Reading
from attn_cli.record import record
from attn_cli.vocabulary import Kind

PREDICTION = "prediction"
"""The id of what the model predicts."""

_AFTER_SIDE = "-"  # a name in GraphML has no spaces


@record(frozen=True, slots=True)
class TokenNodes:
    """The tokens of a reading before each layer: the keys and queries of its heads."""

    reading: Reading

    def key(self, kind: Kind, layer: int, position: int) -> str:
        """The id of the token that heads of this layer read; of cross-attention the encoder's output."""
        if kind is Kind.CROSS:
            return _id("encoder", len(self.reading.source.kinds[Kind.ENCODER].layers), position)
        return _id(_side(kind), layer, position)

    def query(self, kind: Kind, layer: int, position: int) -> str:
        """The id of the token before the next layer, into which heads of this layer write."""
        return _id("decoder" if kind is Kind.CROSS else _side(kind), layer + 1, position)

    def named(self, ids: Iterable[str]) -> list[GraphNode]:
        """The nodes with these ids, by side, layer and position."""
        nodes = [self._node(each) for each in dict.fromkeys(ids) if each != PREDICTION]
        return sorted(nodes, key=lambda node: (-len(node.side), node.side, node.layer, node.position))

    def _node(self, each: str) -> GraphNode:
        side, _, place = each.rpartition(_AFTER_SIDE)
        layer, position = map(int, place.split("."))
        tokens = self.reading.texts.target if side == "decoder" else self.reading.tokens
        return GraphNode(each, tokens[position].text, layer, position, side)


def predicted(prediction: Prediction) -> GraphNode:
    """The node of what the model predicts."""
    return GraphNode(PREDICTION, prediction.text)


def head_kind(kind: Kind, query: int, key: int) -> EdgeKind:
    """Whether a head looks at the query's own token."""
    return EdgeKind.SELF if kind is not Kind.CROSS and query == key else EdgeKind.HEAD


def ends(edges: Iterable[GraphEdge]) -> Iterable[str]:
    """The ids of the nodes that edges join."""
    for edge in edges:
        yield edge.source
        yield edge.target


def _side(kind: Kind) -> str:
    """The stack that this self-attention is of, if the model has two."""
    return "" if kind is Kind.SELF else str(kind)


def _id(side: str, layer: int, position: int) -> str:
    return f"{side}{_AFTER_SIDE if side else ''}{layer}.{position}"
