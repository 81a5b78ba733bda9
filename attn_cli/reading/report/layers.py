"""Runs all layers of a reading once: weights, sinks, metrics and patterns of every head."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from functools import partial
from typing import TypeAlias

import numpy as np

from attn_cli.analysis.head_summary import HeadSummary
from attn_cli.analysis.sharpness import find_sharpest_pair, measure_sharpness
from attn_cli.answers.report import ExactHead, ReportedLayer, Weights, WholeRows
from attn_cli.reading.default_head import are_special, layers_to_choose_from, sharpness_of
from attn_cli.reading.known_patterns import KnownPatterns
from attn_cli.reading.long_texts.duration import check_duration
from attn_cli.reading.memory import Work, check
from attn_cli.reading.metrics import measure_and_pool
from attn_cli.reading.reading import Reading
from attn_cli.reading.report.whole_rows import NO_ROWS, RowChoice, whole_rows
from attn_cli.reading.selection import Place
from attn_cli.reading.steps import ShownLayer, shown_layers, unwarned
from attn_cli.record import record
from attn_cli.vocabulary import Kind, Pool, Step

LayerProgress: TypeAlias = Callable[[int, int], None]
"""Called with the number of layers done and their total."""

STEPS = (
    *(Step.QUERIES, Step.KEYS, Step.VALUES),
    *(Step.SCORES, Step.BIAS, Step.LOGITS, Step.WEIGHTS, Step.CONTEXT),
)
"""The steps of a chosen head; the input and the output of the layer are those of all of its heads."""

_OF_A_WEIGHT = tuple(step for step in STEPS if step not in {Step.VALUES, Step.CONTEXT})
"""The steps that lead to a weight."""

_NUMBERS_OF_PAGE = 0.2  # per weight: three copies of its lines while the page is put together
_LAYERS_HELD = 5  # whose weights are held at once: while one is computed, others are compressed


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
    rows: RowChoice = NO_ROWS
    kept_rows: list[WholeRows] = field(default_factory=list)
    layers: Callable[[], Iterator[ShownLayer]] | None = None  # that run for others too; None: only for this
    only: Sequence[int] | None = None  # the numbers of the layers that are kept; None: all

    @property
    def numbers(self) -> Sequence[int]:
        """The layers that are kept."""
        return self.reading.extent.layers if self.only is None else self.only

    @property
    def cells(self) -> tuple[int, int]:
        """How many queries and keys each number covers."""
        if self.most is None:
            return (1, 1)
        from attn_cli.core.streaming.blocks import choose_cell_size  # only long texts need it

        size = choose_cell_size(len(self.reading.queries), len(self.reading.keys), self.most)
        return size.rows, size.columns

    def check_memory(self) -> None:
        """Raise `AttnError` if a layer does not fit into free memory, or all of them take hours."""
        reading = self.reading
        queries, keys = len(reading.queries), len(reading.keys)
        cells = queries * keys if self.most is None else self.most**2
        of_page = round(_NUMBERS_OF_PAGE * len(self.numbers) * reading.extent.heads * cells)
        kept = _LAYERS_HELD * reading.extent.heads * cells + of_page
        kept += len(self.rows.queries) * keys * reading.extent.heads
        work = Work(queries, keys, 1 + max(reading.extent.layers), kept=kept, measured=reading.extent.heads)
        check_duration(reading, 1 + max(reading.extent.layers))
        check(reading.source, work, "a shorter text")

    def run(self) -> Iterator[ReportedLayer]:
        """Each layer in turn.

        Raises:
            AttnError: the weights are damaged, or a number is not finite.
        """
        layers, done = self._shown(), 0
        while (reported := self._next(layers)) is not None:
            yield reported
            done += 1
            self.progress(done, len(self.numbers))

    def _shown(self) -> Iterator[ShownLayer]:
        """The layers with attention weights, as they run."""
        numbers = self.numbers
        if self.layers is None:
            return shown_layers(self.reading, [(number, 0) for number in numbers])
        return (shown for shown in self.layers() if shown.number in numbers)

    @unwarned
    def _next(self, layers: Iterator[ShownLayer]) -> ReportedLayer | None:
        """The next layer, which runs now; None: there is none."""
        shown = next(layers, None)
        return None if shown is None else self._reported(shown)

    def _reported(self, shown: ShownLayer) -> ReportedLayer:
        self._keep_exact(shown)
        self.kept_rows.extend(whole_rows(shown, self.rows))
        most = max(len(self.reading.queries), len(self.reading.keys)) if self.most is None else self.most
        measured, pooled = measure_and_pool(self.reading, shown.number, shown.layer, most, Pool.MAX)
        summaries, weights = self._named(measured), pooled.weights
        return ReportedLayer(
            shown.number,
            weights,
            pooled.visible,
            pooled.sink,
            metrics=[summary.metrics for summary in summaries],
            patterns=[summary.known_for for summary in summaries],
            sharpness=self._sharpness(shown, weights),
            exact=partial(self._exact, shown, steps=_OF_A_WEIGHT),
            clearest=partial(self._clearest, weights),
        )

    def _clearest(self, weights: Weights, head: int) -> tuple[int, int]:
        """The query and the key, or their blocks, at which a head looks most sharply.

        Of a head that looks at the tokens beside, which do not count for that, what the query looks at most.
        """
        rows, columns = self.cells
        special = are_special(self.reading.queries[::rows])
        is_cross = self.reading.kind is Kind.CROSS or special.size != weights.shape[-1]
        keys = are_special(self.reading.keys[::columns]) if is_cross else None
        query, key = find_sharpest_pair(weights[head], special, keys)
        row = np.where(special if keys is None else keys, 0, weights[head, query])
        row[0] = 0
        return query, key if row[key] >= row.max() / 2 else int(row.argmax())

    def _named(self, heads: list[HeadSummary]) -> list[HeadSummary]:
        return heads if self.known is None else self.known.name(heads)

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
