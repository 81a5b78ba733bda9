"""The layer that a lesson looks at, and one row of a head in it."""

import numpy as np
import numpy.typing as npt

from attn_cli.answers.lessons.row import SoftmaxRow
from attn_cli.core.arrays import Array, exact, to_numpy
from attn_cli.core.attention import Operands, allowed, softmax_and_sink, trace
from attn_cli.core.multihead import Attention
from attn_cli.errors import AttnError, UsageError
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.steps import check_finite, run_layers
from attn_cli.vocabulary import Step


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


def _sink_logit(row: Operands) -> float | None:
    return None if row.sink is None else float(exact(row.sink).reshape(-1)[0])
