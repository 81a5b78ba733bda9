"""Writes graphs in Graphviz's language: layers from bottom to top, wide edges for large weights.

https://graphviz.org/doc/info/lang.html: in a quoted string only the quote is escaped, but a label also takes
backslashes and `&entity;` for instructions.
"""

from collections.abc import Iterator, Mapping

from attn_cli.answers.graph import AttentionGraph, EdgeKind, EdgeMeasure, GraphEdge, GraphNode
from attn_cli.safe_text import label, printable
from attn_cli.show.graph.content import GraphContent, Value, edge_label, held_in_words, of_whole

_WIDEST = 5.0  # points
_NARROWEST = 0.3
_POSITIVE, _NEGATIVE, _QUIET = "#1f5f99", "#b2462e", "#999999"
_MARGIN = "  "


def as_dot(content: GraphContent) -> bytes:
    """The file."""
    return "\n".join(_lines(content)).encode()


def _lines(content: GraphContent) -> Iterator[str]:
    graph = content.graph
    yield "digraph attention {"
    yield f'{_MARGIN}rankdir=BT; charset="UTF-8"; fontname="Helvetica"; {_attributes(_caption(content))}'
    yield f'{_MARGIN}node [shape=box, style=rounded, fontname="Helvetica", height=0.3];'
    yield f'{_MARGIN}edge [fontname="Helvetica", fontsize=9, arrowsize=0.6];'
    for layer in dict.fromkeys((node.side, node.layer) for node in graph.nodes):
        of_layer = [node for node in graph.nodes if (node.side, node.layer) == layer]
        yield f"{_MARGIN}{{ rank=same; {' '.join(map(_node, of_layer))} }}"
    widest = max((_size(edge) for edge in graph.edges if edge.head is not None), default=0.0)
    height = _heights(graph)
    for edge in graph.edges:
        rows = {"minlen": max(1, height[edge.target] - height[edge.source])}
        look = _attributes(_edge(graph, edge, widest) | rows)
        yield f"{_MARGIN}{_quoted(edge.source)} -> {_quoted(edge.target)} [{look}];"
    yield "}\n"


def _caption(content: GraphContent) -> dict[str, Value]:
    whole = of_whole(content)
    held = held_in_words(content.graph.share)
    share = f"{whole['kept_edges']} of {whole['head_edges']} edges of heads hold {held}"
    return {"label": f"{whole['measure']} · {whole['model']} · {share}"}


def _node(node: GraphNode) -> str:
    if node.position is None:
        return f"{_quoted(node.id)} [{_attributes({'label': label(node.text)})}];"
    look: dict[str, Value] = {
        "label": f"{label(node.text)}\n{node.id}",
        "group": f"{node.side}{node.position}",
    }
    return f"{_quoted(node.id)} [{_attributes(look)}];"


def _heights(graph: AttentionGraph) -> dict[str, int]:
    """The row of each node: its layer; the prediction is above all."""
    top = 1 + max((node.layer for node in graph.nodes if node.layer is not None), default=0)
    return {node.id: top if node.layer is None else node.layer for node in graph.nodes}


def _edge(graph: AttentionGraph, edge: GraphEdge, widest: float) -> dict[str, Value]:
    share = min(1.0, _size(edge) / widest) if widest else 0.0
    width = round(_NARROWEST + (_WIDEST - _NARROWEST) * share, 2)
    is_of_head = edge.kind in {EdgeKind.HEAD, EdgeKind.SELF}
    look: dict[str, Value] = {
        "label": edge_label(graph, edge) if is_of_head or graph.measure is EdgeMeasure.EFFECTS else "",
        "penwidth": width if is_of_head else _NARROWEST,
        "color": _color(edge) if is_of_head else _QUIET,
        "style": "solid" if is_of_head else "dashed",
    }
    weight = {} if edge.weight is None else {str(graph.measure): edge.weight}
    return look | {"kind": str(edge.kind)} | weight


def _size(edge: GraphEdge) -> float:
    return abs(edge.weight or 0.0)


def _color(edge: GraphEdge) -> str:
    return _POSITIVE if (edge.weight or 0.0) >= 0 else _NEGATIVE


def _attributes(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{name}={_quoted(str(value))}" for name, value in values.items())


def _quoted(text: str) -> str:
    """The text as a string that Graphviz shows as it is; a newline starts a new line."""
    shown = "\n".join(map(printable, text.split("\n")))
    plain = shown.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return f'"{plain}"'.replace("\n", "\\n")
