"""The kinds of file that hold a graph; a writer is imported when it is used."""

from enum import StrEnum

from attn_cli.show.graph.content import GraphContent
from attn_cli.show.writers import FileKind


class GraphSchema(StrEnum):
    """What a .json file has in place of the object of --json."""

    NODE_LINK = "node-link"
    NEURONPEDIA = "neuronpedia"


def _graphml(content: GraphContent) -> bytes:
    from attn_cli.show.graph.graphml import as_graphml

    return as_graphml(content)


def _dot(content: GraphContent) -> bytes:
    from attn_cli.show.graph.dot import as_dot

    return as_dot(content)


def _node_link(content: GraphContent) -> bytes:
    from attn_cli.show.graph.node_link import as_node_link

    return as_node_link(content)


def _neuronpedia(content: GraphContent) -> bytes:
    from attn_cli.show.graph.neuronpedia import as_neuronpedia

    return as_neuronpedia(content)


GRAPHS = FileKind({".graphml": _graphml, ".dot": _dot})
"""A graph, whatever --schema says."""

JSON_GRAPHS = {
    GraphSchema.NODE_LINK: FileKind({".json": _node_link}),
    GraphSchema.NEURONPEDIA: FileKind({".json": _neuronpedia}),
}
"""A graph in a .json file, by its schema."""
