"""Writes graphs as GraphML, line by line: networkx's own writer holds every attribute as an object.

http://graphml.graphdrawing.org: attributes are declared with their types before the nodes. Characters that
XML does not allow, control characters and lone surrogates, are escaped as everywhere.
"""

from collections.abc import Iterable, Iterator, Mapping

from attn_cli.record import record
from attn_cli.safe_text import printable
from attn_cli.show.graph.content import GraphContent, Value, of_edge, of_node, of_whole

_TYPES = {str: "string", int: "int", float: "double"}
_HEADER = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns '
    'http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">'
)


def as_graphml(content: GraphContent) -> bytes:
    """The file."""
    return "\n".join(_lines(content)).encode()


@record(frozen=True, slots=True)
class _Keys:
    """The names under which attributes of graphs, nodes or edges are declared."""

    domain: str
    names: Mapping[str, str]
    types: Mapping[str, type]

    @classmethod
    def of(cls, domain: str, attributes: Iterable[Mapping[str, Value]]) -> "_Keys":
        """Those of all attributes that occur."""
        types = {name: type(value) for each in attributes for name, value in each.items()}
        return cls(domain, {name: f"{domain[0]}{number}" for number, name in enumerate(types)}, types)

    def declared(self) -> Iterator[str]:
        """A line for each."""
        for name, key in self.names.items():
            kind = _TYPES[self.types[name]]
            yield f'<key id="{key}" for="{self.domain}" attr.name="{name}" attr.type="{kind}"/>'

    def data(self, attributes: Mapping[str, Value]) -> str:
        """The values of some attributes."""
        return "".join(
            f'<data key="{self.names[name]}">{_escaped(str(value))}</data>'
            for name, value in attributes.items()
        )


def _lines(content: GraphContent) -> Iterator[str]:
    graph, whole = content.graph, of_whole(content)
    of_graph = _Keys.of("graph", [whole])
    of_nodes = _Keys.of("node", map(of_node, graph.nodes))
    of_edges = _Keys.of("edge", map(of_edge, graph.edges))
    yield _HEADER
    for keys in (of_graph, of_nodes, of_edges):
        yield from keys.declared()
    yield '<graph edgedefault="directed">'
    yield of_graph.data(whole)
    for node in graph.nodes:
        yield f'<node id="{node.id}">{of_nodes.data(of_node(node))}</node>'
    for number, edge in enumerate(graph.edges):
        ends = f'source="{edge.source}" target="{edge.target}"'
        yield f'<edge id="e{number}" {ends}>{of_edges.data(of_edge(edge))}</edge>'
    yield "</graph>\n</graphml>\n"


def _escaped(text: str) -> str:
    from xml.sax.saxutils import escape  # few files are XML

    return escape(printable(text))
