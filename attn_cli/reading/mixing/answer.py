"""Answers how much of each token reaches a position through all layers: attention rollout and flow."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np

from attn_cli.analysis.flow import check_scipy, check_size, flow
from attn_cli.analysis.mixing import mixed, rollout
from attn_cli.answers.mixing import Mixing
from attn_cli.core.arrays import Exact
from attn_cli.errors import AttnError, UsageError
from attn_cli.reading.memory import check_run_fits
from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import ShownLayer, shown_layers, unwarned
from attn_cli.reading.window import LARGEST
from attn_cli.record import record

_MATRICES = 4  # of T × T float64 held at once, but for those that a flow keeps
_NUMBERS = 2  # of 4 bytes in a float64
_OF_A_NETWORK = 6  # matrices of T × T float64 that a layer's edges take


@record(frozen=True, slots=True)
class MixingQuestion:
    """What is asked: by which measures, and of which position."""

    position: str | None  # as typed; None: the last token of a causal model, or the masked one
    by_rollout: bool
    by_flow: bool


def check_measures(question: MixingQuestion) -> None:
    """Check, before a model is opened, that what the measures need is installed.

    Raises:
        AttnError: it is not.
    """
    if question.by_flow:
        check_scipy()


@unwarned
def mixing(reading: Reading, question: MixingQuestion, progress: Callable[[int, int], None]) -> Mixing:
    """Rollout, flow, or both, of the self-attention that the reading is of.

    `progress` is called with the number of tokens whose flow is known, and how many there are.

    Raises:
        AttnError: a layer mixes tokens by something else, a number is not finite, the network of a flow is
            too large, or memory is short.
        UsageError: the position is none of the text, or it must be given.
    """
    _check_defined(reading)
    layers, tokens = len(reading.extent.layers), len(reading.queries)
    typed = None if question.position is None else _typed_position(reading, question.position)
    matrices = _MATRICES + (layers * _OF_A_NETWORK if question.by_flow else 0)
    check_run_fits(reading, matrices * _NUMBERS * tokens**2, "a shorter text")
    weights, is_causal = _with_direction(_mixed_weights(reading))
    position = _position(reading, is_causal=is_causal) if typed is None else typed
    if question.by_flow:
        check_size(layers, tokens, is_causal=is_causal)
    kept = list(weights) if question.by_flow else []
    return Mixing(
        reading.kind,
        position,
        is_causal,
        rollout(kept or weights, position) if question.by_rollout else None,
        flow(kept, position, progress) if question.by_flow else None,
    )


def _check_defined(reading: Reading) -> None:
    """Raise `AttnError` if a layer mixes tokens by something else than attention weights."""
    extent, card = reading.extent, reading.source.card
    count = 1 + max(extent.layers) if reading.source.has_decoder else card.layers
    missing = [layer for layer in range(count) if layer not in extent.layers]
    if missing:
        instead = extent.others.get(missing[0])
        what = "has no attention" if instead is None else f"has no token-by-token weights: {instead}"
        problem = f"rollout and flow are not defined for {card.name}: its layer {missing[0]} {what}"
        raise AttnError(problem, "a model whose layers all have attention weights")


def _typed_position(reading: Reading, typed: str) -> int:
    from attn_cli.reading.token_selection.select import select_token

    return select_token(typed, reading.query_side, "position")


def _position(reading: Reading, *, is_causal: bool) -> int:
    """The position that is asked about if none is typed."""
    if is_causal:
        return len(reading.queries) - 1
    masks = reading.source.mask_pieces
    masked = [token.position for token in reading.queries if token.piece in masks]
    if not masked:
        problem = f"rollout and flow are of one position, and {reading.source.card.name} has no last one"
        raise UsageError(f"{problem}: every token attends to the whole text", "--position 0, or a word")
    return masked[0]


def _with_direction(weights: Iterator[Exact]) -> tuple[Iterator[Exact], bool]:
    """The same layers, and whether no token of the first attends to a later one.

    The mask of a model that is read through transformers is known by its weights alone.
    """
    first = next(weights)
    return chain([first], weights), not np.triu(first, 1).any()


def _mixed_weights(reading: Reading) -> Iterator[Exact]:
    """(T, T) the layers' mean weights with the residual stream, one layer at a time."""
    for layer in shown_layers(reading, [(number, 0) for number in reading.extent.layers]):
        yield mixed(_mean_weights(layer, reading.extent.heads, len(reading.queries)))


def _mean_weights(layer: ShownLayer, heads: int, tokens: int) -> Exact:
    """(T, T) the mean of the heads' weights, a block of rows at a time."""
    step = max(1, LARGEST // (heads * tokens))
    blocks: Sequence[range] = [range(start, min(start + step, tokens)) for start in range(0, tokens, step)]
    return np.concatenate(
        [layer.weights(range(heads), rows).mean(axis=0, dtype=np.float64) for rows in blocks]
    )
