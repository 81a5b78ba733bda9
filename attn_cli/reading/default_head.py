"""The head shown by default: one known for a pattern in the text, or else the sharpest."""

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from attn_cli.analysis.patterns import choose_pattern
from attn_cli.analysis.sharpness import measure_sharpness
from attn_cli.core.arrays import to_numpy
from attn_cli.grid import Head, Matrix
from attn_cli.models.head_labels import HeadLabel
from attn_cli.models.source import Layer
from attn_cli.models.tokens.token import Token
from attn_cli.reading.memory import check_heads_fit
from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import (
    DEFAULT_STEPS,
    ShownLayer,
    check_finite,
    head_steps,
    run_layers,
    unwarned,
)
from attn_cli.reading.window import Window
from attn_cli.record import record
from attn_cli.vocabulary import Kind, Pattern, Step

_LAYERS_TO_CHOOSE_FROM = 12  # a larger model is not run to its end to find a head worth showing
_TOKENS_TO_CHOOSE_BY = 512  # of a long text: as many as the patterns of a model's heads are measured on


@record(frozen=True, slots=True)
class DefaultHead:
    """The head that is shown, and why."""

    head: Head
    out_of: int  # how many heads it was chosen from
    stands_out: bool  # whether it looks at anything telling at all
    label: HeadLabel | None = None  # what it is known for, where that was why


@unwarned
def choose_default_head(
    reading: Reading, steps: Collection[Step] | None = None, window: Window | None = None
) -> DefaultHead:
    """The steps of the head that is known to show most of such a text, or looks most sharply at it.

    How sharply heads look at a long text is judged by its first 512 tokens, head by head.

    Raises:
        AttnError: the weights are damaged, or a step holds a number that is not finite.
    """
    window = window or reading.whole
    label = _best_label(reading)
    if label is None:
        return _sharpest(reading, steps, window)
    (head,) = head_steps(reading, [(label.layer, label.head)], steps, window)
    card = reading.source.card
    return DefaultHead(head, out_of=card.layers * card.heads, stands_out=True, label=label)


def _best_label(reading: Reading) -> HeadLabel | None:
    """The head that is known best for what shows in this text; None where nothing is known of it."""
    labels = [label for label in reading.source.head_labels() if label.kind is reading.kind]
    if not labels:
        return None
    pattern = choose_pattern(np.asarray([token.id for token in reading.tokens]))
    candidates = [label for label in labels if label.pattern in (pattern, Pattern.PREVIOUS)]
    return min(candidates, key=lambda label: (label.pattern is not pattern, -label.score), default=None)


def _sharpest(reading: Reading, steps: Collection[Step] | None, window: Window) -> DefaultHead:
    """The head that looks most sharply at the text, of the first layers."""
    layers = reading.extent.layers[:_LAYERS_TO_CHOOSE_FROM]
    check_heads_fit(reading, [(max(layers), 0)], steps or DEFAULT_STEPS, window)
    best: tuple[float, ShownLayer, int] | None = None
    for number, layer in run_layers(reading, layers):
        sharp = _sharpness(reading, layer)
        head = int(sharp.argmax())  # of one that is no number, where there is such a one
        check_finite(bool(np.isfinite(sharp[head])), f"weights of head {number}.{head}")
        if best is None or sharp[head] > best[0]:
            best = (float(sharp[head]), ShownLayer(reading.kind, number, layer), head)
    assert best is not None, "a model has a layer"
    sharpest, shown, head = best
    (chosen,) = shown.heads([head], steps, window)
    return DefaultHead(chosen, out_of=len(layers) * reading.extent.heads, stands_out=sharpest > 0)


def _sharpness(reading: Reading, layer: Layer) -> npt.NDArray[np.floating]:
    """(H,) how sharply each head looks at the text, or at its first tokens where it is long."""
    queries = are_special(reading.queries)
    keys = are_special(reading.keys) if reading.kind is Kind.CROSS else None
    if reading.whole.fits:
        return measure_sharpness(_weights(layer, range(layer.heads)), queries, keys)
    few = slice(_TOKENS_TO_CHOOSE_BY)
    first = layer.at(range(queries[few].size))
    weights = (_weights(first, [head])[..., few] for head in range(layer.heads))
    special = None if keys is None else keys[few]
    return np.concatenate([measure_sharpness(of_head, queries[few], special) for of_head in weights])


def _weights(layer: Layer, heads: Sequence[int]) -> Matrix:
    """(H, T, S) of the heads."""
    return to_numpy(layer.steps(heads, {Step.WEIGHTS})[Step.WEIGHTS])


def are_special(tokens: Sequence[Token]) -> npt.NDArray[np.bool_]:
    """Which tokens are no text."""
    return np.asarray([token.special for token in tokens])
