"""A layer whose queries and keys are words: the weights of another layer, merged a block of rows at a time.

H query heads, T queries, S keys of the other layer; P and W words of queries and of keys.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import numpy as np

from attn_cli.core.arrays import Array, Booleans, Floats, to_numpy
from attn_cli.core.attention import LearnedSink
from attn_cli.core.merging import Groups, WordRows, merged_rows
from attn_cli.core.streaming.pooling import Pooled
from attn_cli.models.source import Layer
from attn_cli.record import record
from attn_cli.vocabulary import Metric, Pool, Step

if TYPE_CHECKING:
    from attn_cli.core.hiding import Hiding
    from attn_cli.core.streaming.key_tokens import KeyTokens
    from attn_cli.core.streaming.row_metrics import RowMetrics
    from attn_cli.core.streaming.stream import RowProgress
    from attn_cli.reading.words.words import Words

_NUMBERS = 1 << 21  # weights of tokens that are held at once: 8 MB, and a few times that with their steps
_WHY = "words have weights and norms only"
_MERGED = frozenset({Step.MASK, Step.WEIGHTS, Step.NORMS, Step.NORM_SHARES})


@record(frozen=True, slots=True, eq=False)
class WordLayer:
    """The attention of a layer between words."""

    layer: Layer  # between tokens
    queries: Sequence[Sequence[int]]  # the rows of the layer that each word has
    keys: Groups

    @classmethod
    def of(cls, layer: Layer, words: "Words") -> "WordLayer":
        """The layer between these words."""
        return cls(layer, words.queries.members, Groups.of(words.keys.members))

    @property
    def heads(self) -> int:
        """H, how many query heads there are."""
        return self.layer.heads

    @property
    def scale(self) -> float | None:
        """The factor of q·k; None if it is unknown."""
        return self.layer.scale

    @property
    def mask(self) -> Array:
        """(P, W) true where a token of the query may look at one of the key."""
        of_keys = self.keys.any_of(to_numpy(self.layer.mask), -1)
        return Groups.of(self.queries).any_of(of_keys, 0)

    @property
    def opened(self) -> None:
        """None: words have no operands."""
        return

    @property
    def absent(self) -> Mapping[Step, str]:
        """Every step that is not merged, and norms if the layer does not have them."""
        of_tokens = self.layer.absent
        lacking = {step: of_tokens[step] for step in _MERGED if step in of_tokens}
        return {step: _WHY for step in Step if step not in _MERGED} | lacking

    def kv_head(self, head: int) -> int:
        """Which key/value head the query head `head` reads."""
        return self.layer.kv_head(head)

    def at(self, rows: Sequence[int]) -> "WordLayer":
        """The same layer with only those words as queries."""
        chosen = [self.queries[row] for row in rows]
        ends = np.cumsum([0, *map(len, chosen)]).tolist()
        tokens = list(chain.from_iterable(chosen))
        return replace(
            self, layer=self.layer.at(tokens), queries=[range(start, end) for start, end in pairwise(ends)]
        )

    def result(self) -> Array:
        """Never called: the output is in `absent`."""
        raise AssertionError(_WHY)

    def steps(self, heads: Sequence[int], wanted: Collection[Step | str]) -> dict[Step, Array]:
        """Weights, norms and the mask, if wanted, each (H, P, W); NaN if a logit is not finite."""
        rows = self.rows(heads)
        shown = {Step.MASK: np.broadcast_to(rows.mask, rows.weights.shape), Step.WEIGHTS: rows.weights}
        if {Step.NORMS, Step.NORM_SHARES} & set(wanted):
            shown |= self._norms(heads)
        lacking = self.absent
        return {step: array for step, array in shown.items() if step in wanted and step not in lacking}

    def _norms(self, heads: Sequence[int]) -> dict[Step, Floats]:
        """The norms of words and the shares of their rows, if the layer has norms: merged as weights are."""
        from attn_cli.core.written.norms import shares_of_rows  # few commands ask for it

        of_tokens = self.layer.steps(heads, {Step.NORMS})
        if Step.NORMS not in of_tokens:
            return {}
        mask, queries = to_numpy(self.layer.mask), Groups.of(self.queries)
        sink = self.layer.sink(heads)  # counts rows that may look nowhere, as for weights
        of_sink = None if sink is None else to_numpy(sink.weights)
        norms = merged_rows(to_numpy(of_tokens[Step.NORMS]), mask, queries, self.keys, of_sink).weights
        return {Step.NORMS: norms, Step.NORM_SHARES: shares_of_rows(norms)}

    def sink(self, heads: Sequence[int]) -> LearnedSink | None:
        """The learned sinks of `heads`: a logit that differs between rows has none of its own for a word."""
        sink = self.layer.sink(heads)
        if sink is None:
            return None
        of_words = self.rows(heads).sink
        assert of_words is not None, "the layer has a sink"
        return LearnedSink(sink.logits if sink.is_one else None, of_words)

    def pooled(
        self, heads: Sequence[int], most: int, way: Pool = Pool.MEAN, hiding: "Hiding | None" = None
    ) -> Pooled:
        """The weights of `heads` pooled over cells of words, in memory that grows with T + S."""
        from attn_cli.reading.words.pooling import PicturePlan, pool_words  # only long texts need it

        plan = PicturePlan(len(self.queries), self.keys.count, most, way, hiding)
        return pool_words(self.blocks(heads), plan)

    def measure(
        self,
        heads: Sequence[int],
        metrics: Collection[Metric],
        tokens: "KeyTokens",
        progress: "RowProgress | None" = None,
        hiding: "Hiding | None" = None,
    ) -> "RowMetrics":
        """The metrics of `heads`, word by word, in memory that grows with T + S; `tokens` are words."""
        from attn_cli.reading.words.measure import measure_words  # few commands measure

        total = len(self.queries)
        measured = measure_words(
            self.blocks(heads),
            metrics,
            tokens,
            hiding,
            lambda done, _: None if progress is None else progress(done, total),
        )
        if not any(metric.is_written for metric in metrics) or Step.NORMS in self.absent:
            return measured
        from attn_cli.core.written.norms import WrittenRows, with_written  # few commands measure it

        spans, wanted = self._spans(len(heads)), {Step.NORMS, Step.WEIGHTS}
        rows = [
            WrittenRows.of_matrices(steps[Step.NORMS], steps[Step.WEIGHTS], tokens, hiding)
            for steps in (self.at(block).steps(heads, wanted) for block in spans)
        ]
        return with_written(measured, WrittenRows.joined(rows), metrics)

    def blocks(self, heads: Sequence[int]) -> Iterator[tuple[int, WordRows]]:
        """The rows in blocks, each after the number of its first row."""
        return ((block.start, self.at(block).rows(heads)) for block in self._spans(len(heads)))

    def _spans(self, heads: int) -> Iterator[range]:
        """The rows of each block."""
        return (range(*ends) for ends in pairwise([0, *self._ends(heads)]))

    def _ends(self, heads: int) -> Iterator[int]:
        """Where blocks end: at most `_NUMBERS` weights of tokens in each, or one word."""
        most, held = max(1, _NUMBERS // (heads * self.keys.tokens)), 0
        for row, tokens in enumerate(self.queries):
            if held and held + len(tokens) > most:
                yield row
                held = 0
            held += len(tokens)
        yield len(self.queries)

    def rows(self, heads: Sequence[int]) -> WordRows:
        """The weights of `heads`, the mask, and what learned sinks take."""
        mask = to_numpy(self.layer.mask)
        steps = {
            step: to_numpy(array)
            for step, array in self.layer.steps(heads, {Step.LOGITS, Step.WEIGHTS}).items()
        }
        weights = _checked(steps[Step.WEIGHTS], steps.get(Step.LOGITS), mask)
        sink = self.layer.sink(heads)
        of_sink = None if sink is None else to_numpy(sink.weights)
        return merged_rows(weights, mask, Groups.of(self.queries), self.keys, of_sink)


def _checked(weights: Floats, logits: Floats | None, mask: Booleans) -> Floats:
    """The weights (H, T, S); NaN for a head with a logit that overflowed."""
    if logits is None:
        return weights
    are_finite = np.asarray(np.isfinite(np.where(mask, logits, 0)).all(axis=(-2, -1)))
    return weights if are_finite.all() else np.where(are_finite[:, None, None], weights, np.nan)
