"""The arithmetic of attention on projected queries, keys and values: score, mask, softmax, sum.

Every number that `attn` shows comes from this file. H query heads, G key/value heads, T queries,
S keys, D head size; leading axes are batches. Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from attn_cli.core.arrays import (
    Array,
    at_least_float32,
    constant,
    device_of,
    namespace,
    positions,
    taken,
)
from attn_cli.core.masks import OfRows, Rule, everywhere
from attn_cli.errors import AttnError
from attn_cli.record import record

Bias: TypeAlias = Callable[[Array, Array], Array]
"""Maps the positions of the queries (T, 1) and the keys (1, S) to what is added to the scores (H, T, S)."""


@record(frozen=True, slots=True, eq=False)
class Operands:
    """The inputs of one attention layer; nothing in it is as large as T × S.

    The query heads are distributed over the key/value heads in order: with H = 6 and G = 2, heads 0 to 2
    read key/value head 0. G = H is multi-head, 1 < G < H grouped-query (arXiv:2305.13245) and G = 1
    multi-query attention (arXiv:1911.02150).
    """

    queries: Array  # (H, T, D) after bias, QK-norm, RoPE
    keys: Array  # (G, S, D)
    values: Array  # (G, S, D)
    scale: float
    mask: Rule = everywhere
    bias: Bias | None = None
    softcap: float | None = None  # Gemma 2: cap · tanh(scores / cap), arXiv:2408.00118
    sink: Array | None = None  # (H,) or (H, T) learned logits that take weight and give no value

    @property
    def heads(self) -> int:
        """H, the number of query heads."""
        return int(self.queries.shape[-3])

    @property
    def kv_heads(self) -> int:
        """G, the number of key/value heads."""
        return int(self.keys.shape[-3])

    def kv_head(self, head: int) -> int:
        """Which key/value head the query head `head` reads."""
        return head * self.kv_heads // self.heads

    def select(self, heads: Sequence[int]) -> "Operands":
        """The same layer with only `heads`, each with the keys and values it reads.

        Raises:
            AttnError: one of `heads` does not exist; heads are numbered from 0.
        """
        for head in heads:
            if not 0 <= head < self.heads:
                problem = f"head {head} does not exist: there are {self.heads}, numbered from 0"
                raise AttnError(problem, f"head {self.heads - 1}")
        read = [self.kv_head(head) for head in heads]
        bias, sink = self.bias, self.sink
        return replace(
            self,
            queries=taken(self.queries, heads, -3),
            keys=taken(self.keys, read, -3),
            values=taken(self.values, read, -3),
            bias=None if bias is None else lambda i, j: taken(bias(i, j), heads, -3),
            sink=None if sink is None else taken(sink, heads, 0),
        )

    def at(self, rows: Sequence[int]) -> "Operands":
        """The same layer with only the queries at those positions, which keep their positions."""
        queries = taken(self.queries, rows, -2)
        places = namespace(queries).asarray(list(rows), device=device_of(queries))
        bias, sink = self.bias, self.sink
        return replace(
            self,
            queries=queries,
            mask=OfRows(self.mask, places),
            bias=None if bias is None else OfRows(bias, places),
            sink=sink if sink is None or sink.ndim == 1 else taken(sink, rows, -1),
        )


@record(frozen=True, slots=True, eq=False)
class Trace:
    """Every step of the heads of one layer; the fields are named as in `Step`."""

    scores: Array  # (H, T, S) q·k × scale, before soft cap, bias and mask
    bias: Array | None  # (H, T, S)
    mask: Array  # (T, S) true where the query may look
    logits: Array  # (H, T, S) what the softmax receives; -inf where masked
    weights: Array  # (H, T, S)
    context: Array  # (H, T, D)
    sink: Array | None = None  # (H, T) the weight that a learned sink takes of each row


@record(frozen=True, slots=True, eq=False)
class LearnedSink:
    """The learned sinks of some heads: what they add to the softmax, and what they take of each row.

    Not the attention sink that a first token can be (arXiv:2309.17453): that is a key of the text.
    """

    logits: Array | None  # (H,), or (H, T) if they depend on the query; None: those of several tokens differ
    weights: Array  # (H, T)
    left: Array | None = None  # (H, T) what they leave to the keys, if the model scales by it only afterwards

    @property
    def is_one(self) -> bool:
        """Whether a head has one logit for all rows."""
        return self.logits is not None and self.logits.ndim == 1

    def as_computed(self, rows: Array) -> Array:
        """Our weights or contexts (H, T, ...) as the model itself computes them first."""
        if self.left is None:
            return rows
        xp, left = namespace(rows), self.left[..., None]
        return rows / xp.where(left > 0, left, xp.ones_like(left))


@record(frozen=True, slots=True, eq=False)
class Exponentials:
    """The numerators and the denominator of the softmax of some rows: weight = power / total.

    In a row that may look nowhere every power is 0, and without a sink the total too: its weights are 0.
    """

    largest: Array  # (H, T, 1) the largest logit of the row or its sink; 0 if there is none
    powers: Array  # (H, T, S) exp(logit - largest)
    total: Array  # (H, T, 1) the sum of the powers, with that of the sink
    of_sink: Array | None = None  # (H, T, 1) the power of the sink's logit; None: there is no sink


def trace(operands: Operands) -> Trace:
    """Compute every step: Attention(Q, K, V) = softmax(QKᵀ·scale) V, masked.

    The order: scale, soft cap, bias, mask, append the sink column, softmax, drop the sink column.
    """
    scores = score(operands)
    bias = position_bias(operands)
    mask = allowed(operands)
    logits = masked(biased(soft_capped(scores, operands.softcap), bias), mask)
    weights, sink = softmax_and_sink(logits, operands.sink)
    return Trace(scores, bias, mask, logits, weights, weighted_sum(weights, operands.values), sink)


def score(operands: Operands) -> Array:
    """(H, T, S) how well each query matches each key: q·k × scale."""
    return dots(operands) * operands.scale


def dots(operands: Operands) -> Array:
    """(H, T, S) the dot product q·k of each query with each key, before the scale."""
    xp = namespace(operands.queries)
    return _per_key_head(operands.queries, xp.matrix_transpose(operands.keys))


def position_bias(operands: Operands) -> Array | None:
    """(H, T, S) the bias the model adds for each pair of positions; None if it adds none."""
    return None if operands.bias is None else operands.bias(*_positions(operands))


def allowed(operands: Operands) -> Array:
    """(T, S) true where the query may look at the key."""
    xp = namespace(operands.queries)
    mask = operands.mask(*_positions(operands))
    rows, columns = operands.queries.shape[-2], operands.keys.shape[-2]
    return xp.broadcast_to(mask, (*mask.shape[:-2], rows, columns))


def soft_capped(scores: Array, cap: float | None) -> Array:
    """(H, T, S) scores limited smoothly to (-cap, cap): cap · tanh(scores / cap)."""
    return scores if cap is None else cap * namespace(scores).tanh(scores / cap)


def biased(scores: Array, bias: Array | None) -> Array:
    """(H, T, S) scores plus the position bias."""
    return scores if bias is None else scores + bias


def masked(scores: Array, mask: Array) -> Array:
    """(H, T, S) scores where the query may look, -inf elsewhere: exp(-inf) is 0."""
    xp = namespace(scores)
    nowhere = xp.asarray(-float("inf"), dtype=scores.dtype, device=scores.device)
    return xp.where(mask, scores, nowhere)


def softmax(logits: Array, sink: Array | None = None) -> Array:
    """(H, T, S) the softmax over each row, in float32 or better; a row that may look nowhere is zeros.

    A row sums to 1, less what the sink takes: the sink, (H,) or (H, T), is an additional logit in each row
    whose weight is dropped afterwards (gpt-oss, `modeling_gpt_oss.py`).
    """
    return softmax_and_sink(logits, sink)[0]


def softmax_and_sink(logits: Array, sink: Array | None) -> tuple[Array, Array | None]:
    """The softmax (H, T, S), and the weight (H, T) that the sink takes of each row; None without a sink.

    In a row that may look nowhere the sink takes all of it.
    """
    xp, row = namespace(logits), exponentiate(logits, sink)
    total = xp.where(row.total > 0, row.total, xp.ones_like(row.total))
    weights = xp.astype(row.powers / total, logits.dtype, copy=False)
    if row.of_sink is None:
        return weights, None
    return weights, xp.astype((row.of_sink / total)[..., 0], logits.dtype, copy=False)


def exponentiate(logits: Array, sink: Array | None = None) -> Exponentials:
    """exp(logit - largest) in each row of logits (H, T, S), with a sink (H,) or (H, T); float32 or better.

    Subtracting the largest logit leaves the softmax the same, and no power overflows.
    """
    xp = namespace(logits)
    exact = at_least_float32(logits)
    peak = xp.max(constant(exact), axis=-1, keepdims=True)
    if sink is not None:
        sink = at_least_float32(sink)
        sink = sink[:, None, None] if sink.ndim == 1 else sink[:, :, None]
        peak = xp.maximum(peak, sink)
    largest = constant(xp.where(xp.isfinite(peak), peak, xp.zeros_like(peak)))
    powers = xp.exp(exact - largest)
    total = xp.sum(powers, axis=-1, keepdims=True)
    of_sink = None if sink is None else xp.exp(sink - largest)
    return Exponentials(largest, powers, total if of_sink is None else total + of_sink, of_sink)


def weighted_sum(weights: Array, values: Array) -> Array:
    """(H, T, D) a_i = Σ_j α_ij v_j: the weighted sum of the values."""
    return _per_key_head(weights, values)


def _positions(operands: Operands) -> tuple[Array, Array]:
    """The positions of the queries (T, 1) and the keys (1, S)."""
    queries = positions(operands.queries.shape[-2], operands.queries)
    keys = positions(operands.keys.shape[-2], operands.keys)
    return queries[:, None], keys[None, :]


def _per_key_head(left: Array, right: Array) -> Array:
    """(H, T, A) times (G, A, B) is (H, T, B); the heads of a group are stacked, so nothing is repeated."""
    xp = namespace(left)
    *batch, heads, rows, _ = left.shape
    groups = right.shape[-3]
    stacked = xp.reshape(left, (*batch, groups, heads // groups * rows, left.shape[-1]))
    product = xp.matmul(stacked, right)
    return xp.reshape(product, (*batch, heads, rows, product.shape[-1]))
