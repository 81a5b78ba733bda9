"""What does order mean without positions? The text and its reverse, with and without what tells the order.

Attention reads a set: without positions and masks, a token's weight on another depends on the two and on the
other tokens, not on where they stand. So in a model without them, reordered tokens have the same weights, in
every layer. Vaswani et al. 2017, arXiv:1706.03762, section 3.5; Lee et al. 2019, arXiv:1810.00825.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from attn_cli.answers.lessons.order import Orders, OrderStudy
from attn_cli.core.arrays import Exact, exact
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.source import Layer, Source, Texts
from attn_cli.models.tokens.token import Token
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.steps import check_finite
from attn_cli.vocabulary import Kind, OrderSource, Step

_SAME = 1e-6  # weights of float32 that differ by no more are the same


@runtime_checkable
class Orderable(Protocol):
    """A model from which what tells the order of its tokens can be left out."""

    def order_sources(self, kind: Kind, layers: int, length: int) -> tuple[OrderSource, ...]:
        """What tells the first `layers` layers of this kind the order of the tokens that the keys are of."""

    def with_order_from(self, kind: Kind, kept: Collection[OrderSource]) -> Source:
        """The same model, to which nothing but `kept` tells the order of the tokens that the keys are of."""


def study(request: LessonRequest) -> OrderStudy:
    """The row of the request for the text, and for the text with its tokens in reverse.

    Raises:
        AttnError: transformers computes the model, so nothing can be left out.
        UsageError: the text has no tokens to reorder.
    """
    reading, kind = request.reading, request.reading.kind
    model, (layer, _) = _orderable(request), request.place
    order = reversed_text(reading.keys)
    if order == sorted(order):
        problem = f"this lesson reorders the tokens of the text, and it has {_movable(reading.keys)}"
        raise UsageError(problem, "a text of two or more tokens")
    sources = model.order_sources(kind, layer + 1, len(reading.keys))
    without, whole = (_orders(request, model, kept, order) for kept in ((), sources))
    several = sources if len(sources) > 1 else ()
    places = [order.index(position) for position in range(len(order))]
    return OrderStudy(
        model=reading.source.card.name,
        place=request.place,
        kind=kind,
        query=request.query,
        places=places,
        query_place=request.query if kind is Kind.CROSS else places[request.query],
        sources=sources,
        without=without,
        alone=[_orders(request, model, (source,), order) for source in several],
        whole=whole,
        equals=equal_tokens(reading.keys, without.text),
    )


def equal_tokens(tokens: Sequence[Token], weights: Exact) -> tuple[int, int] | None:
    """Two positions with the same token and the same weight (S,), the largest; None: there are none.

    Without anything that tells the order they always have the same, unless they belong to two segments.
    """
    first: dict[int, int] = {}
    pairs = []
    for position, token in enumerate(tokens):
        earlier = first.setdefault(token.id, position)
        if earlier != position and abs(weights[earlier] - weights[position]) <= _SAME:
            pairs.append((earlier, position))
    return max(pairs, key=lambda pair: float(weights[pair[0]]), default=None)


def reversed_text(tokens: Sequence[Token]) -> list[int]:
    """The position that each place of the reversed text takes its token from; special tokens stay."""
    movable = [position for position, token in enumerate(tokens) if not token.special]
    order = list(range(len(tokens)))
    for place, position in zip(movable, reversed(movable), strict=True):
        order[place] = position
    return order


def _movable(tokens: Sequence[Token]) -> str:
    count = sum(not token.special for token in tokens)
    return f"{count} token" if count == 1 else f"{count} tokens"


def _orderable(request: LessonRequest) -> Orderable:
    source = request.reading.source
    if isinstance(source, Orderable):
        return source
    problem = f"this lesson leaves positions out of the model, and transformers computes {source.card.name}"
    raise AttnError(problem, "a model of a native family (attn models lists them), or leave out --model")


def _orders(
    request: LessonRequest, model: Orderable, kept: Collection[OrderSource], order: Sequence[int]
) -> Orders:
    """The weights of the head in both orders, to which only `kept` tells the order."""
    reading, query = request.reading, request.query
    source = model.with_order_from(reading.kind, kept)
    one = _layer(request, source, reading.texts)
    other = _layer(request, source, _reordered(reading.texts, reading.kind, order))
    places = np.argsort(order)  # of each token in the reordered text
    queries = np.arange(len(reading.queries)) if reading.kind is Kind.CROSS else places
    (first,) = _rows(request, one, [query])
    (second,) = _rows(request, other, [int(queries[query])])
    difference = 0.0
    for rows in reading.whole.blocks():
        same = _rows(request, other, [int(queries[row]) for row in rows])[:, places]
        difference = max(difference, float(np.abs(_rows(request, one, rows) - same).max()))
    return Orders(tuple(kept), first, second[places], difference)


def _layer(request: LessonRequest, source: Source, texts: Texts) -> Layer:
    (layer,) = source.attentions(texts, request.reading.kind, [request.place[0]])
    return layer


def _reordered(texts: Texts, kind: Kind, order: Sequence[int]) -> Texts:
    """The texts with the tokens of the keys in another order, each with its segment."""
    if kind is Kind.DECODER:
        return replace(texts, target=tuple(texts.target[position] for position in order))
    return replace(texts, tokens=tuple(texts.tokens[position] for position in order))


def _rows(request: LessonRequest, layer: Layer, rows: Sequence[int]) -> Exact:
    """(R, S) the weights of the request's head."""
    weights = exact(layer.at(rows).steps([request.place[1]], {Step.WEIGHTS})[Step.WEIGHTS][0])
    check_finite(bool(np.isfinite(weights).all()), f"weights of head {request.place[0]}.{request.place[1]}")
    return weights
