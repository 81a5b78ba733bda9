"""Records what enters and leaves the modules around an attention, and puts a layer's steps together."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch  # 1.7 s: imported only by modules that need it anyway

from attn_cli.core.arrays import Array, to_numpy
from attn_cli.models.bridge.judge import OperationWatch, WatchedAttention, kept_rows
from attn_cli.models.files.tensors import FloatArray
from attn_cli.models.source import AttentionModules, ReferenceLayer
from attn_cli.record import record
from attn_cli.vocabulary import Check

_UNWATCHED = "no softmax over (T, S) of transformers could be assigned to this layer"
_ALIKE = "several attentions have the same weights on this text"
_UNNAMED = "no linear layer of transformers receives the contexts as they are"
_NO_INPUT = "attn does not know which module of this family the input enters"
_NOT_RUN = "transformers does not call W^O as a module in this layer"
_NO_PROJECTION = "the module that follows is no linear layer"


@record(frozen=True, slots=True, eq=False)
class OutputCall:
    """One call of W^O: the attention before it, the concatenated contexts, and what it returned."""

    attention: WatchedAttention | None
    merged: torch.Tensor  # (T, H · D)
    module: torch.nn.Module
    output: FloatArray  # (T, M)


@dataclass(slots=True, eq=False)
class ModuleWatch:
    """Records the calls of the named modules while `watching`, in order."""

    operations: OperationWatch
    inputs: dict[str, list[FloatArray]] = field(default_factory=dict)
    outputs: dict[str, list[OutputCall]] = field(default_factory=dict)
    followers: list[OutputCall] = field(default_factory=list)

    @contextmanager
    def watching(self, model: torch.nn.Module, named: Collection[AttentionModules]) -> Iterator[None]:
        """Record the calls inside the block; without names, what receives an attention's contexts is W^O."""
        entered, left = ({getattr(one, name) for one in named} for name in ("query", "output"))
        with ExitStack() as stack:
            for name, module in model.named_modules():
                if name in entered:
                    stack.callback(module.register_forward_hook(self._entering(name)).remove)
                if name in left:
                    stack.callback(module.register_forward_hook(self._leaving(name)).remove)
                if not named and isinstance(getattr(module, "weight", None), torch.Tensor):
                    stack.callback(module.register_forward_hook(self._follow).remove)
            yield

    def _entering(self, name: str) -> Callable[..., None]:
        def keep(_module: torch.nn.Module, given: Any, _result: torch.Tensor) -> None:
            if given:
                self.inputs.setdefault(name, []).append(to_numpy(_rows(given[0]).clone()))

        return keep

    def _leaving(self, name: str) -> Callable[..., None]:
        def keep(module: torch.nn.Module, given: Any, result: torch.Tensor) -> None:
            if given:
                output = to_numpy(_rows(result).clone())
                call = OutputCall(self._attention(), _rows(given[0]).clone(), module, output)
                self.outputs.setdefault(name, []).append(call)

        return keep

    def _follow(self, module: torch.nn.Module, given: Any, result: Any) -> None:
        last = self.operations.records[-1] if self.operations.records else None
        context = None if last is None else last.steps.get(Check.CONTEXT)
        is_tensor = given and isinstance(given[0], torch.Tensor) and isinstance(result, torch.Tensor)
        if last is None or context is None or not is_tensor:
            return
        merged = _rows(given[0])
        kept = to_numpy(kept_rows(merged, last.rows))
        joined = np.moveaxis(context, 0, 1).reshape(context.shape[1], -1)
        if np.array_equal(kept, joined) and all(call.attention is not last for call in self.followers):
            self.followers.append(OutputCall(last, merged.clone(), module, to_numpy(_rows(result).clone())))

    def _attention(self) -> WatchedAttention | None:
        """The attention that ran last, unless another W^O followed it already."""
        last = self.operations.records[-1] if self.operations.records else None
        taken = (call.attention for calls in self.outputs.values() for call in calls)
        return None if last is None or any(last is each for each in taken) else last

    def layers(
        self, modules: Mapping[int, AttentionModules], weights: Mapping[int, FloatArray]
    ) -> dict[int, ReferenceLayer]:
        """The layers, each with the weights that transformers returned and all other steps seen."""
        inputs = {name: iter(calls) for name, calls in self.inputs.items()}
        outputs = {name: iter(calls) for name, calls in self.outputs.items()}
        found = {}
        for layer, returned in weights.items():
            names = modules.get(layer)
            if names is None:
                alike = _alike(returned, self.operations.records)
                call = next((each for each in self.followers if each.attention is alike), None)
                found[layer] = _layer(returned, alike, {}, call, _UNNAMED)
                continue
            call = next(outputs.get(names.output, iter(())), None)
            entering = next(inputs.get(names.query, iter(())), None)
            around = {} if entering is None else {Check.INPUT: entering}
            attention = _alike(returned, self.operations.records) if call is None else call.attention
            found[layer] = _layer(returned, attention or _UNWATCHED, around, call, _NOT_RUN)
        return found


def _rows(tensor: torch.Tensor) -> torch.Tensor:
    """(T, N) of one text."""
    return tensor.reshape(-1, tensor.shape[-1])


def _alike(weights: FloatArray, records: Sequence[WatchedAttention]) -> WatchedAttention | str:
    """The one attention with these weights, or why it cannot be told."""
    same = [
        each for each in records if np.array_equal(each.steps[Check.WEIGHTS], kept_rows(weights, each.rows))
    ]
    if len(same) == 1:
        return same[0]
    return _ALIKE if same else _UNWATCHED


def _layer(
    returned: FloatArray,
    attention: WatchedAttention | str,
    around: Mapping[Check, FloatArray],
    call: OutputCall | None,
    why_no_call: str,
) -> ReferenceLayer:
    """One layer: its steps, and the reason for each that is missing."""
    of_call = (Check.CONTEXT, Check.HEAD_OUTPUTS, Check.OUTPUT)
    if isinstance(attention, str):
        unknown = dict.fromkeys(Check, attention)
        steps = {**around, Check.WEIGHTS: returned, **({} if call is None else {Check.OUTPUT: call.output})}
        return ReferenceLayer(steps, _missing(unknown, steps))
    steps = {**attention.steps, **around, Check.WEIGHTS: kept_rows(returned, attention.rows)}
    unknown = {Check.INPUT: _NO_INPUT, **attention.unknown}
    if call is None:  # a late sink may scale the contexts, as in Granite
        steps.pop(Check.CONTEXT, None)
        unknown |= dict.fromkeys(of_call, why_no_call)
        return ReferenceLayer(steps, _missing(unknown, steps), attention.rows)
    steps[Check.OUTPUT] = call.output
    steps[Check.CONTEXT] = to_numpy(_contexts(call, attention))
    heads = _head_outputs(call, attention)
    if heads is None:
        unknown[Check.HEAD_OUTPUTS] = _NO_PROJECTION
    return ReferenceLayer(steps, _missing(unknown, steps), attention.rows, heads)


def _missing(unknown: Mapping[Check, str], steps: Mapping[Check, FloatArray]) -> dict[Check, str]:
    """The reasons for the steps that are missing, in the order of the computation."""
    return {check: unknown[check] for check in Check if check in unknown and check not in steps}


def _contexts(call: OutputCall, attention: WatchedAttention) -> torch.Tensor:
    """(H, T, D) what enters W^O, by head."""
    rows = kept_rows(call.merged, attention.rows)
    return rows.reshape(rows.shape[0], attention.size[0], -1).transpose(0, 1)


def _head_outputs(call: OutputCall, attention: WatchedAttention) -> Callable[[], Array] | None:
    """(H, T, M) each head's slice of the contexts times its slice of transformers' own W^O."""
    weight = getattr(call.module, "weight", None)
    if not isinstance(weight, torch.Tensor) or call.merged.shape[-1] not in weight.shape:
        return None
    heads, whole = attention.size[0], weight.detach()
    matrix = whole.T if isinstance(call.module, torch.nn.Linear) else whole  # GPT-2's `Conv1D` is (in, out)

    def compute() -> Array:
        return to_numpy(_contexts(call, attention) @ matrix.reshape(heads, -1, matrix.shape[-1]))

    return compute
