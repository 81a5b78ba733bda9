"""The attention of a transformers model, recorded from outside while the model's own code computes it.

Most families hand queries, keys and values to a function that `AttentionInterface` names
(`modeling_utils.py`): what that function gets is everything. Of the rest the softmax is seen as it runs,
which tells the logits and the weights. H query heads, G key/value heads, T queries, S keys, D head size,
M model width.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch  # 1.7 s: whoever imports this file wants it
from torch.utils._python_dispatch import TorchDispatchMode
from transformers.modeling_utils import AttentionInterface

from attn_cli.record import record

_ARGUMENTS = ("module", "query", "key", "value", "attention_mask")
"""What an attention function is given, in this order or by name."""

_OF_ROUTERS = 2  # axes: a softmax over experts
_WITHOUT_BATCH = 3

ModulePlace: TypeAlias = tuple[tuple[str, ...], int]
"""Where an attention ran: the modules around it, from the outermost, and how many ran there before."""


@record(frozen=True, slots=True, eq=False)
class AttentionCall:
    """What the attention function was given, and the weights that it gave back."""

    queries: torch.Tensor  # (H, T, D)
    keys: torch.Tensor  # (G, S, D)
    values: torch.Tensor  # (G, S, D)
    added: tuple[
        torch.Tensor, ...
    ]  # masks and biases, each (1 or H, T, S) and added; booleans say who may look
    scale: float
    softcap: float | None
    sink: torch.Tensor | None
    weights: torch.Tensor | None  # (H, T, S)
    merged: torch.Tensor  # (T, H · D) the heads' contexts side by side


@record(frozen=True, slots=True, eq=False)
class RunningModule:
    """A module that runs, and the first tensor that it was given."""

    name: str
    given: torch.Tensor | None


@dataclass(slots=True, eq=False)
class AttentionRecord:
    """One attention as it ran; tensors only where it was to be kept."""

    key: ModulePlace
    size: tuple[int, int, int]  # H, T, S
    frame: RunningModule  # the innermost module
    fits: bool  # whether it is a matrix of the tokens
    times: int = 1  # how often the module attended in one run of it
    kv_heads: int | None = None
    head_size: int | None = None
    width: int | None = None
    logits: torch.Tensor | None = None  # (H, T, S or more: sinks)
    weights: torch.Tensor | None = None
    call: AttentionCall | None = None
    input: torch.Tensor | None = None  # (T, M)
    projection: torch.nn.Module | None = None  # W^O

    @property
    def is_kept(self) -> bool:
        """Whether its numbers are here."""
        return self.weights is not None or self.call is not None


class AttentionRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every attention that runs while it is active.

    `fits` are the (T, S) that a matrix of attention has; a softmax of another shape is only remembered by
    its shape. `is_wanted` says of which attention the numbers are kept.
    """

    def __init__(self, fits: Sequence[tuple[int, int]], is_wanted: Callable[[ModulePlace], bool]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.records: list[AttentionRecord] = []
        self.misfits: list[tuple[int, ...]] = []  # shapes
        self._fits, self._is_wanted = set(fits), is_wanted
        self._running: list[RunningModule] = []
        self._turns: Counter[tuple[str, ...]] = Counter()
        self._inside: AttentionRecord | None = None  # an attention function that is at work
        self._merged: torch.Tensor | None = None  # what it returned, until a linear map takes it

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:  # noqa: SLF001  as below
            return args[0].dtype == torch.bool or 1  # a sketch asks whether all tokens are real: they are
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._softmax.default:  # noqa: SLF001  its public face is made of it
            self._softmax(args[0], args[1], result)
        return result

    def enter(self, name: str, module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        """A module begins."""
        given = next((value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)), None)
        self._running.append(RunningModule(name, given))
        merged = self._merged
        if merged is not None and given is not None and _is_matrix(module) and _is_same(given, merged):
            self.records[-1].projection, self._merged = module, None

    def leave(self) -> None:
        """The module that began last ends."""
        self._running.pop()

    def calling(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The attention function, recorded."""

        def recording(*given: Any, **words: Any) -> Any:
            arguments = dict(zip(_ARGUMENTS, given, strict=False)) | words
            query, key = arguments["query"], arguments["key"]
            attention = self._record((*query.shape[:-1], key.shape[-2]))
            self._inside = attention
            try:
                result = function(*given, **words)
            finally:
                self._inside = None
            if attention is not None:
                attention.kv_heads, attention.head_size = int(key.shape[-3]), int(query.shape[-1])
                if self._keeps(attention):
                    attention.call = _call(arguments, result)
                    self._merged = result[0]
            return result

        return recording

    def _softmax(self, logits: torch.Tensor, axis: int, weights: torch.Tensor) -> None:
        shape = tuple(logits.shape)
        attention = self._inside
        if attention is None and len(shape) > _OF_ROUTERS:
            is_last = axis in {-1, len(shape) - 1}
            if is_last:
                attention = self._record(shape)
            else:
                self.misfits.append(shape)
        if attention is not None and self._keeps(attention):
            attention.logits, attention.weights = logits.flatten(0, -3), weights.flatten(0, -3)

    def _keeps(self, attention: AttentionRecord) -> bool:
        return attention.fits and self._is_wanted(attention.key)

    def _record(self, shape: tuple[int, ...]) -> AttentionRecord | None:
        """A new attention, whose logits have this shape; None where a module attends once more.

        A differential transformer attends twice with the same weights (`modeling_diffllama.py`).
        """
        frame = self._running[-1]
        size = (math.prod(shape[:-2]), shape[-2], shape[-1])
        is_one_text = len(shape) == _WITHOUT_BATCH or shape[0] == 1
        fits = is_one_text and size[1:] in self._fits
        if not fits:
            self.misfits.append(shape)
        if self.records and self.records[-1].frame is frame:
            self.records[-1].times += 1
            return None
        trail = tuple(module.name for module in self._running)
        attention = AttentionRecord((trail, self._turns[trail]), size, frame, fits=fits)
        self._turns[trail] += 1
        self._note_input(attention)
        self.records.append(attention)
        self._merged = None
        return attention

    def _note_input(self, attention: AttentionRecord) -> None:
        """The width of what the module was given, and its numbers where they are kept: a vector a token."""
        given = attention.frame.given
        if attention.fits and given is not None and given.shape[:-1] == (1, attention.size[1]):
            attention.width = int(given.shape[-1])
            if self._keeps(attention):
                attention.input = given[0].clone()  # a residual stream may be added to in place


@contextmanager
def recording(model: torch.nn.Module, watch: AttentionRecorder) -> Iterator[AttentionRecorder]:
    """While the block runs, whatever attention `model` computes is seen by `watch`."""
    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.enter_context(_hooked(name, module, watch))
        stack.enter_context(_interface(watch))
        stack.enter_context(torch.no_grad())
        stack.enter_context(watch)
        yield watch


@contextmanager
def _interface(watch: AttentionRecorder) -> Iterator[None]:
    """While the block runs, every attention function that a model looks up is recorded."""
    find = AttentionInterface.get_interface

    def finding(self: AttentionInterface, name: str, default: Callable[..., Any]) -> Callable[..., Any]:
        return watch.calling(find(self, name, default))

    interface: Any = AttentionInterface
    interface.get_interface = finding
    try:
        yield
    finally:
        interface.get_interface = find


@contextmanager
def _hooked(name: str, module: torch.nn.Module, watch: AttentionRecorder) -> Iterator[None]:
    before = module.register_forward_pre_hook(
        lambda module, args, kwargs: watch.enter(name, module, args, kwargs), with_kwargs=True
    )
    after = module.register_forward_hook(lambda *_: watch.leave(), always_call=True)
    try:
        yield
    finally:
        before.remove()
        after.remove()


def _call(arguments: dict[str, Any], result: Any) -> AttentionCall:
    module, query, key, value = (arguments[name] for name in ("module", "query", "key", "value"))
    length = key.shape[-2]
    added = (arguments.get(name) for name in ("attention_mask", "position_bias"))
    scale, weights = arguments.get("scaling"), result[1]
    sink = arguments.get("s_aux", getattr(module, "sinks", None))
    return AttentionCall(
        queries=query[0],
        keys=key[0],
        values=value[0],
        added=tuple(
            tensor[0, ..., :length] for tensor in added if tensor is not None
        ),  # it may be for a cache
        scale=query.shape[-1] ** -0.5 if scale is None else float(scale),
        softcap=arguments.get("softcap"),
        sink=None if sink is None else sink.detach(),
        weights=None if weights is None else weights[0, ..., :length],
        merged=result[0].reshape(query.shape[-2], -1),
    )


def _is_matrix(module: torch.nn.Module) -> bool:
    """Whether the module holds one matrix, as a linear map does."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.ndim == 2  # noqa: PLR2004


def _is_same(given: torch.Tensor, merged: torch.Tensor) -> bool:
    """Whether the numbers are the heads' contexts side by side: the same, in the same order."""
    return (
        given.numel() == merged.numel()
        and given.shape[-1] != 1
        and torch.equal(given.reshape(-1), merged.reshape(-1))
    )
