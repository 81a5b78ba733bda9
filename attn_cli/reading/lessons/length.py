"""What does N² cost? The dimensions of the layer, and how fast this machine computes one of that size."""

from collections.abc import Callable
from time import perf_counter

import numpy as np

from attn_cli.answers.lessons.length import LayerSize, LengthStudy, MatrixProducts, Measured, TextLength
from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands, trace
from attn_cli.core.masks import causal
from attn_cli.models.backend import Backend
from attn_cli.models.source import Layer
from attn_cli.reading.lessons.masking import NATIVE, is_causal, window_of
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import run_layers
from attn_cli.vocabulary import RANDOM, Kind

LENGTHS = (1_024, 32_768, 1_000_000)
"""The lengths that the text's own is compared with, in tokens."""

_EXAMPLE = 4_096  # tokens: the window for comparison if the model has none
_SHORTEST, _LONGEST = 64, 2_048  # tokens of the measured layer
_LARGEST = 1 << 24  # numbers of a measured matrix: 64 MB
_TIME = 0.25  # seconds, for all runs together; two runs over a text twice as long take eight times one run
_SEED = 0

Clock = Callable[[], float]


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
        text=own,
        lengths=lengths_beside(own),
        is_causal=is_causal(reading, layer),
        window=window_of(reading, layer, _EXAMPLE),
        measured=measure(size, reading.source.backend, clock),
    )


def lengths_beside(own: TextLength) -> tuple[TextLength, ...]:
    """The text's own length among those that it is compared with, by their longer sides."""
    others = {TextLength(tokens, tokens) for tokens in LENGTHS}
    return tuple(sorted(others | {own}, key=lambda length: (max(length.queries, length.keys), length.pairs)))


def _size(reading: Reading, layer: Layer) -> LayerSize:
    """The dimensions of the layer; where only its softmax is known, those of the model."""
    layers = len(reading.extent.layers)
    if layer.opened is None:
        card = reading.source.card
        return LayerSize(layers, layer.heads, card.kv_heads, card.head_size, card.head_size)
    operands = layer.opened.operands
    size, value_size = (int(array.shape[-1]) for array in (operands.keys, operands.values))
    return LayerSize(layers, operands.heads, operands.kv_heads, size, value_size)


def _products(reading: Reading, layer: Layer, size: LayerSize) -> MatrixProducts | None:
    """The matrices of one layer; None if transformers computes them in a way of its own."""
    source = reading.source
    opened = layer.opened
    if source.engine != NATIVE or opened is None or opened.projection is None:
        return None
    width = int(opened.projection.weight.shape[0])
    of_queries = width * size.heads * (size.size + size.value_size)
    block = (0, 0) if source.card.type == RANDOM else _feed_forward(reading)
    if block is None:
        return None
    inner, matrices = block
    return MatrixProducts(width, of_queries, width * size.cached, matrices * width * inner, inner, matrices)


def _feed_forward(reading: Reading) -> tuple[int, int] | None:
    """The inner size of the feed-forward block, and how many matrices it has; None: not known."""
    from attn_cli.models.native.checkpoint import Checkpoint  # already imported if the source is one

    if not isinstance(reading.source, Checkpoint):
        return None
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
