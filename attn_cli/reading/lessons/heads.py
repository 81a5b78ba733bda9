"""What do several heads see that one of the same width does not? The heads of a layer, and one wide head.

Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.
"""

import math
from dataclasses import replace

from attn_cli.analysis.distance import measure_distances
from attn_cli.answers.lessons.heads import HeadsStudy
from attn_cli.core.arrays import Array, exact, namespace
from attn_cli.core.attention import Operands, score
from attn_cli.errors import UsageError
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.lessons.row import attention_of, keys_of, one_row, softmax_row
from attn_cli.vocabulary import Distance


def study(request: LessonRequest) -> HeadsStudy:
    """The row of the request's query in all heads of its layer.

    Raises:
        AttnError: queries and keys are not known, or a number is not finite.
        UsageError: the layer has one head, or the query may look at no key.
    """
    attention = attention_of(request)
    operands, heads = attention.operands, attention.heads
    if heads == 1:
        problem = f"this lesson compares the heads of a layer, and layer {request.place[0]} has one"
        raise UsageError(problem, "another model, or -m random --head-count 4")
    visible = keys_of(operands.at([request.query]), request)
    wide_row = wide_head(operands.at([request.query]))
    rows = [softmax_row(one_row(operands, head, request.query)) for head in range(heads)]
    wide = softmax_row(wide_row)
    shares = [row.shares[None] for row in (*rows, wide)]
    return HeadsStudy(
        model=request.reading.source.card.name,
        place=request.place,
        query=request.query,
        key=request.key,
        size=int(operands.queries.shape[-1]),
        kv_heads=operands.kv_heads,
        scale=float(operands.scale),
        width=None if attention.input is None else int(attention.input.shape[-1]),
        queries=int(operands.queries.shape[-2]),
        scores=exact(score(operands.at([request.query])))[:, 0],
        rows=rows,
        wide_scores=exact(score(wide_row))[0, 0],
        visible=visible,
        wide=wide,
        distances=exact(measure_distances(shares, Distance.JENSEN_SHANNON)),
        has_bias=operands.bias is not None,
        softcap=operands.softcap,
        has_sink=operands.sink is not None,
    )


def wide_head(operands: Operands) -> Operands:
    """One head whose queries and keys are those of all heads, concatenated.

    Its scale is that of the heads, divided by √H: with 1/√d_k that is 1/√(H · d_k). Position bias and sink,
    which a head of this width would learn anew, are the means of the heads'.
    """
    heads, bias, sink = operands.heads, operands.bias, operands.sink
    each = operands.select(range(heads))  # the keys as every head reads them
    return replace(
        each,
        queries=_concatenated(each.queries),
        keys=_concatenated(each.keys),
        values=_concatenated(each.values),
        scale=operands.scale / math.sqrt(heads),
        bias=None if bias is None else lambda i, j: _mean(bias(i, j)),
        sink=None if sink is None else _mean(sink),
    )


def _concatenated(vectors: Array) -> Array:
    """(H, T, D) to (1, T, H · D)."""
    xp = namespace(vectors)
    return xp.reshape(xp.moveaxis(vectors, -3, -2), (1, vectors.shape[-2], -1))


def _mean(of_heads: Array) -> Array:
    """The mean over the first axis, which is kept."""
    return namespace(of_heads).mean(of_heads, axis=0, keepdims=True)
