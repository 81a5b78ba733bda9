"""Records what enters and leaves the modules around an attention, and puts a layer's steps together."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch  # 1.7 s: imported only by modules that need it anyway

from attn_cli.core.arrays import Array, to_numpy
from attn_cli.models.bridge.judge import OperationWatch, WatchedAttention
from attn_cli.models.files.tensors import FloatArray
from attn_cli.models.source import AttentionModules, ReferenceLayer
from attn_cli.record import record
from attn_cli.vocabulary import Check

_UNWATCHED = "no softmax over (T, S) of transformers could be assigned to this layer"
_ALIKE = "several layers have the same weights on this text"
_UNNAMED = "attn does not know which module of this family is W^O"
_NOT_RUN = "transformers does not call this layer's W^Q or W^O as a module"
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

    @contextmanager
    def watching(self, model: torch.nn.Module, named: Collection[AttentionModules]) -> Iterator[None]:
        """Record the calls inside the block."""
        entered, left = ({getattr(one, name) for one in named} for name in ("query", "output"))
        with ExitStack() as stack:
            for name, module in model.named_modules():
                if name in entered:
                    stack.callback(module.register_forward_hook(self._entering(name)).remove)
                if name in left:
                    stack.callback(module.register_forward_hook(self._leaving(name)).remove)
            yield

    def _entering(self, name: str) -> Callable[..., None]:
        def keep(_module: torch.nn.Module, given: Any, _result: torch.Tensor) -> None:
            self.inputs.setdefault(name, []).append(to_numpy(_rows(given[0]).clone()))

        return keep

    def _leaving(self, name: str) -> Callable[..., None]:
        def keep(module: torch.nn.Module, given: Any, result: torch.Tensor) -> None:
            calls = self.outputs.setdefault(name, [])
            merged = _rows(given[0]).clone()
            output = to_numpy(_rows(result).clone())
            calls.append(OutputCall(self._attention(), merged, module, output))

        return keep

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
                found[layer] = _layer(returned, alike, {}, None, _UNNAMED)
                continue
            call = next(outputs.get(names.output, iter(())), None)
            entering = next(inputs.get(names.query, iter(())), None)
            around = {} if entering is None else {Check.INPUT: entering}
            attention = None if call is None else call.attention
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


def kept_rows(array: FloatArray, rows: Sequence[int] | None) -> FloatArray:
    """The kept rows of (..., T, N)."""
    return array if rows is None else array[..., list(rows), :]


def _layer(
    returned: FloatArray,
    attention: WatchedAttention | str,
    around: Mapping[Check, FloatArray],
    call: OutputCall | None,
    why_no_call: str,
) -> ReferenceLayer:
    """One layer: its steps, and the reason for each that is missing."""
    rows = None if isinstance(attention, str) else attention.rows
    steps = dict(around) if isinstance(attention, str) else {**attention.steps, **around}
    steps[Check.WEIGHTS] = kept_rows(returned, rows)
    if call is not None:
        steps[Check.OUTPUT] = call.output
    heads = None if call is None or isinstance(attention, str) else _head_outputs(call, attention)
    why = attention if isinstance(attention, str) else _NO_PROJECTION
    unknown = dict.fromkeys(
        (Check.INPUT, Check.HEAD_OUTPUTS, Check.OUTPUT), why_no_call if call is None else why
    )
    unknown |= (
        dict.fromkeys(set(Check) - unknown.keys(), attention)
        if isinstance(attention, str)
        else attention.unknown
    )
    known = steps.keys() | (set() if heads is None else {Check.HEAD_OUTPUTS})
    return ReferenceLayer(
        steps, {check: unknown[check] for check in Check if check not in known}, rows, heads
    )


def _head_outputs(call: OutputCall, attention: WatchedAttention) -> Callable[[], Array] | None:
    """(H, T, M) each head's slice of the contexts times its slice of transformers' own W^O."""
    weight = getattr(call.module, "weight", None)
    if not isinstance(weight, torch.Tensor) or call.merged.shape[-1] not in weight.shape:
        return None
    heads, whole = attention.size[0], weight.detach()
    matrix = whole.T if isinstance(call.module, torch.nn.Linear) else whole  # GPT-2's `Conv1D` is (in, out)
    rows = call.merged if attention.rows is None else call.merged[list(attention.rows)]

    def compute() -> Array:
        contexts = rows.reshape(rows.shape[0], heads, -1).transpose(0, 1)  # (H, T, D)
        return to_numpy(contexts @ matrix.reshape(heads, -1, matrix.shape[-1]))

    return compute
