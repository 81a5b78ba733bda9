"""Writes graphs as node-link JSON, as networkx's `node_link_graph` reads it (its edges are under `edges`)."""

from attn_cli.show import data
from attn_cli.show.graph.content import GraphContent, of_edge, of_node, of_whole


def as_node_link(content: GraphContent) -> bytes:
    """The file: `json.load`, then `networkx.node_link_graph(..., edges="edges")`."""
    graph = content.graph
    document = {
        "directed": True,
        "multigraph": True,
        "graph": of_whole(content),
        "nodes": [{"id": node.id, **of_node(node)} for node in graph.nodes],
        "edges": [
            {"source": edge.source, "target": edge.target, "key": edge.name, **of_edge(edge)}
            for edge in graph.edges
        ],
    }
    return f"{data.as_json(document)}\n".encode()
