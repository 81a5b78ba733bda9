"""Multi-head attention: the projections, and one layer's attention with all its steps.

Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2. H query heads, G key/value heads, T queries,
S keys, D head size, M model width.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING

import numpy as np

from attn_cli.core.arrays import Array, at_least_float32, namespace, taken
from attn_cli.core.attention import Bias, LearnedSink, Operands, Trace, allowed, trace
from attn_cli.core.context import attend
from attn_cli.core.layers import LayerNorm, RmsNorm
from attn_cli.core.masks import HiddenBy, Rule, Shifted, both, everywhere, reason, shifted
from attn_cli.core.positions import Disentangled, Rotary, rotate
from attn_cli.core.streaming.pooling import Pooled, pool, pool_others
from attn_cli.errors import AttnError, UsageError
from attn_cli.record import record
from attn_cli.vocabulary import Metric, Pool, Step

if TYPE_CHECKING:
    from attn_cli.core.hiding import Hiding
    from attn_cli.core.past import Past
    from attn_cli.core.streaming.key_tokens import KeyTokens
    from attn_cli.core.streaming.row_metrics import RowMetrics
    from attn_cli.core.streaming.stream import RowProgress

_NO_BIAS = "the layer adds no position bias"
_NO_REST = "it is not known what the layer does after its attention"
_NO_OUTPUT = "W^O is not known"
_OF_OUTPUT = (Step.NORMS, Step.NORM_SHARES, Step.VALUE_ZEROING)  # steps that need W^O


@record(frozen=True, slots=True)
class Cut:
    """Where the rows of a projection are in a fused matrix: in blocks, one per head."""

    rows: int  # of the fused matrix
    blocks: Sequence[int]  # for each of our heads, the block of the fused matrix that has its rows
    size: int  # D, the rows of a block

    def rows_of(self, head: int) -> range:
        """The rows of the fused matrix that belong to this head."""
        start = self.blocks[head] * self.size
        return range(start, start + self.size)


@record(frozen=True, slots=True, eq=False)
class Linear:
    """x ↦ x·Wᵀ + b; the weight has one row per output, as in `torch.nn.Linear`."""

    weight: Array  # (out, in)
    bias: Array | None = None  # (out,)
    name: str = ""  # of the tensor in the file, without `.weight`; in GGUF, Hugging Face's name; "": unknown
    cut: Cut | None = None  # out of a fused matrix; None: the tensor is this matrix alone
    is_transposed: bool = False  # the file has it as (in, out): its columns are our rows (GPT-2's Conv1D)

    def __call__(self, x: Array) -> Array:
        """(..., in) to (..., out)."""
        xp = namespace(x)
        rows = xp.reshape(x, (-1, x.shape[-1]))  # NumPy would multiply a batch matrix by matrix
        product = xp.matmul(rows, xp.matrix_transpose(self.weight))
        result = product if self.bias is None else product + self.bias
        return xp.reshape(result, (*x.shape[:-1], result.shape[-1]))


@record(frozen=True, slots=True, eq=False)
class Stages:
    """The queries or the keys of a layer, stage by stage; the last stage enters the scores."""

    plain: Array  # (H or G, T, D) after the projection, with its bias
    normed: Array | None = None  # after QK-norm
    turned: Array | None = None  # after RoPE

    @property
    def final(self) -> Array:
        """(H or G, T, D) the last stage: the queries or keys of `Operands`."""
        if self.turned is not None:
            return self.turned
        return self.plain if self.normed is None else self.normed


@record(frozen=True, slots=True, eq=False)
class Attention:
    """The attention of one layer: its input, its operands, and the W^O that follows.

    X and W^O are None if they are not known, as for recorded operands; `unknown` gives the reason.
    """

    input: Array | None  # (T, M)
    operands: Operands
    projection: Linear | None  # W^O: (M, H · D)
    unknown: Mapping[Step, str] = field(default_factory=dict)
    is_sink_late: bool = False  # whether the model scales contexts by what a sink leaves, not its weights
    memory: Array | None = None  # (S, M) what keys and values are computed from; None: the input
    stream: Array | None = None  # (T, M) the residual stream, to which the output is added; None: unknown
    input_norm: LayerNorm | RmsNorm | None = None  # input = norm(stream); None: the stream is the input
    is_result_changed: bool = False  # whether the model normalises or scales the output before adding it
    scale_name: str = ""  # see `MultiHeadAttention`
    rows: Sequence[int] | None = None  # the positions of the queries, after `at`; None: 0 to T - 1
    opens: "Callable[[], MultiHeadAttention] | None" = None  # see `layer`
    rest: "Callable[[Attention, Callable[[Array], Array]], Array] | None" = None
    """The output (..., T, M) of the whole layer, from some rows of this attention and from what changes their
    contexts (H, T, D) to (..., H, T, D); None: it is not known."""

    @property
    def layer(self) -> "MultiHeadAttention | None":
        """The layer that computed it, with its weights; None for recorded operands.

        A model in a file reads the weights again the first time: an attention that nobody opens holds
        only W^O.
        """
        return None if self.opens is None else self.opens()

    def query_stages(self) -> Stages | None:
        """The stages of the queries (H, T, D), computed again from the input; None if the layer is unknown.

        After `at` they are those of its rows, computed without the others: their last bit may differ.
        """
        layer = self.layer
        return None if layer is None else layer.query_stages(self.input, self.rows)

    def key_stages(self) -> Stages | None:
        """The stages of the keys (G, S, D), computed again; None if the layer is unknown."""
        layer = self.layer
        return None if layer is None else layer.key_stages(self.input if self.memory is None else self.memory)

    @property
    def opened(self) -> "Attention":
        """Itself: its operands are known."""
        return self

    @property
    def heads(self) -> int:
        """H, the number of query heads."""
        return self.operands.heads

    @property
    def scale(self) -> float:
        """The factor of q·k."""
        return float(self.operands.scale)

    @property
    def mask(self) -> Array:
        """(T, S) true where the query may look."""
        return allowed(self.operands)

    @property
    def absent(self) -> Mapping[Step, str]:
        """The steps that are missing, each with the reason."""
        without = {Step.BIAS: _NO_BIAS} if self.operands.bias is None else {}
        if self.rest is None:
            without[Step.VALUE_ZEROING] = _NO_REST
        if self.projection is None or Step.OUTPUT in self.unknown:
            without |= dict.fromkeys(_OF_OUTPUT, self.unknown.get(Step.OUTPUT, _NO_OUTPUT))
        return without | dict(self.unknown)

    def kv_head(self, head: int) -> int:
        """Which key/value head the query head `head` reads."""
        return self.operands.kv_head(head)

    def at(self, rows: Sequence[int]) -> "Attention":
        """The same layer with only the queries at those positions; the keys are unchanged."""
        x, stream = (None if each is None else taken(each, rows, -2) for each in (self.input, self.stream))
        return replace(
            self,
            input=x,
            operands=self.operands.at(rows),
            memory=self.input if self.memory is None else self.memory,
            stream=stream,
            rows=list(rows) if self.rows is None else [self.rows[row] for row in rows],
        )

    def hidden_by(self, query: int, key: int) -> HiddenBy | None:
        """Why the query in this row may not look at the key; None if it may."""
        return reason(self.operands.mask, query, key, self.operands.queries)

    def pooled(
        self, heads: Sequence[int], most: int, way: Pool = Pool.MEAN, hiding: "Hiding | None" = None
    ) -> Pooled:
        """The weights of `heads` pooled over cells, in at most `most` rows and `most` columns."""
        operands = self.operands.select(heads)
        return pool(operands, most, way) if hiding is None else pool_others(operands, most, hiding, way)

    def measure(
        self,
        heads: Sequence[int],
        metrics: Collection[Metric],
        tokens: "KeyTokens",
        progress: "RowProgress | None" = None,
        hiding: "Hiding | None" = None,
    ) -> "RowMetrics":
        """The metrics of `heads`, row by row, in memory that grows with T + S."""
        from attn_cli.core.streaming.row_metrics import measure_operands  # 0.02 s: few commands measure

        is_whole = list(heads) == list(range(self.heads))
        operands = self.operands if is_whole else self.operands.select(heads)
        if hiding is None:
            measured = measure_operands(operands, metrics, tokens, progress)
        else:
            from attn_cli.core.shown_metrics import measure_shown  # few commands hide keys

            measured = measure_shown(operands, metrics, tokens, hiding, progress)
        if not any(metric.is_written for metric in metrics) or Step.NORMS in self.absent:
            return measured
        from attn_cli.core.written.norms import WrittenRows, with_written  # few commands measure it

        rows = WrittenRows.of(self.operands.select(heads), self.key_norms(heads), tokens, hiding)
        return with_written(measured, rows, metrics)

    def measured_and_pooled(
        self, metrics: Collection[Metric], tokens: "KeyTokens", most: int, way: Pool
    ) -> "tuple[RowMetrics, Pooled]":
        """Those metrics of all heads that weights tell, and their pooled weights, in one pass."""
        from attn_cli.core.streaming.row_metrics import measure_and_pool  # as above

        return measure_and_pool(self.operands, metrics, tokens, most, way)

    def trace(self, heads: Sequence[int] | None = None) -> Trace:
        """Every step of `heads`, by default of all heads."""
        return trace(self.operands if heads is None else self.operands.select(heads))

    def steps(self, heads: Sequence[int], wanted: Collection[Step | str]) -> dict[Step, Array]:
        """The `wanted` steps of `heads`, in the order of the computation, each (H, T, ...) or (H, S, ...).

        Leading axes are batches. `input` and `mask` are repeated for every head; steps that are `absent` are
        left out.

        Raises:
            AttnError: one of `heads` does not exist.
            ValueError: one of `wanted` is not a step.
        """
        names = {Step(name) for name in wanted}
        operands = self.operands.select(heads)
        traced = trace(operands)
        arrays = _arrays_by_step(operands, traced)
        if self.input is not None:
            *batch, rows, width = self.input.shape
            whole = self.input[..., None, :, :]
            arrays[Step.INPUT] = namespace(whole).broadcast_to(whole, (*batch, len(heads), rows, width))
        if Step.OUTPUT in names and self.projection is not None:
            arrays[Step.OUTPUT] = self.shares(traced.context, heads)
        known = names.difference(self.absent)
        if not known.isdisjoint(_OF_OUTPUT):
            arrays |= self._written(known, heads, traced.weights)
        shown = known & set(arrays)
        return {step: arrays[step] for step in Step if step in shown}

    def _written(self, names: Collection[Step], heads: Sequence[int], weights: Array) -> dict[Step, Array]:
        """Those of the `names` that tell what keys add, from the weights (H, T, S) of `heads`."""
        arrays: dict[Step, Array] = {}
        if Step.VALUE_ZEROING in names:
            from attn_cli.core.written.value_zeroing import value_zeroing  # few commands ask for it

            matrix = value_zeroing(self.operands, self._rest_at)[..., None, :, :]
            arrays[Step.VALUE_ZEROING] = namespace(weights).broadcast_to(matrix, weights.shape)
        if Step.NORMS in names or Step.NORM_SHARES in names:
            from attn_cli.core.written.norms import shares_of_rows  # few commands ask for it

            arrays[Step.NORMS] = weights * self.key_norms(heads)[..., None, :]
            arrays[Step.NORM_SHARES] = shares_of_rows(arrays[Step.NORMS])
        return arrays

    def _rest_at(self, rows: Sequence[int], change: Callable[[Array], Array]) -> Array:
        """(..., T, M) the output of the whole layer at these rows, with their contexts changed."""
        assert self.rest is not None, "otherwise the step is absent"
        return self.rest(self.at(rows), change)

    def key_norms(self, heads: Sequence[int]) -> Array:
        """(H, S) the norm of what each key adds to the output of each of `heads` if it takes all weight."""
        from attn_cli.core.written.norms import key_norms  # few commands ask for it

        return key_norms(self.operands.select(heads).values, self._slices(heads))

    def sink(self, heads: Sequence[int]) -> LearnedSink | None:
        """The learned sinks of `heads`; None if the layer has none."""
        if self.operands.sink is None:
            return None
        operands = self.operands.select(heads)
        traced = trace(operands)
        assert operands.sink is not None, "selected heads keep their sinks"
        assert traced.sink is not None, "and these take weight"
        left = namespace(traced.weights).sum(traced.weights, axis=-1) if self.is_sink_late else None
        return LearnedSink(at_least_float32(operands.sink), traced.sink, left)

    def shares(self, context: Array, heads: Sequence[int]) -> Array:
        """(H, T, M) each head's share of the output: context × its slice of W^O.

        The shares of all heads and the bias of W^O add up to `result`.
        """
        xp = namespace(context)
        return xp.matmul(context, xp.matrix_transpose(xp.stack(self._slices(heads))))

    def _slices(self, heads: Sequence[int]) -> list[Array]:
        """(M, D) of each head, the columns of W^O that its contexts meet."""
        assert self.projection is not None, "what a head adds needs W^O"
        size = int(self.operands.values.shape[-1])
        return [self.projection.weight[:, head * size : (head + 1) * size] for head in heads]

    def contexts(self) -> Array:
        """(H, T, D) each head's weighted sum of the values, computed without the other steps."""
        return attend(self.operands)

    def projected(self, contexts: Array) -> Array:
        """(T, M) the concatenated contexts (H, T, D) of the heads, times W^O, plus its bias.

        Call it only if W^O is known: otherwise the output is in `absent`.
        """
        assert self.projection is not None, "the result needs W^O"
        return self.projection(merged(contexts))

    def result(self) -> Array:
        """(T, M) the output of the layer, if W^O is known."""
        return self.projected(self.contexts())


def _arrays_by_step(operands: Operands, traced: Trace) -> dict[Step, Array]:
    """(H, T, ...) the steps in the operands and their trace; those shared by all heads are repeated."""
    xp = namespace(operands.queries)
    arrays: dict[Step, Array] = {Step.MASK: xp.broadcast_to(traced.mask, traced.weights.shape)}
    for step in (Step.QUERIES, Step.KEYS, Step.VALUES):
        arrays[step] = getattr(operands, step)
    for step in (Step.SCORES, Step.LOGITS, Step.WEIGHTS, Step.CONTEXT):
        arrays[step] = getattr(traced, step)
    if traced.bias is not None:  # ALiBi's is the same for every query
        arrays[Step.BIAS] = xp.broadcast_to(traced.bias, traced.scores.shape)
    return arrays


@record(frozen=True, slots=True, eq=False)
class MultiHeadAttention:
    """The attention layer of a transformer, over NumPy or PyTorch arrays.

    >>> import numpy as np
    >>> layer = MultiHeadAttention.random(width=16, heads=2, seed=0)
    >>> layer(np.ones((3, 16), dtype=np.float32)).shape
    (3, 16)

    `layer.attention(x)` gives every step of the call. With fewer key/value heads than heads it is
    grouped-query attention. `attn_cli.MultiHeadAttentionModule` is the same as a `torch.nn.Module`.

    Raises:
        AttnError: the shapes of the projections do not match the heads or each other.
    """

    query: Linear  # W^Q: (H · D, M)
    key: Linear  # W^K: (G · D, M)
    value: Linear  # W^V: (G · D, M)
    output: Linear  # W^O: (M, H · D)
    heads: int
    kv_heads: int
    scale: float | None = None  # None: 1/√D
    scale_name: str = ""  # the config keys that set it; "": it is 1/√D, or the family has none and it is 1
    mask: Rule = everywhere
    bias: Bias | None = None
    softcap: float | None = None
    sink: Array | None = None  # (H,) learned logits that take weight and give no value
    rotary: Rotary | None = None
    query_norm: LayerNorm | RmsNorm | None = None  # QK-norm, before RoPE: arXiv:2010.04245
    key_norm: LayerNorm | RmsNorm | None = None
    is_norm_whole: bool = False  # the norms span all heads together (OLMo 2)
    disentangled: Disentangled | None = None  # a bias that depends on queries and keys (DeBERTa)

    def __post_init__(self) -> None:
        check_heads(self.query.weight.shape[0], self.heads, self.kv_heads)
        expected = self.kv_heads * self.head_size
        for name, linear in (("key", self.key), ("value", self.value)):
            rows = linear.weight.shape[0]
            if rows != expected:
                problem = f"the {name} projection has {rows} rows, not {self.kv_heads} × {self.head_size}"
                raise AttnError(problem, "a weight with kv_heads × head size rows")
        columns = self.output.weight.shape[1]
        if columns != self.heads * self.head_size:
            problem = f"the output projection has {columns} columns, not {self.heads} × {self.head_size}"
            raise AttnError(problem, "a weight with heads × head size columns")

    @property
    def head_size(self) -> int:
        """D, the number of features of one query."""
        return int(self.query.weight.shape[0]) // self.heads

    def __call__(self, x: Array, memory: Array | None = None, mask: Rule | None = None) -> Array:
        """(T, M) the output for `x` (T, M); keys and values come from `memory` (S, M) if it is given.

        Leading axes are batches. `mask` restricts the layer's own mask further, for padding for example.
        """
        return self.attention(x, memory, mask).result()

    def attention(
        self, x: Array, memory: Array | None = None, mask: Rule | None = None, past: "Past | None" = None
    ) -> Attention:
        """The same call, with access to every step.

        `past` has the keys and values of the tokens before `x`, or of `memory`, and keeps these too.
        """
        if past is not None:
            operands = self._later_operands(
                x, memory, self.mask if mask is None else both(self.mask, mask), past
            )
            return Attention(x, operands, self.output, scale_name=self.scale_name)
        operands = self.operands(x, memory, mask)
        return Attention(
            x,
            operands,
            self.output,
            memory=memory,
            scale_name=self.scale_name,
            opens=self.itself,
            rest=_alone,
        )

    def itself(self) -> "MultiHeadAttention":
        """This layer, as `Attention.layer` returns it."""
        return self

    def operands(self, x: Array, memory: Array | None = None, mask: Rule | None = None) -> Operands:
        """Q = XW^Q, K = XW^K, V = XW^V, split into heads, with QK-norm and RoPE applied.

        Raises:
            AttnError: the width of `x` or `memory` is not that of the layer.
        """
        source = x if memory is None else memory
        _check_width("x", x, self.query)
        _check_width("memory", source, self.key)
        queries, (keys, values) = self.query_stages(x).final, self._keys_and_values(source)
        return self._operands(
            queries,
            keys,
            values,
            mask=self.mask if mask is None else both(self.mask, mask),
            bias=self.bias if self.disentangled is None else self.disentangled.of(queries, keys),
        )

    def _later_operands(self, x: Array, memory: Array | None, mask: Rule, past: "Past") -> Operands:
        """The same for tokens that follow those in `past`, and with their keys and values."""
        assert self.disentangled is None, "its bias needs the queries of the past too"
        if memory is not None:
            keys, values = past.once(lambda: self._keys_and_values(memory))
            return self._operands(self.query_stages(x).final, keys, values, mask=mask, bias=self.bias)
        first = past.count
        places = range(first, first + int(x.shape[-2])) if first else None
        queries = self.query_stages(x, places).final
        keys, values = past.extended(*self._keys_and_values(x, places))
        bias = self.bias if self.bias is None or not first else Shifted(self.bias, first, 0)
        return self._operands(queries, keys, values, mask=shifted(mask, first), bias=bias)

    def _keys_and_values(self, x: Array, places: Sequence[int] | None = None) -> tuple[Array, Array]:
        return self.key_stages(x, places).final, split(self.value(x), self.kv_heads)

    def _operands(
        self, queries: Array, keys: Array, values: Array, *, mask: Rule, bias: Bias | None
    ) -> Operands:
        return Operands(
            queries=queries,
            keys=keys,
            values=values,
            scale=self.head_size**-0.5 if self.scale is None else self.scale,
            mask=mask,
            bias=bias,
            softcap=self.softcap,
            sink=self.sink,
        )

    def query_stages(self, x: Array, places: Sequence[int] | None = None) -> Stages:
        """The stages of the queries (H, T, D) of `x` (T, M), at the positions 0 to T - 1, or at `places`."""
        return self._stages(self.query(x), self.heads, self.query_norm, places)

    def key_stages(self, x: Array, places: Sequence[int] | None = None) -> Stages:
        """The stages of the keys (G, S, D) of `x` (S, M), the layer's input or the memory, likewise."""
        return self._stages(self.key(x), self.kv_heads, self.key_norm, places)

    def _stages(
        self, x: Array, heads: int, norm: LayerNorm | RmsNorm | None, places: Sequence[int] | None = None
    ) -> Stages:
        """The stages of the projected `x` (T, H · D)."""
        plain, normed = split(x, heads), None
        if norm is not None:
            normed = split(norm(x), heads) if self.is_norm_whole else norm(plain)
        if self.rotary is None:
            return Stages(plain, normed)
        return Stages(plain, normed, rotate(plain if normed is None else normed, self.rotary, places))

    @classmethod
    def random(
        cls, width: int, heads: int, *, seed: int = 0, mask: Rule = everywhere
    ) -> "MultiHeadAttention":
        """A random NumPy layer without biases; weights are drawn from N(0, 1/width)."""
        check_heads(width, heads, heads)
        draw = np.random.default_rng(seed)
        spread = 1 / math.sqrt(width)
        weights = (draw.normal(0.0, spread, (width, width)).astype(np.float32) for _ in range(4))
        query, key, value, output = (Linear(weight) for weight in weights)
        return cls(query, key, value, output, heads=heads, kv_heads=heads, mask=mask)


def _alone(attention: Attention, change: Callable[[Array], Array]) -> Array:
    """(..., T, M) the output of a layer that is an attention and nothing else, with its contexts changed."""
    return attention.projected(change(attention.contexts()))


def fused(
    linear: Linear, heads: int, kv_heads: int, *, interleaved: bool = False
) -> tuple[Linear, Linear, Linear]:
    """Split a fused matrix ((H + 2G) · D, M) into W^Q, W^K and W^V.

    Usually it contains all of Q, then all of K, then all of V (GPT-2, ModernBERT). If `interleaved` it is
    ordered by key/value head: its H/G queries, its key, its value (GPT-NeoX, BLOOM, Falcon).

    Raises:
        AttnError: the number of rows does not match the heads.
    """
    rows = linear.weight.shape[0]
    blocks = heads + 2 * kv_heads
    if rows % blocks or heads % kv_heads:
        problem = f"{rows} rows do not fit queries of {heads} heads and keys and values of {kv_heads}"
        raise AttnError(problem, "check the number of heads")
    order = _interleaved_blocks(heads, kv_heads) if interleaved else _stacked_blocks(heads, kv_heads)
    query, key, value = (_blocks(linear, chosen, rows // blocks) for chosen in order)
    return query, key, value


def _check_width(name: str, given: Array, linear: Linear) -> None:
    features, expected = given.shape[-1], linear.weight.shape[1]
    if features != expected:
        problem = f"{name} has {features} features, but the layer takes {expected}"
        raise AttnError(problem, f"an array of shape (T, {expected})")


def split(x: Array, heads: int) -> Array:
    """(T, H · D) to (H, T, D)."""
    xp = namespace(x)
    apart = xp.reshape(x, (*x.shape[:-1], heads, x.shape[-1] // heads))
    return xp.moveaxis(apart, -2, -3)


def merged(x: Array) -> Array:
    """(H, T, D) to (T, H · D): the concatenated contexts of the heads."""
    xp = namespace(x)
    apart = xp.moveaxis(x, -3, -2)
    return xp.reshape(apart, (*apart.shape[:-2], apart.shape[-2] * apart.shape[-1]))


def check_heads(width: int, heads: int, kv_heads: int) -> None:
    """Check that `width` is a multiple of `heads`, and `heads` a multiple of `kv_heads`.

    Raises:
        UsageError: one of them is not.
    """
    if heads < 1 or width < 1 or width % heads:
        problem = f"{width} features cannot be divided evenly among {heads} heads"
        raise UsageError(problem, "choose a width that is a multiple of the number of heads")
    if kv_heads < 1 or heads % kv_heads:
        problem = f"{heads} heads cannot be divided evenly among {kv_heads} key/value heads"
        raise UsageError(problem, "choose a number of heads that is a multiple of the key/value heads")


def _stacked_blocks(heads: int, kv_heads: int) -> tuple[range, range, range]:
    """The indices of the blocks of D rows that are queries, keys and values, in this order."""
    end = heads + kv_heads
    return range(heads), range(heads, end), range(end, end + kv_heads)


def _interleaved_blocks(heads: int, kv_heads: int) -> tuple[list[int], range, range]:
    """The same if the rows are ordered by key/value head: its queries, its key, its value."""
    group = heads // kv_heads
    stride, end = group + 2, (group + 2) * kv_heads
    queries = [start + one for start in range(0, end, stride) for one in range(group)]
    return queries, range(group, end, stride), range(group + 1, end, stride)


def _blocks(linear: Linear, chosen: Sequence[int], size: int) -> Linear:
    """The rows of the chosen blocks; consecutive blocks give a view, so that a mapped file is not copied."""
    weight, bias = linear.weight, linear.bias
    first, last = chosen[0], chosen[-1]
    if list(chosen) == list(range(first, last + 1)):
        rows: slice | Array = slice(first * size, (last + 1) * size)
    else:
        xp = namespace(weight)
        rows = xp.asarray([row for block in chosen for row in range(block * size, (block + 1) * size)])
    return replace(
        linear,
        weight=weight[rows],
        bias=None if bias is None else bias[rows],
        cut=Cut(int(weight.shape[0]), chosen, size),
    )
