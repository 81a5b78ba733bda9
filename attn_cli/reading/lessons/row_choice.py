"""Which row shows most of a lesson, if the reader chooses none: one that is neither saturated nor flat."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import Exact, exact, to_numpy
from attn_cli.core.attention import allowed, trace
from attn_cli.core.masks import causal, everywhere
from attn_cli.models.source import Layer
from attn_cli.reading.default_head import are_special, layers_to_choose_from
from attn_cli.reading.memory import check_heads_fit
from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import ShownLayer, check_finite, run_layers, unwarned
from attn_cli.record import record
from attn_cli.vocabulary import Lesson, Step

GOAL = 0.6
"""The largest weight of a row that shows much: one key leads, and the others still count."""

FEWEST, MOST = 4, 8
"""Keys that take part in a row that can be followed."""

TAKES_PART = 0.01
"""The weight above which a key takes part."""

_TOKENS = 512  # of a long text, as for the default head
_EACH = 0.1  # the cost of a key too few or too many
_HIDDEN = 0.3  # how far from half the share of hidden keys may be
_LOGIT = 4.0  # beside larger logits, a logit of 0 hides keys
_MIDDLE = 1 / 3  # of the text, where its reverse moves a query


@record(frozen=True, slots=True)
class ChosenRow:
    """A row, and the layer that it is in."""

    shown: ShownLayer
    head: int
    query: int


@unwarned
def choose_row(
    reading: Reading,
    lesson: Lesson,
    within: tuple[ShownLayer, int] | None = None,
    query: int | None = None,
) -> ChosenRow:
    """The row that shows most of the lesson: of all heads or one, of all queries or one.

    Of a long text, only the first 512 tokens are looked at.

    Raises:
        AttnError: a weight is not finite.
    """
    best: ChosenRow | None = None
    least = np.inf
    for shown in _layers(reading, within):
        costs = _costs(reading, lesson, shown.layer)
        costs[:, _left_out(reading, costs.shape[1], query)] = np.inf
        if within is not None:
            costs[np.arange(len(costs)) != within[1]] = np.inf
        head, position = (int(place) for place in np.unravel_index(costs.argmin(), costs.shape))
        if costs[head, position] < least:
            best, least = ChosenRow(shown, head, position), float(costs[head, position])
    assert best is not None, "a head has a row"
    return best


def _layers(reading: Reading, within: tuple[ShownLayer, int] | None) -> Iterator[ShownLayer]:
    if within is not None:
        yield within[0]
        return
    layers = layers_to_choose_from(reading)
    check_heads_fit(reading, [(max(layers), 0)], (Step.WEIGHTS,), reading.whole)
    for number, layer in run_layers(reading, layers):
        yield ShownLayer(reading.kind, number, layer)


def _left_out(reading: Reading, queries: int, query: int | None) -> npt.NDArray[np.bool_]:
    """(T,) the queries that are not shown: all but the chosen one, or else special tokens."""
    if query is not None:
        return np.asarray(np.arange(queries) != query)
    special = are_special(reading.queries[:queries])
    return np.zeros(queries, dtype=np.bool_) if special.all() else special


def _costs(reading: Reading, lesson: Lesson, layer: Layer) -> Exact:
    """(H, T) how far each row is from one that shows the lesson."""
    few = slice(None if reading.whole.fits else _TOKENS)
    first = layer.at(range(len(reading.queries[few])))
    weights = exact(first.steps(range(layer.heads), {Step.WEIGHTS})[Step.WEIGHTS])[..., few]
    check_finite(bool(np.isfinite(weights).all()), "weights of a layer")
    costs = cost_of_rows(weights)
    if lesson is Lesson.MASK:
        costs = costs + _cost_of_mask(first)
    elif lesson is Lesson.HEADS:
        costs = _EACH * costs - spread_of_heads(weights)
    elif lesson is Lesson.ORDER:
        costs = costs + _cost_of_place(costs.shape[1])
    return costs


def cost_of_rows(weights: Exact) -> Exact:
    """(H, T) how far the rows of `weights` (H, T, S) are from one that can be followed."""
    keys = (weights > TAKES_PART).sum(axis=-1)
    off = np.maximum(0, FEWEST - keys) + np.maximum(0, keys - MOST)
    return np.asarray(np.abs(weights.max(axis=-1) - GOAL) + _EACH * off)


def spread_of_heads(weights: Exact) -> Exact:
    """(T,) how much the rows of the heads differ: the entropy of their mean, less their mean entropy."""
    return np.asarray(_entropies(weights.mean(axis=0)) - _entropies(weights).mean(axis=0))


def _entropies(weights: Exact) -> Exact:
    return np.asarray(-(weights * np.log(np.where(weights > 0, weights, 1.0))).sum(axis=-1))


def _cost_of_place(queries: int) -> Exact:
    """(T,) nothing for queries in the middle of the text, from where its reverse moves them little."""
    from_middle = np.abs(np.arange(queries) - (queries - 1) / 2) / max(1, queries)
    return np.asarray(np.where(from_middle <= _MIDDLE / 2, 0.0, 1.0))


def _cost_of_mask(layer: Layer) -> Exact | float:
    """(H, T) for hidden keys that would take almost nothing or all, and for logits that are far from 0."""
    if layer.opened is None:
        return 0.0
    operands = layer.opened.operands
    visible = to_numpy(allowed(operands)).astype(np.bool_)
    if visible.all():
        visible = to_numpy(allowed(replace(operands, mask=causal))).astype(np.bool_)
    bare = trace(replace(operands, mask=everywhere))
    hidden = (exact(bare.weights) * ~visible).sum(axis=-1)
    largest = np.abs(exact(bare.logits) * visible).max(axis=-1)
    far = np.maximum(0, np.abs(hidden - 0.5) - _HIDDEN)
    return np.asarray(2 * far + _EACH * np.maximum(0, largest - _LOGIT))
