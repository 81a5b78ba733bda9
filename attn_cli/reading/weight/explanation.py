"""Opens the arithmetic of one row of one head: every number between the layer's input and its output.

The numbers are those of `core`, taken where they arise: nothing is computed a second way. T queries, S keys,
D head size, M model width, H heads.
"""

import numpy as np

from attn_cli.answers.weight import Explanation, RowOutput, RowPowers, RowScores, RowSoftmax
from attn_cli.core.arrays import Array, Booleans, Floats, to_numpy
from attn_cli.core.attention import LearnedSink, dots, exponentiate, soft_capped
from attn_cli.core.multihead import Attention
from attn_cli.models.source import Layer
from attn_cli.reading.memory import check_heads_fit
from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place
from attn_cli.reading.steps import ShownLayer, check_finite, unwarned
from attn_cli.reading.weight.position_bias import open_bias
from attn_cli.reading.weight.projection import open_projections
from attn_cli.reading.window import Window
from attn_cli.vocabulary import Step

_STEPS = frozenset(Step) - {Step.INPUT}


@unwarned
def explain(reading: Reading, shown: ShownLayer, head: int, query: int, key: int | None) -> Explanation:
    """The arithmetic of the row of one query; `key`: the one to explain in full, or the largest.

    Raises:
        AttnError: the weights are damaged, a number is not finite, or there is not enough memory.
    """
    row = Window(len(reading.queries), len(reading.keys), [query], range(len(reading.keys)))
    window = reading.whole if reading.whole.fits else row
    check_heads_fit(reading, [(shown.number, head)], list(Step), window)
    return _Row(reading, shown.layer, (shown.number, head), query).explanation(key)


class _Row:
    """One row of a head, in the part of the layer that is computed for it.

    The part is the whole layer if its matrix fits, so that every number is that of `attn inspect`.
    """

    def __init__(self, reading: Reading, layer: Layer, place: Place, query: int) -> None:
        self._reading, self._layer, self._query = reading, layer, query
        self._number, self._head = place
        self._is_whole = reading.whole.fits
        self._part = layer if self._is_whole else layer.at([query])
        self._index = query if self._is_whole else 0
        self._steps = self._part.steps([self._head], _STEPS)

    def explanation(self, key: int | None) -> Explanation:
        """Everything that is known."""
        layer, head, opened = self._layer, self._head, self._layer.opened
        softmax = self._softmax()
        chosen = int(softmax.weights.argmax()) if key is None else key
        return Explanation(
            kind=self._reading.kind,
            layer=self._number,
            head=head,
            kv_head=layer.kv_head(head),
            heads=layer.heads,
            kv_heads=None if opened is None else opened.operands.kv_heads,
            query=self._query,
            key=chosen,
            projections={}
            if opened is None
            else open_projections(opened, head, self._query, chosen, self._weighty(softmax, chosen)),
            scores=None if opened is None else self._scores(opened, chosen),
            softmax=softmax,
            hidden=None if opened is None else opened.hidden_by(self._query, chosen),
            hides=frozenset() if opened is None else self._causes(opened),
            is_normed=None if opened is None or opened.stream is None else opened.input_norm is not None,
            values=self._step_of_keys(Step.VALUES),
            context=self._step(Step.CONTEXT),
            output=None if opened is None else self._output(opened),
            absent=layer.absent,
        )

    @staticmethod
    def _weighty(softmax: RowSoftmax, key: int) -> int:
        """The key itself if the query may look at it, else the one with the largest weight."""
        return key if softmax.mask[key] else int(softmax.weights.argmax())

    def _causes(self, opened: Attention) -> frozenset[str]:
        """Why the query may not look at the first and the last of the keys that are hidden from it."""
        hidden = np.flatnonzero(~self._mask)
        found = (opened.hidden_by(self._query, key) for key in (hidden[:1].tolist() + hidden[-1:].tolist()))
        return frozenset(one.cause for one in found if one is not None)

    def _step(self, step: Step) -> Floats | None:
        """The row of a step of the queries, checked to be finite; None if it is absent."""
        if step not in self._steps:
            return None
        row: Floats = to_numpy(self._steps[step])[0, self._index]
        seen = row if step is not Step.LOGITS else row[self._mask]
        check_finite(bool(np.isfinite(seen).all()), f"{step} of head {self._number}.{self._head}")
        return row

    def _step_of_keys(self, step: Step) -> Floats | None:
        """(S, D) a step of the keys; None if it is absent."""
        return None if step not in self._steps else to_numpy(self._steps[step])[0]

    @property
    def _mask(self) -> Booleans:
        mask: Booleans = to_numpy(self._steps[Step.MASK])[0, self._index]
        return mask

    def _softmax(self) -> RowSoftmax:
        logits, weights = self._step(Step.LOGITS), self._step(Step.WEIGHTS)
        assert weights is not None, "every layer has weights"
        sink = self._part.sink([self._head])
        is_one = sink is not None and sink.is_one
        return RowSoftmax(
            mask=self._mask,
            logits=logits,
            powers=None if logits is None else self._powers(sink),
            weights=weights,
            sink_logit=None
            if sink is None
            else float(to_numpy(sink.logits)[(0,) if is_one else (0, self._index)]),
            sink_weight=None if sink is None else float(to_numpy(sink.weights)[0, self._index]),
        )

    def _powers(self, sink: LearnedSink | None) -> RowPowers:
        found = exponentiate(self._steps[Step.LOGITS], None if sink is None else sink.logits)

        def number(array: Array) -> np.floating:
            one: np.floating = to_numpy(array)[0, self._index if array.shape[1] > 1 else 0, 0]
            return one

        return RowPowers(
            largest=number(found.largest),
            powers=to_numpy(found.powers)[0, self._index],
            total=number(found.total),
            of_sink=None if found.of_sink is None else number(found.of_sink),
        )

    def _scores(self, opened: Attention, key: int) -> RowScores | None:
        scores, queries = self._step(Step.SCORES), self._step(Step.QUERIES)
        keys = self._step_of_keys(Step.KEYS)
        if scores is None or queries is None or keys is None:
            return None
        part = self._part.opened
        assert part is not None, "a part of a layer that is known is known"
        operands = part.operands.select([self._head])
        return RowScores(
            query=queries,
            keys=keys,
            dots=to_numpy(dots(operands))[0, self._index],
            scale=opened.scale,
            scale_name=opened.scale_name,
            scores=scores,
            softcap=operands.softcap,
            capped=to_numpy(soft_capped(self._steps[Step.SCORES], operands.softcap))[0, self._index],
            bias=self._step(Step.BIAS),
            bias_terms=open_bias(opened, self._head, self._query, key),
        )

    def _output(self, opened: Attention) -> RowOutput | None:
        output, projection = self._step(Step.OUTPUT), opened.projection
        if output is None or projection is None:
            return None
        row = opened.at([self._query])
        contexts = row.trace().context  # (H, 1, D)
        size = contexts.shape[-1]
        outputs = np.array(to_numpy(row.shares(contexts, range(opened.heads)))[:, 0])
        outputs[self._head] = output
        columns = slice(self._head * size, (self._head + 1) * size)
        return RowOutput(
            matrix=to_numpy(projection.weight[:, columns]),
            name=projection.name,
            output=output,
            outputs=outputs,
            bias=None if projection.bias is None else to_numpy(projection.bias),
            result=to_numpy(row.projected(contexts))[0],
            stream=None if row.stream is None else to_numpy(row.stream)[0],
            is_changed=opened.is_result_changed,
        )
