"""Compares heads of one reading: weights within the window, distances over whole rows."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attn_cli.analysis.comparison import Comparison, compare_weights, with_columns
from attn_cli.errors import AttnError
from attn_cli.grid import Head, Matrix
from attn_cli.reading.memory import check_heads_fit
from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place
from attn_cli.reading.steps import ShownLayer, head_steps, heads_of_layers, shown_layers, unwarned
from attn_cli.reading.window import Window
from attn_cli.vocabulary import Distance, Step

if TYPE_CHECKING:
    from attn_cli.core.hiding import Hiding


@unwarned
def compare_places(
    reading: Reading, places: Sequence[Place], distance: Distance, window: Window
) -> tuple[list[Head], Comparison]:
    """The weights of the heads within the window, and their distances over whole rows.

    Raises:
        AttnError: the weights are damaged, a number is not finite, or two heads have no row to compare.
    """
    if window.is_whole and window.fits:
        heads = head_steps(reading, places, (Step.WEIGHTS,))
        return heads, _known(compare_weights(heads, distance))
    check_heads_fit(reading, places, (Step.WEIGHTS,), window)
    layers = list(shown_layers(reading, places))  # all at once: the same rows of each are compared
    heads = heads_of_layers(layers, places, (Step.WEIGHTS,), window)
    return heads, _known(compare_weights(heads, distance, _rows(layers, places, window)))


def _known(comparison: Comparison) -> Comparison:
    """The comparison, if every two heads have a row to compare.

    Raises:
        AttnError: two of them have none.
    """
    for one, name in enumerate(comparison.items):
        for other in np.flatnonzero(np.isnan(comparison.matrix[one])).tolist():
            pair = f"{name} and {comparison.items[other]}"
            problem = f"{pair} cannot be compared: no row has weight left in either"
            raise AttnError(problem, "fewer keys with --hide, or other --rows")
    return comparison


def _rows(layers: Iterable[ShownLayer], places: Sequence[Place], window: Window) -> Iterator[list[Matrix]]:
    """The weights (R, S) of the heads at `places`, a block of rows of all heads at a time.

    A learned sink is one more key, and so are all hidden keys together; of renormalized rows, only the other
    keys count.
    """
    by_number = {layer.number: layer for layer in layers}
    for rows in window.blocks(len(places)):
        weights = [by_number[layer].weights([head], rows)[0] for layer, head in places]
        sinks = [by_number[layer].weight_of_sink(head, rows) for layer, head in places]
        if window.hiding is None:
            yield with_columns(weights, sinks)
        else:
            yield _others(weights, sinks, window.hiding)


def _others(weights: Sequence[Matrix], sinks: Sequence[Matrix | None], hiding: "Hiding") -> list[Matrix]:
    """The same rows without the hidden keys."""
    from attn_cli.core.hiding import as_shown  # few commands hide keys

    pairs = [as_shown(rows, hiding) for rows in weights]
    others = hiding.others(weights[0].shape[-1])
    shown = [rows[:, others] for rows, _ in pairs]
    if hiding.is_renormalized:
        return shown
    return with_columns(with_columns(shown, sinks), [shares.hidden for _, shares in pairs])
