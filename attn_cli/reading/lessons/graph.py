"""Attention as message passing: computed edge by edge, and compared with the layer.

Gilmer et al. 2017, arXiv:1704.01212; Veličković et al. 2018, arXiv:1710.10903. H heads, T queries, S keys,
D head size.
"""

import math

import numpy as np
import numpy.typing as npt

from attn_cli.answers.lessons.graph import STRONG, Agreement, Degrees, Edge, GraphStudy
from attn_cli.answers.lessons.row import entropy_of
from attn_cli.answers.lessons.windows import Origin, pairs_in
from attn_cli.core.arrays import Array, Exact, device_of, exact, namespace, to_numpy
from attn_cli.core.attention import Operands, Trace, allowed, trace
from attn_cli.core.masks import narrowed
from attn_cli.core.multihead import Attention
from attn_cli.errors import AttnError
from attn_cli.reading.lessons.masking import is_causal, window_of
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.lessons.row import attention_of, keys_of, one_row, softmax_row
from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import check_finite, unwarned
from attn_cli.reading.window import LARGEST
from attn_cli.vocabulary import Kind, Step

_STRONGEST = 4  # edges that are listed


@unwarned
def study(request: LessonRequest) -> GraphStudy:
    """The graph of the request's head.

    Raises:
        AttnError: queries, keys or values are not known, or a number is not finite.
        UsageError: the query may look at no key.
    """
    attention, reading, (number, head) = attention_of(request), request.reading, request.place
    _check_values(request, attention)
    row = one_row(attention.operands, head, request.query)
    softmax, visible = softmax_row(row), tuple(keys_of(row, request))
    contexts = exact(trace(row).context)[0, 0]
    check_finite(bool(np.isfinite(contexts).all()), f"context of head {number}.{head}")
    feature = int(np.abs(contexts).argmax())
    window = window_of(reading, attention, 1)
    is_short = reading.whole.fits
    return GraphStudy(
        model=reading.source.card.name,
        kind=reading.kind,
        place=request.place,
        query=request.query,
        key=request.key,
        layers=len(reading.extent.layers),
        heads=attention.heads,
        queries=len(reading.queries),
        keys=len(reading.keys),
        edges=_count_edges(reading, attention.operands),
        is_causal=is_causal(reading, attention),
        window=window if window is not None and window.origin is Origin.LAYER else None,
        visible=visible,
        weights=softmax.weights,
        sink=softmax.sink,
        entropy=softmax.entropy,
        feature=feature,
        sent=exact(row.values)[0, :, feature],
        received=float(contexts[feature]),
        context=_of_head(attention, request, is_short=is_short),
        output=_of_layer(attention, request),
        has_bias=attention.projection is not None and attention.projection.bias is not None,
        degrees=_degrees(trace(attention.operands.select([head])), reading) if is_short else None,
        paths=_paths(attention.mask, request) if is_short else None,
    )


def _check_values(request: LessonRequest, attention: Attention) -> None:
    """Raise `AttnError` if the values, which are the messages, are not known."""
    why = attention.absent.get(Step.VALUES)
    if why is not None:
        name = f"layer {request.place[0]} of {request.reading.source.card.name}"
        problem = f"this lesson needs the values that keys send, and {name} has none: {why}"
        raise AttnError(problem, "--lesson recurrence, which needs none, or another layer or model")


def _count_edges(reading: Reading, operands: Operands) -> int:
    """How many pairs the mask allows: by the band's formula in a long text, if the mask is only a band."""
    allowing = narrowed(operands.mask)
    count = len(reading.queries)
    if not reading.whole.fits and not allowing.rules and count == len(reading.keys):
        return pairs_in(allowing.band, count)
    blocks = (allowed(operands.at(rows)) for rows in reading.whole.blocks())
    return sum(int(to_numpy(block).sum()) for block in blocks)


def _of_head(attention: Attention, request: LessonRequest, *, is_short: bool) -> Agreement:
    """The head's context, in all rows of a text that is not too long."""
    operands = attention.operands.select([request.place[1]])
    part = operands if is_short else operands.at([request.query])
    traced = trace(part)
    passed, edges = pass_messages(traced, part)
    return _agreement(passed, exact(traced.context), edges)


def _of_layer(attention: Attention, request: LessonRequest) -> Agreement | None:
    """The layer's output: the contexts of all heads, passed edge by edge, times W^O, plus its bias."""
    if attention.projection is None or Step.OUTPUT in attention.absent:
        return None
    reading = request.reading
    cells = attention.heads * len(reading.queries) * len(reading.keys)
    part = attention if cells <= LARGEST else attention.at([request.query])
    passed, edges = pass_messages(part.trace(), part.operands)
    like = part.operands.values
    contexts = namespace(like).asarray(passed, dtype=like.dtype, device=device_of(like))
    return _agreement(exact(part.projected(contexts)), exact(part.result()), edges)


def pass_messages(traced: Trace, operands: Operands) -> tuple[Exact, int]:
    """(H, T, D) the sums of the messages, edge by edge in float64, and the number of edges of a head."""
    receivers, senders = np.nonzero(to_numpy(traced.mask))  # in the order of the receivers
    values, weights = exact(operands.values), exact(traced.weights)
    sums = np.zeros((*weights.shape[:2], values.shape[-1]))
    reached, starts = np.unique(receivers, return_index=True)
    if len(receivers):
        for head, of_head in enumerate(weights):
            messages = of_head[receivers, senders, None] * values[operands.kv_head(head)][senders]
            sums[head, reached] = np.add.reduceat(messages, starts, axis=0)
    return sums, len(receivers)


def _agreement(passed: Exact, own: Exact, edges: int) -> Agreement:
    check_finite(bool(np.isfinite(own).all()), "outputs of this layer")
    return Agreement(passed.shape[-2], edges, float(np.abs(passed - own).max()), float(np.abs(own).max()))


def _degrees(traced: Trace, reading: Reading) -> Degrees:
    """What the edges of the only head come to at each token."""
    weights = exact(traced.weights)[0]
    sink = np.zeros(len(weights)) if traced.sink is None else exact(traced.sink)[0]
    shares = np.concatenate([weights, sink[:, None]], axis=-1)
    effective = np.array([math.exp(entropy_of(row)) if row.any() else 0.0 for row in shares])
    strong = (weights > STRONG).sum(axis=-1)
    seen = to_numpy(traced.mask).astype(np.int64).sum(axis=0)
    strongest = _strongest(weights, reading)
    return Degrees(strong, effective, weights.sum(axis=0), seen, float(sink.sum()), strongest)


def _strongest(weights: Exact, reading: Reading) -> tuple[Edge, ...]:
    """The heaviest edges; in one text, those between different tokens."""
    between = weights.copy()
    if reading.kind is not Kind.CROSS:
        np.fill_diagonal(between, 0.0)
    order = np.argsort(-between, axis=None, kind="stable")[:_STRONGEST]
    places: list[npt.NDArray[np.int64]] = [
        np.asarray(place) for place in zip(*np.unravel_index(order, between.shape), strict=True)
    ]
    return tuple(Edge(int(i), int(j), float(between[i, j])) for i, j in places if between[i, j] > 0)


def _paths(mask: Array, request: LessonRequest) -> int | None:
    """How many paths of two edges lead from the key to the query, in two layers with this mask."""
    if request.reading.kind is Kind.CROSS:
        return None
    matrix = to_numpy(mask)
    return int((matrix[request.query] & matrix[:, request.key]).sum())
