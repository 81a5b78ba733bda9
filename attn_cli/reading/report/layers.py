"""Runs all layers of a reading once: weights, sinks, metrics and patterns of every head."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.analysis.head_summary import HeadSummary
from attn_cli.analysis.sharpness import find_sharpest_pair, measure_sharpness
from attn_cli.answers.report import ExactHead, ReportedLayer, Weights
from attn_cli.core.arrays import to_numpy
from attn_cli.reading.default_head import are_special, layers_to_choose_from, sharpness_of
from attn_cli.reading.known_patterns import KnownPatterns
from attn_cli.reading.memory import Work, check
from attn_cli.reading.metrics import measure_layer
from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place
from attn_cli.reading.steps import ShownLayer, check_finite, shown_layers, unwarned
from attn_cli.record import record
from attn_cli.vocabulary import Kind, Pool, Step

Mask: TypeAlias = npt.NDArray[np.bool_]
LayerProgress: TypeAlias = Callable[[int, int], None]
"""Called with the number of layers done and their total."""

STEPS = (
    *(Step.QUERIES, Step.KEYS, Step.VALUES),
    *(Step.SCORES, Step.BIAS, Step.LOGITS, Step.WEIGHTS, Step.CONTEXT),
)
"""The steps of a chosen head; the input and the output of the layer are those of all of its heads."""

_OF_A_WEIGHT = tuple(step for step in STEPS if step not in {Step.VALUES, Step.CONTEXT})
"""The steps that lead to a weight."""

_AT_ONCE = 1 << 24  # weights of the heads that are computed together: 64 MB, and several times that meanwhile


@record(frozen=True, slots=True, eq=False)
class ReportRun:
    """The layers of one kind of attention, run once; exact heads are computed on the way."""

    reading: Reading
    most: int | None  # cells along each side of the pooled weights; None: they are whole
    known: KnownPatterns | None
    exact: Sequence[Place]
    begin: Place | None  # the head to begin with; None: the sharpest
    progress: LayerProgress
    begins_exact: bool
    kept: dict[Place, ExactHead]

    @property
    def cells(self) -> tuple[int, int]:
        """How many queries and keys each number covers."""
        if self.most is None:
            return (1, 1)
        from attn_cli.core.streaming.blocks import choose_cell_size  # only long texts need it

        size = choose_cell_size(len(self.reading.queries), len(self.reading.keys), self.most)
        return size.rows, size.columns

    def check_memory(self) -> None:
        """Raise `AttnError` if a layer does not fit into free memory."""
        reading = self.reading
        queries, keys = len(reading.queries), len(reading.keys)
        heads = min(reading.extent.heads, self._together)
        held = (0, 0) if self.most is not None else (heads, queries)
        work = Work(queries, keys, 1 + max(reading.extent.layers), *held, measured=reading.extent.heads)
        check(reading.source, work, "a shorter text")

    def run(self) -> Iterator[ReportedLayer]:
        """Each layer in turn.

        Raises:
            AttnError: the weights are damaged, or a number is not finite.
        """
        numbers = list(self.reading.extent.layers)
        places = [(number, 0) for number in numbers]
        for done, shown in enumerate(shown_layers(self.reading, places), start=1):
            yield self._reported(shown)
            self.progress(done, len(numbers))

    @unwarned
    def _reported(self, shown: ShownLayer) -> ReportedLayer:
        heads = range(shown.layer.heads)
        self._keep_exact(shown)
        weights, mask, sink = self._whole(shown) if self.most is None else self._pooled(shown, self.most)
        summaries = self._named(measure_layer(self.reading, shown.number, shown.layer, heads))
        return ReportedLayer(
            shown.number,
            weights,
            mask,
            sink,
            metrics=[summary.metrics for summary in summaries],
            patterns=[summary.known_for for summary in summaries],
            sharpness=self._sharpness(shown, weights),
            exact=partial(self._exact, shown, steps=_OF_A_WEIGHT),
            clearest=partial(self._clearest, weights),
        )

    def _clearest(self, weights: Weights, head: int) -> tuple[int, int]:
        """The query and the key, or their blocks, at which a head looks most sharply."""
        rows, columns = self.cells
        special = are_special(self.reading.queries[::rows])
        is_cross = self.reading.kind is Kind.CROSS or special.size != weights.shape[-1]
        keys = are_special(self.reading.keys[::columns]) if is_cross else None
        return find_sharpest_pair(weights[head], special, keys)

    def _named(self, heads: list[HeadSummary]) -> list[HeadSummary]:
        return heads if self.known is None else self.known.name(heads)

    def _whole(self, shown: ShownLayer) -> tuple[Weights, Mask, Weights | None]:
        """(H, T, S) the weights, (T, S) the mask, and (H, T) what sinks take."""
        rows = range(len(self.reading.queries))
        heads = range(shown.layer.heads)
        groups = [heads[first : first + self._together] for first in range(0, len(heads), self._together)]
        weights = np.concatenate([shown.weights(group, rows) for group in groups])
        sinks = [shown.weight_of_sink(head, rows) for head in heads]
        taken = [sink for sink in sinks if sink is not None]
        return weights, to_numpy(shown.layer.mask), np.stack(taken) if taken else None

    def _pooled(self, shown: ShownLayer, most: int) -> tuple[Weights, Mask, Weights | None]:
        """The same of blocks of tokens: the largest weight of each."""
        pooled = shown.layer.pooled(range(shown.layer.heads), most, Pool.MAX)
        for head, is_finite in enumerate(pooled.are_finite):
            check_finite(bool(is_finite), f"logits of head {shown.number}.{head}")
        return pooled.weights, pooled.visible, pooled.sink

    def _sharpness(self, shown: ShownLayer, weights: Weights) -> Sequence[float]:
        """How sharp each head is, of the layers from which the head to begin with is chosen."""
        reading = self.reading
        if self.begin is not None or shown.number not in layers_to_choose_from(reading):
            return [0.0] * len(weights)
        if not reading.whole.fits or self.most is not None:
            return [float(number) for number in sharpness_of(reading, shown.layer)]
        keys = are_special(reading.keys) if reading.kind is Kind.CROSS else None
        return [float(number) for number in measure_sharpness(weights, are_special(reading.queries), keys)]

    def _keep_exact(self, shown: ShownLayer) -> None:
        for place in self.exact:
            if place[0] == shown.number:
                self.kept[place] = self._exact(shown, place[1], STEPS)

    @unwarned
    def _exact(self, shown: ShownLayer, head: int, steps: Sequence[Step]) -> ExactHead:
        (computed,) = shown.heads([head], steps, self.reading.whole)
        opened = shown.layer.opened
        return ExactHead(computed, None if opened is None else opened.operands.softcap)

    def exact_heads(self) -> list[ExactHead]:
        """The chosen heads, once the layers have run."""
        return [self.kept[place] for place in self.exact]

    @property
    def _together(self) -> int:
        """How many heads are computed at once."""
        return max(1, _AT_ONCE // (len(self.reading.queries) * len(self.reading.keys)))
