"""What does N² cost? Operations and bytes of attention at this text's length and at longer ones.

T queries, S keys, D head size of queries and keys, E of values, H heads, G key/value heads, M model width.
"""

from attn_cli.answers.lessons.windows import UsedWindow, pairs_in
from attn_cli.core.masks import causal
from attn_cli.record import record
from attn_cli.vocabulary import Kind

BYTES = 4
"""Of a number in float32."""

SOFTMAX = 5
"""Operations per score: compare, subtract, exp, add, divide."""


@record(frozen=True, slots=True)
class LayerSize:
    """The dimensions that the cost of a layer depends on."""

    layers: int  # of the model, with this kind of attention
    heads: int
    kv_heads: int
    size: int  # D
    value_size: int  # E

    @property
    def per_pair(self) -> int:
        """Operations of one layer for one query and one key, in all heads: scores, softmax, context."""
        return (2 * self.size + SOFTMAX + 2 * self.value_size) * self.heads

    @property
    def cached(self) -> int:
        """Numbers of one layer's keys and values for one token."""
        return self.kv_heads * (self.size + self.value_size)


@record(frozen=True, slots=True)
class MatrixProducts:
    """The weights of one layer that every token is multiplied with: two operations for each."""

    width: int  # M
    of_queries: int  # numbers in W^Q and W^O
    of_keys: int  # in W^K and W^V
    feed_forward: int  # 0: the layer has none
    inner: int = 0  # the size of the feed-forward block
    matrices: int = 0  # of the feed-forward block: 2, or 3 with a gate

    @property
    def projections(self) -> int:
        """Numbers in W^Q, W^K, W^V and W^O."""
        return self.of_queries + self.of_keys


@record(frozen=True, slots=True)
class TextLength:
    """A number of queries and of keys."""

    queries: int  # T
    keys: int  # S

    @property
    def pairs(self) -> int:
        """T · S."""
        return self.queries * self.keys


@record(frozen=True, slots=True)
class Measured:
    """How long one layer of this size took on this machine."""

    tokens: int
    operations: int
    seconds: float
    library: str
    device: str

    @property
    def speed(self) -> float:
        """Operations per second."""
        return self.operations / self.seconds


@record(frozen=True, slots=True)
class LengthStudy:
    """The cost of attention in texts of several lengths."""

    model: str
    kind: Kind
    place: tuple[int, int]  # the layer and the head
    query: int
    layer: LayerSize
    products: MatrixProducts | None  # None: not known
    text: TextLength
    lengths: tuple[TextLength, ...]  # the shortest first, the text's own among them
    is_causal: bool
    window: UsedWindow | None  # None: between two texts there is none
    measured: Measured

    @property
    def is_cross(self) -> bool:
        """Whether queries and keys are tokens of two texts."""
        return self.kind is Kind.CROSS

    def visible(self, length: TextLength) -> int:
        """The pairs of which the query may look at the key, if the layer has no window."""
        return pairs_in(causal, length.queries) if self.is_causal else length.pairs

    def in_window(self, length: TextLength) -> int:
        """The pairs within the window."""
        assert self.window is not None, "only within one text"
        return pairs_in(self.window.band, length.queries)

    def operations(self, pairs: int) -> int:
        """Operations for so many pairs, in all layers."""
        return self.layer.layers * self.layer.per_pair * pairs

    def projections(self, length: TextLength) -> int:
        """Operations of the projections of all layers."""
        assert self.products is not None, "checked by the caller"
        weights = self.products.of_queries * length.queries + self.products.of_keys * length.keys
        return 2 * self.layer.layers * weights

    def feed_forward(self, length: TextLength) -> int:
        """Operations of the feed-forward blocks of all layers."""
        assert self.products is not None, "checked by the caller"
        return 2 * self.layer.layers * self.products.feed_forward * length.queries

    @property
    def crossing(self) -> float | None:
        """The number of tokens at which T × S takes as many operations as all the rest; None: not known."""
        if self.products is None:
            return None
        return 2 * (self.products.projections + self.products.feed_forward) / self.layer.per_pair

    def bytes_of_matrix(self, length: TextLength) -> int:
        """Bytes of one T × S matrix of all heads of one layer, in float32."""
        return BYTES * length.pairs * self.layer.heads

    def bytes_of_cache(self, length: TextLength) -> int:
        """Bytes of the keys and values of all layers, in float32."""
        return BYTES * self.layer.layers * self.layer.cached * length.keys
