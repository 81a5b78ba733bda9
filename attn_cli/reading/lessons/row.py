"""The layer that a lesson looks at, and one row of a head in it."""

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import Array, to_numpy
from attn_cli.core.attention import Operands, allowed, softmax_and_sink, trace
from attn_cli.core.multihead import Attention
from attn_cli.errors import AttnError, UsageError
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.steps import check_finite, run_layers
from attn_cli.record import record
from attn_cli.vocabulary import Step

Numbers = npt.NDArray[np.float64]


@record(frozen=True, slots=True, eq=False)
class SoftmaxRow:
    """The softmax of one row: S keys, and a learned sink if the head has one."""

    logits: Numbers  # (S,) -inf where the query may not look
    weights: Numbers  # (S,)
    sink_logit: float | None = None
    sink: float | None = None  # the weight of the sink

    @property
    def shares(self) -> Numbers:
        """(S,) or (S + 1,) the weights, and the sink's: they sum to 1 if the query may look anywhere."""
        return self.weights if self.sink is None else np.append(self.weights, self.sink)

    @property
    def entropy(self) -> float:
        """-Σ p ln p in nats; a learned sink is one more key."""
        return entropy_of(self.shares)

    @property
    def largest(self) -> float:
        """The largest share."""
        return float(self.shares.max())

    @property
    def gradient(self) -> float:
        """The largest absolute entry of the Jacobian of the softmax."""
        return largest_gradient(self.shares)


def entropy_of(shares: Numbers) -> float:
    """-Σ p ln p in nats; shares of 0 add nothing."""
    seen = shares[shares > 0]
    return float(-(seen * np.log(seen)).sum()) + 0.0


def largest_gradient(shares: Numbers) -> float:
    """The largest absolute entry of diag(p) - ppᵀ, the Jacobian of the softmax.

    It is p(1 - p) of the largest share p: no other share can be nearer to ½, and |-p_i p_j| is at most
    p_i(1 - p_i), because p_j is at most 1 - p_i.
    """
    largest = float(shares.max())
    return largest * (1 - largest)


def attention_of(request: LessonRequest) -> Attention:
    """The attention of the request's layer, with its queries and keys.

    Raises:
        AttnError: only the softmax of this layer is known.
    """
    reading, (number, _) = request.reading, request.place
    ((_, layer),) = run_layers(reading, [number])
    if not isinstance(layer, Attention):
        name = reading.source.card.name
        problem = f"this lesson needs queries and keys, and layer {number} of {name} has none"
        raise AttnError(f"{problem}: {layer.absent[Step.QUERIES]}", "another model, or leave out --model")
    return layer


def one_row(operands: Operands, head: int, query: int) -> Operands:
    """The same layer with one head and one query."""
    return operands.select([head]).at([query])


def visible_keys(row: Operands) -> npt.NDArray[np.bool_]:
    """(S,) where the query of the row may look."""
    return np.asarray(to_numpy(allowed(row))[0], dtype=np.bool_)


def keys_of(row: Operands, request: LessonRequest) -> list[int]:
    """The positions of the keys that the query of the row may look at.

    Raises:
        UsageError: there are none.
    """
    visible = [int(key) for key in np.flatnonzero(visible_keys(row))]
    if not visible:
        problem = f"query {request.query} may look at no key in layer {request.place[0]}: its row is zeros"
        raise UsageError(problem, "--query with another token")
    return visible


def softmax_row(row: Operands) -> SoftmaxRow:
    """The logits and weights of a layer with one head and one query.

    Raises:
        AttnError: a logit is not finite where the query may look.
    """
    traced = trace(row)
    logits = exact(traced.logits[0, 0])
    check_finite(bool(np.isfinite(logits[visible_keys(row)]).all()), "logits of this row")
    sink = None if traced.sink is None else float(exact(traced.sink)[0, 0])
    return SoftmaxRow(logits, exact(traced.weights[0, 0]), _sink_logit(row), sink)


def softmax_of(logits: Array, row: Operands) -> SoftmaxRow:
    """The softmax of other logits (1, 1, S), with the sink of the row."""
    weights, sink = softmax_and_sink(logits, row.sink)
    of_sink = None if sink is None else float(exact(sink)[0, 0])
    return SoftmaxRow(exact(logits[0, 0]), exact(weights[0, 0]), _sink_logit(row), of_sink)


def exact(array: Array) -> Numbers:
    """The array as float64, for sums and differences of numbers that are computed already."""
    return to_numpy(array).astype(np.float64)


def _sink_logit(row: Operands) -> float | None:
    return None if row.sink is None else float(exact(row.sink).reshape(-1)[0])
