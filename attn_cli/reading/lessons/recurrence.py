"""Attention beside a recurrent network's: additive scores over the same vectors.

Bahdanau, Cho and Bengio 2014, arXiv:1409.0473, section A.1.2. D head size, S keys.
"""

from dataclasses import replace

import numpy as np

from attn_cli.answers.lessons.recurrence import AdditiveTerms, RecurrenceStudy
from attn_cli.core.arrays import Array, Exact, device_of, exact, namespace
from attn_cli.core.attention import Operands, allowed, masked
from attn_cli.core.multihead import Linear
from attn_cli.reading.lessons.masking import is_causal, window_of
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.lessons.row import attention_of, keys_of, one_row, softmax_of, softmax_row
from attn_cli.reading.steps import check_finite, unwarned
from attn_cli.record import record

SEED = 0
_EXAMPLE = 4  # tokens: the window for comparison if the model has none; short, so that a sentence shows it


@unwarned
def study(request: LessonRequest) -> RecurrenceStudy:
    """The row of the request with both scores.

    Raises:
        AttnError: queries and keys are not known, or a number is not finite.
        UsageError: the query may look at no key.
    """
    attention, (_, head) = attention_of(request), request.place
    row = one_row(attention.operands, head, request.query)
    scorer = AdditiveScorer.random(int(row.queries.shape[-1]), row.queries)
    additive = scorer(row)
    check_finite(bool(np.isfinite(exact(additive)).all()), "additive scores of this row")
    dot = softmax_row(row)
    reading = request.reading
    return RecurrenceStudy(
        model=reading.source.card.name,
        kind=reading.kind,
        place=request.place,
        query=request.query,
        key=request.key,
        heads=attention.heads,
        size=int(row.queries.shape[-1]),
        queries=len(reading.queries),
        visible=tuple(keys_of(row, request)),
        logits=dot.logits,
        weights=dot.weights,
        has_softcap=row.softcap is not None,
        has_bias=row.bias is not None,
        has_sink=row.sink is not None,
        additive=exact(additive)[0, 0],
        additive_weights=_weights(additive, row),
        terms=scorer.terms(row, request.key),
        seed=SEED,
        is_causal=is_causal(reading, attention),
        window=window_of(reading, attention, _EXAMPLE),
    )


def _weights(scores: Array, row: Operands) -> Exact:
    """(S,) the softmax of the additive scores, under the row's mask; a network like this has no sink."""
    return softmax_of(masked(scores, allowed(row)), replace(row, sink=None)).weights


@record(frozen=True, slots=True, eq=False)
class AdditiveScorer:
    """e = vᵀ tanh(W q + U k)."""

    of_query: Linear  # W: (D, D)
    of_key: Linear  # U: (D, D)
    v: Array  # (D,)

    @classmethod
    def random(cls, size: int, like: Array) -> "AdditiveScorer":
        """An untrained scorer: every number is drawn from N(0, 1/D)."""
        draw = np.random.default_rng(SEED)
        numbers = draw.normal(0.0, size**-0.5, (2 * size + 1, size))
        array = namespace(like).asarray(numbers, dtype=like.dtype, device=device_of(like))
        return cls(Linear(array[:size]), Linear(array[size : 2 * size]), array[2 * size])

    def __call__(self, operands: Operands) -> Array:
        """(H, T, S) the score of each pair, for one key/value head."""
        xp = namespace(operands.queries)
        a, b = self.of_query(operands.queries), self.of_key(operands.keys)  # (H, T, D), (H, S, D)
        return xp.sum(self.v * xp.tanh(a[:, :, None, :] + b[:, None, :, :]), axis=-1)

    def terms(self, row: Operands, key: int) -> AdditiveTerms:
        """What the score of one pair is made of."""
        a, b = exact(self.of_query(row.queries))[0, 0], exact(self.of_key(row.keys))[0, key]
        score = float(exact(self(row))[0, 0, key])
        return AdditiveTerms(a, b, np.tanh(a + b), exact(self.v), score)
