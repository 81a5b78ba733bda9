"""A recorded attention as a layer: with all of its steps, or only its logits and weights."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import reduce
from operator import add

import torch  # 1.7 s: whoever imports this file wants it

from attn_cli.core.arrays import Array, taken, to_numpy
from attn_cli.core.attention import Bias, Operands, trace
from attn_cli.core.masks import Rule, everywhere
from attn_cli.core.multihead import Attention, Linear, merged
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.pooling import Pooled
from attn_cli.core.streaming.row_metrics import RowMetrics, measure_weights
from attn_cli.core.streaming.stream import RowProgress
from attn_cli.errors import AttnError
from attn_cli.models.bridge.capture import AttentionCall, AttentionRecord
from attn_cli.models.source import Layer
from attn_cli.record import record
from attn_cli.vocabulary import Metric, Step

# Ours and transformers' weights of the same numbers differ by float32's rounding: at most 4e-6 seen in 150
# families, all scores made large. What differs by more was computed in another way. In half precision every
# step of a layer rounds: scores of 10 by 0.005 (float16) and 0.04 (bfloat16), and a few such steps add up.
_TOLERANCE = {torch.float16: 0.02, torch.bfloat16: 0.15}
_EXACT = 2e-5

_HIDDEN = -1e9  # what families add instead of -∞ is far below
_SOFTMAX_STEPS = frozenset({Step.MASK, Step.LOGITS, Step.WEIGHTS})
_UNSEEN = "this family computes it where only the softmax can be seen"
_NO_INPUT = "the module receives no single vector for each token"
_NO_PROJECTION = "no plain matrix W^O takes the heads' contexts as they are"
_TWICE = "the layer attends more than once in one module, of which this is the first"
_OTHERWISE = "the model's weights are not those of softmax(q·k × scale + bias), so only its softmax is shown"


@record(frozen=True, slots=True, eq=False)
class CapturedLayer:
    """A layer of which only the softmax was seen: what went in, what came out."""

    logits: torch.Tensor | None  # (H, T, S) -inf where masked; None: not seen either
    weights: torch.Tensor  # (H, T, S)
    kv_heads: int
    why: str
    scale: float | None = field(default=None, init=False)

    @property
    def heads(self) -> int:
        """H, how many query heads there are."""
        return int(self.weights.shape[-3])

    @property
    def mask(self) -> Array:
        """(T, S) true where some head gives weight, or could."""
        shown = self.weights > 0 if self.logits is None else torch.isfinite(self.logits)
        return shown.any(dim=0)

    @property
    def absent(self) -> Mapping[Step, str]:
        """The steps that were not seen."""
        unseen = {step for step in Step if step not in _SOFTMAX_STEPS} | (
            {Step.LOGITS} if self.logits is None else set()
        )
        return {step: self.why for step in Step if step in unseen}

    def kv_head(self, head: int) -> int:
        """Which key/value head the query head `head` reads."""
        return head * self.kv_heads // self.heads

    def at(self, rows: Sequence[int]) -> "CapturedLayer":
        """The same layer for the queries of those places alone."""
        logits = None if self.logits is None else taken(self.logits, rows, -2)
        return replace(self, logits=logits, weights=taken(self.weights, rows, -2))

    def pooled(self, heads: Sequence[int], most: int) -> Pooled:
        """The weights of `heads` as the means of cells, at most `most` rows and columns of them."""
        return Pooled.of(to_numpy(taken(self.weights, heads, -3)), to_numpy(self.mask), most)

    def measure(
        self,
        heads: Sequence[int],
        metrics: Collection[Metric],
        tokens: KeyTokens,
        progress: RowProgress | None = None,
    ) -> RowMetrics:
        """The metrics of `heads`, row by row, of the weights that were seen."""
        weights = to_numpy(taken(self.weights, heads, -3))
        measured = measure_weights(weights, to_numpy(self.mask), metrics, tokens)
        if progress is not None:
            progress(weights.shape[-2], weights.shape[-2])
        return measured

    def result(self) -> Array:
        """What the layer returns was not seen: `absent` says so."""
        raise AssertionError(self.why)

    def steps(self, heads: Sequence[int], wanted: Collection[Step | str]) -> dict[Step, Array]:
        """The `wanted` steps of `heads`, each (H, T, S), less those that were not seen.

        Raises:
            AttnError: one of `heads` is not there.
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
    """The layer that was seen: every step where they can be computed again to the model's own weights."""
    call = attention.call
    if call is None:
        return _softmax_alone(attention, kv_heads, _UNSEEN)
    operands = next((candidate for candidate in _operands(call) if _agrees(candidate, call)), None)
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
    return Attention(attention.input, operands, projection, unknown)


def _softmax_alone(attention: AttentionRecord, kv_heads: int, why: str) -> CapturedLayer:
    _, _, length = attention.size
    weights = attention.weights
    if weights is None:
        assert attention.call is not None, "an attention is seen by its call or by its softmax"
        assert attention.call.weights is not None, "an attention function gives its weights back"
        return CapturedLayer(None, attention.call.weights, kv_heads, why)
    weights = weights[..., :length]  # one more column is a sink
    if attention.logits is None:
        return CapturedLayer(None, weights, kv_heads, why)
    logits = attention.logits[..., :length]
    is_hidden = (logits <= _hidden(logits)) & (weights == 0)
    return CapturedLayer(logits.masked_fill(is_hidden, -torch.inf), weights, kv_heads, why)


def _operands(call: AttentionCall) -> Iterator[Operands]:
    """The operands, where mask and biases can be told apart: heads that are masked differently have none.

    Some families drop the sink's share from the weights, some scale the contexts by it afterwards.
    """
    size = (call.queries.shape[-3], call.queries.shape[-2], call.keys.shape[-2])
    mask: Rule = everywhere
    bias: Bias | None = None
    if call.added:
        total = reduce(add, map(_as_added, call.added))
        hidden = total <= _hidden(total)
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
    """(1 or H, T, S) numbers that are added; of truth values -inf where the query may not look."""
    added = given if given.ndim == 3 else given[None]  # noqa: PLR2004
    if added.dtype != torch.bool:
        return added
    return torch.zeros(added.shape, device=added.device).masked_fill(~added, -torch.inf)


def _rule(mask: torch.Tensor) -> Rule:
    """The rule that a (T, S) matrix spells out."""
    return lambda queries, keys: mask[queries, keys]


def _added(bias: torch.Tensor) -> Bias:
    """The bias that an (H, T, S) array spells out."""
    return lambda queries, keys: bias[:, queries, keys]


def _hidden(numbers: torch.Tensor) -> float:
    """What is no more than this hides a cell."""
    return max(_HIDDEN, torch.finfo(numbers.dtype).min / 2)


def _agrees(operands: Operands, call: AttentionCall) -> bool:
    """Whether our weights are the model's."""
    ours, weights = trace(operands).weights, call.weights
    if weights is None or weights.shape != ours.shape:
        return False
    return bool((ours - weights).abs().max() <= _TOLERANCE.get(ours.dtype, _EXACT))


def _returns(operands: Operands, call: AttentionCall) -> bool:
    """Whether the contexts are what the model goes on with."""
    ours = merged(trace(operands).context)
    if ours.shape != call.merged.shape:
        return False
    difference = (ours - call.merged).abs().max()
    return bool(difference <= _TOLERANCE.get(ours.dtype, _EXACT) * max(1.0, float(ours.abs().max())))


def _linear(module: torch.nn.Module) -> Linear | None:
    """A linear map of PyTorch, or GPT-2's `Conv1D` that keeps its weight as (in, out); None for any other."""
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    if isinstance(module, torch.nn.Linear):
        return Linear(module.weight.detach(), None if module.bias is None else module.bias.detach())
    if type(module).__name__ == "Conv1D" and weight is not None and bias is not None:
        return Linear(weight.detach().T, bias.detach())
    return None
