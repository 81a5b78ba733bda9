"""Attention as a graph: tokens are nodes, pairs that may look are edges, and a layer passes messages.

An edge goes from key j to query i and carries α_ij v_j. T queries, S keys.
"""

import numpy as np
import numpy.typing as npt

from attn_cli.answers.lessons.windows import UsedWindow
from attn_cli.core.arrays import Exact
from attn_cli.record import record
from attn_cli.vocabulary import Kind

STRONG = 0.1
"""The weight above which an edge is counted as strong."""


@record(frozen=True, slots=True)
class Edge:
    """An edge and its weight."""

    query: int
    key: int
    weight: float


@record(frozen=True, slots=True, eq=False)
class Degrees:
    """What the edges of one head come to at each token."""

    strong: npt.NDArray[np.int64]  # (T,) edges into the query with a weight above `STRONG`
    effective: Exact  # (T,) e^H: how many edges of equal weight have the same entropy; a sink is one more
    sent: Exact  # (S,) Σ_i α_ij
    seen: npt.NDArray[np.int64]  # (S,) queries that may look at the key
    of_sink: float  # the weight that a learned sink takes of all rows
    strongest: tuple[Edge, ...]  # between different tokens, the heaviest first


@record(frozen=True, slots=True)
class Agreement:
    """How far messages passed edge by edge are from the layer's own numbers."""

    rows: int  # queries that were compared
    edges: int  # of one head
    difference: float  # the largest absolute one
    largest: float  # the largest absolute number that was compared


@record(frozen=True, slots=True, eq=False)
class GraphStudy:
    """The graph of one head, and what one query receives."""

    model: str
    kind: Kind
    place: tuple[int, int]  # the layer and the head
    query: int
    key: int
    layers: int  # of the model, with this kind of attention
    heads: int
    queries: int  # T
    keys: int  # S
    edges: int  # of the text
    is_causal: bool
    window: UsedWindow | None  # the layer's own
    visible: tuple[int, ...]  # the keys with an edge to the query
    weights: Exact  # (S,) of the row
    sink: float | None  # the weight of the learned sink in the row
    entropy: float  # of the row, in nats; a sink is one more key
    feature: int  # of the values: the one in which the context is largest
    sent: Exact  # (S,) that feature of each value
    received: float  # that feature of the context
    context: Agreement  # of this head
    output: Agreement | None  # of all heads with W^O; None: W^O is not known
    has_bias: bool  # whether W^O has one
    degrees: Degrees | None  # None: the text is too long
    paths: int | None  # of two edges from the key to the query; None: another kind of graph, or too long

    @property
    def is_cross(self) -> bool:
        """Whether queries and keys are tokens of two texts."""
        return self.kind is Kind.CROSS

    @property
    def formula_edges(self) -> int:
        """The edges by the formula of a full or causal mask."""
        return self.queries * (self.queries + 1) // 2 if self.is_causal else self.queries * self.keys
