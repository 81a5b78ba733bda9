"""What a graph's file contains: the attributes of its nodes and edges, and of the whole, by name."""

from collections.abc import Mapping
from typing import TypeAlias, cast

from attn_cli.answers.graph import AttentionGraph, EdgeMeasure, GraphEdge, GraphNode
from attn_cli.record import record
from attn_cli.safe_text import label

Value: TypeAlias = str | int | float

_SIGNED = "+.2f"


@record(frozen=True, slots=True)
class GraphContent:
    """A graph, and the object of --json that says what was read."""

    graph: AttentionGraph
    document: Mapping[str, object]


def of_whole(content: GraphContent) -> dict[str, Value]:
    """What was read, what the edges are weighted by, and how many of them are kept."""
    graph, document = content.graph, content.document
    model = cast("Mapping[str, str]", document["model"])
    share = graph.share
    return {
        "generator": f"attn {document['attn']}",
        "model": model["name"],
        "text": cast("str", document["text"]),
        "measure": str(graph.measure),
        "keep": share.asked,
        "kept_share": share.held,
        "kept_edges": share.kept,
        "head_edges": share.total,
        **graph.facts,
    }


def of_node(node: GraphNode) -> dict[str, Value]:
    """The attributes of a node; those that it lacks are left out."""
    return _known(
        label=label(node.text),
        text=node.text,
        side=node.side or None,
        layer=node.layer,
        position=node.position,
    )


def of_edge(edge: GraphEdge) -> dict[str, Value]:
    """The attributes of an edge, likewise."""
    return _known(
        weight=edge.weight,
        kind=str(edge.kind),
        attention=None if edge.attention is None else str(edge.attention),
        layer=edge.layer,
        head=edge.head,
        alpha=edge.alpha,
    )


def kept_in_words(graph: AttentionGraph) -> str:
    """How many edges the graph has, and what they hold, as a sentence."""
    share = graph.share
    if not share.total:
        return "the graph has no edges of heads"
    edges = f"{share.kept:,} of {share.total:,} edges of heads"
    return f"the graph keeps {edges}: {share.held:.3f} of the sum of their absolute {graph.measure}"


def edge_label(graph: AttentionGraph, edge: GraphEdge) -> str:
    """Which head, or what else, and its weight."""
    if edge.weight is None:
        return edge.name
    number = f"{edge.weight:{_SIGNED}}" if graph.measure is EdgeMeasure.EFFECTS else f"{edge.weight:.2f}"
    return f"{edge.name} {number}"


def _known(**attributes: Value | None) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if value is not None}
