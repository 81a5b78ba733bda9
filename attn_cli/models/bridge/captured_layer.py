"""Turns a recorded attention into a layer: with all of its steps, or only its logits and weights."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import reduce
from operator import add, or_

import torch  # 1.7 s: imported only by modules that need it anyway

from attn_cli.core.arrays import Array, Floats, taken, to_numpy
from attn_cli.core.attention import Bias, LearnedSink, Operands, trace
from attn_cli.core.hiding import Hiding, as_shown
from attn_cli.core.masks import Rule, everywhere
from attn_cli.core.multihead import Attention, Linear, merged
from attn_cli.core.shown_metrics import measure_shown_weights
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.pooling import Pooled
from attn_cli.core.streaming.row_metrics import RowMetrics, measure_weights
from attn_cli.core.streaming.stream import RowProgress
from attn_cli.errors import AttnError
from attn_cli.models.bridge.capture import AttentionCall, AttentionRecord
from attn_cli.models.bridge.dataflow import hidden_by, never_a_bias
from attn_cli.models.source import Layer
from attn_cli.record import record
from attn_cli.vocabulary import Metric, Step

# Our weights and those of transformers differ by float32 rounding: at most 4e-6 across 150 families with
# large scores. A larger difference means another formula. In half precision every step of a layer rounds:
# scores of 10 by 0.005 (float16) and 0.04 (bfloat16), and a few such errors add up.
_TOLERANCE = {torch.float16: 0.02, torch.bfloat16: 0.15}
_EXACT = 2e-5

_SOFTMAX_STEPS = frozenset({Step.MASK, Step.LOGITS, Step.WEIGHTS})
_UNSEEN = "only the softmax of this family can be observed"
_NO_INPUT = "the module does not receive one vector per token"
_NO_PROJECTION = "no linear layer W^O is applied directly to the heads' contexts"
_TWICE = "the module computes attention more than once, and this is only the first"
_OTHERWISE = "the model's weights are not softmax(q·k × scale + bias), so only its softmax is shown"


@record(frozen=True, slots=True, eq=False)
class CapturedLayer:
    """A layer of which only the softmax was observed: its input and its output."""

    logits: torch.Tensor | None  # (H, T, S) -inf where masked; None: not observed either
    weights: torch.Tensor  # (H, T, S)
    kv_heads: int
    why: str
    sink_logits: torch.Tensor | None = None  # (H, T); None: no learned sink was observed
    sink_weights: torch.Tensor | None = None  # (H, T)
    scale: float | None = field(default=None, init=False)
    opened: None = field(default=None, init=False)  # its operands are not known

    @property
    def heads(self) -> int:
        """H, how many query heads there are."""
        return int(self.weights.shape[-3])

    @property
    def mask(self) -> Array:
        """(T, S) true where some head has a finite logit, or, without logits, a weight above 0."""
        shown = self.weights > 0 if self.logits is None else torch.isfinite(self.logits)
        return shown.any(dim=0)

    @property
    def absent(self) -> Mapping[Step, str]:
        """The steps that were not observed, each with the reason."""
        unseen = {step for step in Step if step not in _SOFTMAX_STEPS} | (
            {Step.LOGITS} if self.logits is None else set()
        )
        return {step: self.why for step in Step if step in unseen}

    def kv_head(self, head: int) -> int:
        """Which key/value head the query head `head` reads."""
        return head * self.kv_heads // self.heads

    def at(self, rows: Sequence[int]) -> "CapturedLayer":
        """The same layer with only the queries at those positions."""
        logits = None if self.logits is None else taken(self.logits, rows, -2)
        sinks = (self.sink_logits, self.sink_weights)
        sink_logits, sink_weights = (None if sink is None else taken(sink, rows, -1) for sink in sinks)
        return replace(
            self,
            logits=logits,
            weights=taken(self.weights, rows, -2),
            sink_logits=sink_logits,
            sink_weights=sink_weights,
        )

    def pooled(self, heads: Sequence[int], most: int, hiding: Hiding | None = None) -> Pooled:
        """The weights of `heads` averaged over cells, in at most `most` rows and `most` columns."""
        weights, mask = to_numpy(taken(self.weights, heads, -3)), to_numpy(self.mask)
        sink = self._weights_of_sink(heads)
        if hiding is None:
            return Pooled.of(weights, mask, most, sink)
        (shown, shares), others = as_shown(weights, hiding), hiding.others(mask.shape[-1])
        return Pooled.of(shown[..., others], mask[:, others], most, sink).beside(shares)

    def measure(
        self,
        heads: Sequence[int],
        metrics: Collection[Metric],
        tokens: KeyTokens,
        progress: RowProgress | None = None,
        hiding: Hiding | None = None,
    ) -> RowMetrics:
        """The metrics of `heads`, row by row, computed from the observed weights."""
        weights = to_numpy(taken(self.weights, heads, -3))
        sink = self._weights_of_sink(heads)
        mask = to_numpy(self.mask)
        if hiding is None:
            measured = measure_weights(weights, mask, metrics, tokens, sink)
        else:
            measured = measure_shown_weights(weights, mask, metrics, tokens, hiding, sink)
        if progress is not None:
            progress(weights.shape[-2], weights.shape[-2])
        return measured

    def sink(self, heads: Sequence[int]) -> LearnedSink | None:
        """The learned sinks of `heads`, as observed; None if there are none."""
        if self.sink_logits is None or self.sink_weights is None:
            return None
        return LearnedSink(taken(self.sink_logits, heads, 0), taken(self.sink_weights, heads, 0))

    def _weights_of_sink(self, heads: Sequence[int]) -> Floats | None:
        sink = self.sink(heads)
        return None if sink is None else to_numpy(sink.weights)

    def result(self) -> Array:
        """Never called: the output is in `absent`."""
        raise AssertionError(self.why)

    def steps(self, heads: Sequence[int], wanted: Collection[Step | str]) -> dict[Step, Array]:
        """The `wanted` steps of `heads`, each (H, T, S), without those that were not observed.

        Raises:
            AttnError: one of `heads` does not exist.
        """
        for head in heads:
            if not 0 <= head < self.heads:
                problem = f"head {head} does not exist: there are {self.heads}, numbered from 0"
                raise AttnError(problem, f"head {self.heads - 1}")
        steps = {Step(step) for step in wanted}
        chosen = list(heads)
        all_steps = {
            Step.MASK: self.mask.broadcast_to(len(chosen), *self.weights.shape[-2:]),
            Step.LOGITS: None if self.logits is None else self.logits[chosen],
            Step.WEIGHTS: self.weights[chosen],
        }
        return {step: all_steps[step] for step in Step if step in steps and all_steps.get(step) is not None}


def build_layer(attention: AttentionRecord, kv_heads: int) -> Layer:
    """The recorded layer: with every step if recomputing them reproduces the model's weights."""
    call = attention.call
    if call is None:
        return _softmax_alone(attention, kv_heads, _UNSEEN)
    operands = next((candidate for candidate in _operands(call) if _is_of(candidate, call)), None)
    if operands is None:
        return _softmax_alone(attention, int(call.keys.shape[0]), _OTHERWISE)
    unknown: dict[Step, str] = {}
    if attention.input is None:
        unknown[Step.INPUT] = _NO_INPUT
    projection = None if attention.projection is None else _linear(attention.projection)
    if attention.times > 1:
        unknown |= dict.fromkeys((Step.VALUES, Step.CONTEXT, Step.OUTPUT), _TWICE)
    elif projection is None or not _returns(operands, call):
        unknown[Step.OUTPUT] = _NO_PROJECTION
    is_sink_late = operands.sink is not None and not _agrees(operands, call)
    return Attention(attention.input, operands, projection, unknown, is_sink_late)


def _softmax_alone(attention: AttentionRecord, kv_heads: int, why: str) -> CapturedLayer:
    _, _, length = attention.size
    weights = attention.weights
    if weights is None:
        assert attention.call is not None, "an attention is recorded by its call or by its softmax"
        assert attention.call.weights is not None, "an attention function returns its weights"
        return CapturedLayer(None, attention.call.weights, kv_heads, why)
    weights, of_sink = weights[..., :length], weights[..., length:]
    if attention.logits is None:
        return CapturedLayer(None, weights, kv_heads, why)
    logits, extra = attention.logits[..., :length], attention.logits[..., length:]
    is_hidden = logits <= never_a_bias(logits.dtype)
    if attention.hidden is not None:
        is_hidden = is_hidden | attention.hidden[..., :length]
    is_hidden = is_hidden & (weights == 0)
    layer = CapturedLayer(logits.masked_fill(is_hidden, -torch.inf), weights, kv_heads, why)
    if not extra.shape[-1]:
        return layer
    # columns beyond the keys are sinks: the attention function has no values for them
    return replace(layer, sink_logits=extra.logsumexp(dim=-1), sink_weights=of_sink.sum(dim=-1))


def _operands(call: AttentionCall) -> Iterator[Operands]:
    """The possible operands; none if the mask differs between heads, so that it cannot be told from the bias.

    Some families drop the sink's share from the weights, others scale the contexts by it afterwards.
    """
    size = (call.queries.shape[-3], call.queries.shape[-2], call.keys.shape[-2])
    mask: Rule = everywhere
    bias: Bias | None = None
    if call.added:
        added = [_as_added(each) for each in call.added]
        total = reduce(add, added)
        hidden = reduce(or_, map(hidden_by, added))
        if not (hidden == hidden[:1]).all():
            return
        mask = _rule(~hidden[0].broadcast_to(size[1:]))
        rest = total.masked_fill(hidden, 0)
        bias = _added(rest.broadcast_to(size)) if rest.any() else None
    plain = Operands(call.queries, call.keys, call.values, call.scale, mask, bias, call.softcap or None)
    if call.sink is not None:
        yield replace(plain, sink=call.sink)
    yield plain


def _as_added(given: torch.Tensor) -> torch.Tensor:
    """(1 or H, T, S) numbers to add to the scores; a boolean mask becomes -inf where it is false."""
    added = given if given.ndim == 3 else given[None]  # noqa: PLR2004
    if added.dtype != torch.bool:
        return added
    return torch.zeros(added.shape, device=added.device).masked_fill(~added, -torch.inf)


def _rule(mask: torch.Tensor) -> Rule:
    """A mask rule that looks up a (T, S) matrix."""
    return lambda queries, keys: mask[queries, keys]


def _added(bias: torch.Tensor) -> Bias:
    """A bias that looks up an (H, T, S) array."""
    return lambda queries, keys: bias[:, queries, keys]


def _is_of(operands: Operands, call: AttentionCall) -> bool:
    """Whether the model computed these steps: our weights are its weights.

    Granite's models with a sink return the weights before the sink takes its share, and scale the contexts
    by what it leaves (`modeling_granite_swa.py`): then the contexts tell.
    """
    return _agrees(operands, call) or (operands.sink is not None and _returns(operands, call))


def _agrees(operands: Operands, call: AttentionCall) -> bool:
    """Whether our weights equal the model's, within the tolerance."""
    ours, weights = trace(operands).weights, call.weights
    if weights is None or weights.shape != ours.shape:
        return False
    return bool((ours - weights).abs().max() <= _TOLERANCE.get(ours.dtype, _EXACT))


def _returns(operands: Operands, call: AttentionCall) -> bool:
    """Whether our contexts equal what the attention function returned, within the tolerance."""
    ours = merged(trace(operands).context)
    if ours.shape != call.merged.shape:
        return False
    difference = (ours - call.merged).abs().max()
    return bool(difference <= _TOLERANCE.get(ours.dtype, _EXACT) * max(1.0, float(ours.abs().max())))


def _linear(module: torch.nn.Module) -> Linear | None:
    """A PyTorch `Linear`, or GPT-2's `Conv1D`, whose weight is (in, out); None for any other module."""
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    if isinstance(module, torch.nn.Linear):
        return Linear(module.weight.detach(), None if module.bias is None else module.bias.detach())
    if type(module).__name__ == "Conv1D" and weight is not None and bias is not None:
        return Linear(weight.detach().T, bias.detach())
    return None
