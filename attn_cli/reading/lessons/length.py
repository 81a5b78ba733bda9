"""What does N² cost? Operations and bytes of attention at this text's length and at longer ones.

T queries, S keys, D head size of queries and keys, E of values, H heads, G key/value heads, M model width.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np

from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands, trace
from attn_cli.core.masks import causal
from attn_cli.core.multihead import Attention
from attn_cli.models.backend import Backend
from attn_cli.models.source import Layer
from attn_cli.reading.lessons.pairs import NATIVE, UsedWindow, is_causal, pairs_in, window_of
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place
from attn_cli.reading.steps import run_layers
from attn_cli.record import record
from attn_cli.vocabulary import RANDOM, Kind

LENGTHS = (1_024, 32_768, 1_000_000)
"""The lengths that the text's own is compared with, in tokens."""

BYTES = 4
"""Of a number in float32."""

SOFTMAX = 5
"""Operations per score: compare, subtract, exp, add, divide."""

_EXAMPLE = 4_096  # tokens: the window for comparison if the model has none
_SHORTEST, _LONGEST = 64, 2_048  # tokens of the measured layer
_LARGEST = 1 << 24  # numbers of a measured matrix: 64 MB
_TIME = 0.25  # seconds, for all runs together; two runs over a text twice as long take eight times one run
_SEED = 0

Clock = Callable[[], float]


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
    place: Place
    query: int
    layer: LayerSize
    products: MatrixProducts | None  # None: not known
    lengths: tuple[TextLength, ...]  # the text's own first
    is_causal: bool
    window: UsedWindow | None  # None: between two texts there is none
    measured: Measured

    @property
    def text(self) -> TextLength:
        """The length of the text."""
        return self.lengths[0]

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


def study(request: LessonRequest, clock: Clock = perf_counter) -> LengthStudy:
    """The cost of the request's layer; a layer of its size is measured for about 0.2 s.

    Raises:
        AttnError: the weights are damaged.
    """
    reading, (number, _) = request.reading, request.place
    ((_, layer),) = run_layers(reading, [number])
    size = _size(reading, layer)
    own = TextLength(len(reading.queries), len(reading.keys))
    return LengthStudy(
        model=reading.source.card.name,
        kind=reading.kind,
        place=request.place,
        query=request.query,
        layer=size,
        products=_products(reading, layer, size),
        lengths=(own, *(TextLength(tokens, tokens) for tokens in LENGTHS)),
        is_causal=is_causal(reading, layer),
        window=window_of(reading, layer, _EXAMPLE),
        measured=measure(size, reading.source.backend, clock),
    )


def _size(reading: Reading, layer: Layer) -> LayerSize:
    """The dimensions of the layer; where only its softmax is known, those of the model."""
    layers = len(reading.extent.layers)
    if not isinstance(layer, Attention):
        card = reading.source.card
        return LayerSize(layers, layer.heads, card.kv_heads, card.head_size, card.head_size)
    operands = layer.operands
    size, value_size = (int(array.shape[-1]) for array in (operands.keys, operands.values))
    return LayerSize(layers, operands.heads, operands.kv_heads, size, value_size)


def _products(reading: Reading, layer: Layer, size: LayerSize) -> MatrixProducts | None:
    """The matrices of one layer; None if transformers computes them in a way of its own."""
    source = reading.source
    if source.engine != NATIVE or not isinstance(layer, Attention):
        return None
    width = source.card.width if layer.projection is None else int(layer.projection.weight.shape[0])
    of_queries = width * size.heads * (size.size + size.value_size)
    inner, matrices = (0, 0) if source.card.type == RANDOM else _feed_forward(reading)
    return MatrixProducts(width, of_queries, width * size.cached, matrices * width * inner, inner, matrices)


def _feed_forward(reading: Reading) -> tuple[int, int]:
    """The inner size of the feed-forward block, and how many matrices it has."""
    from attn_cli.models.native.checkpoint import Checkpoint  # already imported: the source is one

    assert isinstance(reading.source, Checkpoint), "the other native source is the random layer"
    spec = reading.source.spec
    if reading.kind in {Kind.DECODER, Kind.CROSS} and spec.decoder is not None:
        spec = spec.decoder
    block = spec.feed_forward
    return block.size, 3 if block.gate is not None or block.holds_gate else 2


def measure(size: LayerSize, backend: Backend, clock: Clock = perf_counter) -> Measured:
    """How fast every step of one layer over random vectors is computed.

    The text doubles until the time is used up, because the matrices of a short one fit into caches. Of the
    two longest texts the faster counts: another process may have delayed one of them.
    """
    tokens, spent, runs = _SHORTEST, 0.0, list[Measured]()
    _time(_random_layer(size, backend, tokens), clock)  # the first run starts the threads of the library
    while True:
        layer = _random_layer(size, backend, tokens)
        first, second = _time(layer, clock), _time(layer, clock)
        spent, seconds = spent + first + second, min(first, second)
        runs.append(Measured(tokens, size.per_pair * tokens**2, seconds, backend.name, backend.device))
        has_room = 2 * tokens <= _LONGEST and 4 * size.heads * tokens**2 <= _LARGEST
        if not has_room or spent + 8 * seconds > _TIME:
            return max(runs[-2:], key=lambda run: run.speed)
        tokens = 2 * tokens


def _time(operands: Operands, clock: Clock) -> float:
    start = clock()
    to_numpy(trace(operands).context)  # a GPU computes until the result is fetched
    return max(clock() - start, 1e-9)


def _random_layer(size: LayerSize, backend: Backend, tokens: int) -> Operands:
    """A causal layer over vectors from N(0, 1); its numbers do not matter, only how many there are."""
    draw = np.random.default_rng(_SEED)
    shapes = (
        (size.heads, tokens, size.size),
        (size.kv_heads, tokens, size.size),
        (size.kv_heads, tokens, size.value_size),
    )
    queries, keys, values = (
        backend.convert(draw.standard_normal(shape, dtype=np.float32)) for shape in shapes
    )
    return Operands(queries, keys, values, scale=size.size**-0.5, mask=causal)
