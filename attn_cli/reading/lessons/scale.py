"""Why are scores divided by √d_k? The same row with other scales, and random vectors of several sizes.

Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1 and footnote 4.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from attn_cli.answers.lessons.row import entropy_of, sensitivity_of
from attn_cli.answers.lessons.scale import (
    RANDOM_KEYS,
    RANDOM_QUERIES,
    SEED,
    RandomVectors,
    Saturation,
    ScaleStudy,
    Scaling,
)
from attn_cli.core.arrays import Exact, exact
from attn_cli.core.attention import Operands, allowed, dots, position_bias, score, softmax
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.lessons.row import attention_of, keys_of, one_row, softmax_row
from attn_cli.reading.steps import check_finite

SIZES = (4, 16, 64, 256, 1024)
"""The numbers of features of the random vectors."""

_SAME = 1e-6  # relative: the scale of a config may be 1/√d_k rounded to float32


def study(request: LessonRequest) -> ScaleStudy:
    """The row of the request with several scales.

    Raises:
        AttnError: queries and keys are not known, or a number is not finite.
        UsageError: the query may look at no key.
    """
    operands, (_, head) = attention_of(request).operands, request.place
    row = one_row(operands, head, request.query)
    visible = keys_of(row, request)
    size = int(row.queries.shape[-1])
    bias = position_bias(row)
    pairs, deviation = _spread(operands.select([head]), request)
    return ScaleStudy(
        model=request.reading.source.card.name,
        place=request.place,
        query=request.query,
        size=size,
        scale=float(row.scale),
        visible=visible,
        dots=_dots(row)[0],
        bias=None if bias is None else np.broadcast_to(exact(bias)[0, 0], row.keys.shape[-2:-1]),
        softcap=row.softcap,
        scalings=list(_scalings(row, size)),
        pairs=pairs,
        deviation=deviation,
        random=[_random(size) for size in SIZES],
    )


def _scalings(row: Operands, size: int) -> Iterator[Scaling]:
    own, root = float(row.scale), size**-0.5
    factors = [1.0]
    for factor in (own, root):
        if not any(math.isclose(factor, other, rel_tol=_SAME) for other in factors):
            factors.append(factor)
    for factor in factors:
        is_own, is_root = (math.isclose(factor, other, rel_tol=_SAME) for other in (own, root))
        chosen = own if is_own else factor
        yield Scaling(chosen, is_own, is_root, softmax_row(replace(row, scale=chosen)))


def _dots(operands: Operands) -> Exact:
    """(T, S) q·k of the only head."""
    return exact(dots(operands)[0])


def _spread(operands: Operands, request: LessonRequest) -> tuple[int, float]:
    """The number of pairs that the mask allows, and the standard deviation of their q·k."""
    count, total, squares = 0, 0.0, 0.0
    for rows in request.reading.whole.blocks():
        block = operands.at(rows)
        products = _dots(block)[np.asarray(exact(allowed(block)), dtype=np.bool_)]
        check_finite(bool(np.isfinite(products).all()), "dot products of this head")
        count, total, squares = count + products.size, total + products.sum(), squares + (products**2).sum()
    if not count:
        return 0, 0.0
    return count, math.sqrt(max(0.0, squares / count - (total / count) ** 2))


def _random(size: int) -> RandomVectors:
    """The softmax over random keys, with and without the scale, on average over random queries."""
    draw = np.random.default_rng([SEED, size])
    vectors = draw.standard_normal((RANDOM_QUERIES, 1, 1 + RANDOM_KEYS, size))  # (B, H, ..., D)
    queries, keys = vectors[..., :1, :], vectors[..., 1:, :]
    layer = Operands(queries, keys, keys, scale=1.0)
    plain, scaled = (_saturation(replace(layer, scale=factor)) for factor in (1.0, size**-0.5))
    return RandomVectors(size, float(dots(layer).std()), plain, scaled)


def _saturation(layer: Operands) -> Saturation:
    rows = softmax(score(layer))[:, 0, 0, :]
    entropy, sensitivity = (np.mean([of(row) for row in rows]) for of in (entropy_of, sensitivity_of))
    return Saturation(float(entropy), float(sensitivity))
