"""Attention as a graph: tokens before each layer, joined by heads, and what the model predicts."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import StrEnum

from attn_cli.answers.effects import KeptShare
from attn_cli.record import record
from attn_cli.vocabulary import Kind


class EdgeMeasure(StrEnum):
    """What the edges of heads are weighted by."""

    EFFECTS = "effects"
    WEIGHTS = "weights"
    NORMS = "norms"


class EdgeKind(StrEnum):
    """What leads from one node to another."""

    HEAD = "head"  # a head that looks at another token
    SELF = "self"  # a head that looks at the query's own token
    RESIDUAL = "residual"  # the residual stream, which no head is part of
    FEED_FORWARD = "feed-forward"


@record(frozen=True, slots=True)
class GraphNode:
    """A token before a layer, or after the last one; or what the model predicts."""

    id: str
    text: str
    layer: int | None = None  # the one that reads it, or the number of layers; None: it is the prediction
    position: int | None = None
    side: str = ""  # encoder or decoder, if the model has both


@record(frozen=True, slots=True)
class GraphEdge:
    """A head at one of its keys, or what leads on without a head."""

    source: str  # the ids of two nodes
    target: str
    kind: EdgeKind
    weight: float | None  # by the measure of the graph; None: it has none for what is no head
    layer: int | None = None
    head: int | None = None
    attention: Kind | None = None  # of a head
    alpha: float | None = None  # the weight of a head on its key, if the graph has another measure

    @property
    def name(self) -> str:
        """Which head, or what else: unique between two nodes."""
        if self.head is not None:
            return f"{'cross ' if self.attention is Kind.CROSS else ''}{self.layer}.{self.head}"
        return str(self.kind) if self.layer is None else f"{self.kind} {self.layer}"


@record(frozen=True, slots=True)
class AttentionGraph:
    """The nodes, the edges, and what is left out."""

    measure: EdgeMeasure
    share: KeptShare
    nodes: Sequence[GraphNode]
    edges: Sequence[GraphEdge]
    facts: Mapping[str, str | float | int] = field(default_factory=dict)  # of the whole, by name
