"""Records the attention of a transformers model from outside, while the model's own code computes it.

Most families pass queries, keys and values to a function registered in `AttentionInterface`
(`modeling_utils.py`); its arguments determine every step. For other families only the softmax is observed,
which gives the logits and the weights. H query heads, G key/value heads, T queries, S keys, D head size,
M model width.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch  # 1.7 s: imported only by modules that need it anyway
from torch.utils._python_dispatch import TorchDispatchMode
from transformers.modeling_utils import AttentionInterface

from attn_cli.models.bridge.dataflow import Added, Followed
from attn_cli.record import record

_ARGUMENTS = ("module", "query", "key", "value", "attention_mask")
"""The arguments of an attention function, in this order or by name."""

_OF_ROUTERS = 2  # axes of a softmax over experts
_WITHOUT_BATCH = 3

ModulePlace: TypeAlias = tuple[tuple[str, ...], int]
"""Where a softmax ran: the enclosing modules, outermost first, and how many ran there before."""


@record(frozen=True, slots=True, eq=False)
class AttentionCall:
    """The arguments of an attention function, and what it returned."""

    queries: torch.Tensor  # (H, T, D)
    keys: torch.Tensor  # (G, S, D)
    values: torch.Tensor  # (G, S, D)
    added: tuple[
        torch.Tensor, ...
    ]  # masks and biases, each (1 or H, T, S), to be added; boolean masks are true where the query may look
    scale: float
    softcap: float | None
    sink: torch.Tensor | None  # (H,), or (H, T) if it depends on the query
    weights: torch.Tensor | None  # (H, T, S)
    merged: torch.Tensor  # (T, H · D) the concatenated contexts of the heads


@record(frozen=True, slots=True, eq=False)
class RunningModule:
    """A running module and its first tensor argument."""

    name: str
    given: torch.Tensor | None


@dataclass(slots=True, eq=False)
class AttentionRecord:
    """One recorded attention; it has tensors only if they were wanted."""

    key: ModulePlace
    size: tuple[int, int, int]  # H, T, S
    frame: RunningModule  # the innermost module
    fits: bool  # whether it is a matrix over the tokens
    multiplies: bool = False  # whether a matrix is multiplied by its result, as far as that was followed
    times: int = 1  # attentions in one call of the module
    has_sink: bool = False  # whether a learned sink takes part in it
    kv_heads: int | None = None
    head_size: int | None = None
    width: int | None = None
    logits: torch.Tensor | None = None  # (H, T, S), or more columns with a sink
    weights: torch.Tensor | None = None
    hidden: torch.Tensor | None = None  # (1 or H, T, S) where a mask was added; None: it was not observed
    call: AttentionCall | None = None
    input: torch.Tensor | None = None  # (T, M)
    projection: torch.nn.Module | None = None  # W^O

    @property
    def is_matrix(self) -> bool:
        """Whether it is a matrix over the tokens that multiplies the values."""
        return self.fits and self.multiplies

    @property
    def is_kept(self) -> bool:
        """Whether its tensors were kept."""
        return self.weights is not None or self.call is not None


class AttentionRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every attention that runs while it is active.

    `fits` are the shapes (T, S) of an attention matrix; of a softmax over anything else only the shape is
    recorded. `is_wanted` decides for which attentions the tensors are kept; without it none are, and the
    weights are followed to the values that they multiply.
    """

    def __init__(
        self, fits: Sequence[tuple[int, int]], is_wanted: Callable[[ModulePlace], bool] | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.records: list[AttentionRecord] = []
        self.misfits: list[tuple[int, ...]] = []  # shapes
        self._fits, self._is_wanted = set(fits), is_wanted
        self._running: list[RunningModule] = []
        self._turns: Counter[tuple[str, ...]] = Counter()
        self._inside: AttentionRecord | None = None  # the attention function that is running
        self._merged: torch.Tensor | None = None  # its result, until a linear layer receives it
        self._added, self._followed = Added(), Followed[AttentionRecord]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:  # noqa: SLF001  as below
            return args[0].dtype == torch.bool or 1  # a sketch tests its mask for padding: there is none
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._softmax.default:  # noqa: SLF001  softmax dispatches to it
            self._softmax(args[0], args[1], result)
        elif self._is_wanted is not None:
            self._added.note(func, args, kwargs or {}, result)
        else:
            for attention in self._followed.multiplied(func, args, result):
                attention.multiplies = True
        return result

    def enter(self, name: str, module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        """A module starts to run."""
        given = next((value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)), None)
        self._running.append(RunningModule(name, given))
        merged = self._merged
        if merged is not None and given is not None and _is_matrix(module) and _is_same(given, merged):
            self.records[-1].projection, self._merged = module, None

    def restart(self) -> None:
        """Forget what was recorded: the model runs again."""
        self.records.clear()
        self.misfits.clear()
        self._turns.clear()
        self._merged = None

    def leave(self) -> None:
        """The module that started last has finished."""
        self._running.pop()

    def calling(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap an attention function so that its calls are recorded."""

        def recording(*given: Any, **words: Any) -> Any:
            arguments = dict(zip(_ARGUMENTS, given, strict=False)) | words
            query, key = arguments["query"], arguments["key"]
            attention = self._record((*query.shape[:-1], key.shape[-2]))
            self._inside = attention
            try:
                result = function(*given, **words)
            finally:
                self._inside = None
            attention.multiplies = True
            attention.kv_heads, attention.head_size = int(key.shape[-3]), int(query.shape[-1])
            attention.has_sink = _sink_given(arguments) is not None
            if self._keeps(attention):
                attention.call = _call(arguments, result)
                self._merged = result[0]
            return result

        return recording

    def _softmax(self, logits: torch.Tensor, axis: int, weights: torch.Tensor) -> None:
        shape = tuple(logits.shape)
        attention = self._inside
        if attention is None and len(shape) > _OF_ROUTERS:
            if axis in {-1, len(shape) - 1}:
                attention = self._record(shape)
                self._followed.add(weights, attention, shape[-1])
            else:
                self.misfits.append(shape)
        if attention is not None and self._keeps(attention):
            attention.logits, attention.weights = logits.flatten(0, -3), weights.flatten(0, -3)
            attention.hidden = self._added.hidden(logits)

    def _keeps(self, attention: AttentionRecord) -> bool:
        return attention.fits and self._is_wanted is not None and self._is_wanted(attention.key)

    def _record(self, shape: tuple[int, ...]) -> AttentionRecord:
        """Record a new attention whose logits have this shape."""
        frame = self._running[-1]
        size = (math.prod(shape[:-2]), shape[-2], shape[-1])
        is_one_text = len(shape) == _WITHOUT_BATCH or shape[0] == 1
        fits = is_one_text and size[1:] in self._fits
        if not fits:
            self.misfits.append(shape)
        elif first := self._first_in(frame, size):
            first.times += 1
        trail = tuple(module.name for module in self._running)
        attention = AttentionRecord((trail, self._turns[trail]), size, frame, fits=fits)
        self._turns[trail] += 1
        self._note_input(attention)
        self.records.append(attention)
        self._merged = None
        return attention

    def _first_in(self, frame: RunningModule, size: tuple[int, int, int]) -> AttentionRecord | None:
        """The first attention of this size in the same call of a module.

        A differential transformer attends twice with the same weights (`modeling_diffllama.py`).
        """
        return next((each for each in self.records if each.frame is frame and each.size == size), None)

    def _note_input(self, attention: AttentionRecord) -> None:
        """Record the module's input, one vector per token: its width, and its numbers if they are kept."""
        given = attention.frame.given
        if attention.fits and given is not None and given.shape[:-1] == (1, attention.size[1]):
            attention.width = int(given.shape[-1])
            if self._keeps(attention):
                attention.input = given[0].clone()  # the residual stream may be changed in place


@contextmanager
def recording(model: torch.nn.Module, watch: AttentionRecorder) -> Iterator[AttentionRecorder]:
    """Record the attention that `model` computes inside the block in `watch`."""
    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.enter_context(_hooked(name, module, watch))
        stack.enter_context(_interface(watch))
        if any(parameter.is_meta for parameter in model.parameters()):  # which autocast refuses: 5.2 asks it
            stack.enter_context(_replaced(torch, "is_autocast_enabled", lambda *_: False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(watch)
        yield watch


@contextmanager
def _interface(watch: AttentionRecorder) -> Iterator[None]:
    """Record every attention function that a model looks up inside the block."""
    find = AttentionInterface.get_interface

    def finding(self: AttentionInterface, name: str, default: Callable[..., Any]) -> Callable[..., Any]:
        return watch.calling(find(self, name, default))

    with _replaced(AttentionInterface, "get_interface", finding):
        yield


@contextmanager
def _replaced(home: Any, name: str, other: Callable[..., Any]) -> Iterator[None]:
    """Replace a function inside the block."""
    own = getattr(home, name)
    setattr(home, name, other)
    try:
        yield
    finally:
        setattr(home, name, own)


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
    query, key, value = (arguments[name] for name in ("query", "key", "value"))
    length = key.shape[-2]
    added = (arguments.get(name) for name in ("attention_mask", "position_bias"))
    scale, weights = arguments.get("scaling"), result[1]
    return AttentionCall(
        queries=query[0],
        keys=key[0],
        values=value[0],
        added=tuple(
            tensor[0, ..., :length] for tensor in added if tensor is not None
        ),  # a mask may be longer, for a cache
        scale=query.shape[-1] ** -0.5 if scale is None else float(scale),
        softcap=arguments.get("softcap"),
        sink=_sink(arguments, tuple(query.shape[1:3])),
        weights=None if weights is None else weights[0, ..., :length],
        merged=result[0].reshape(query.shape[-2], -1),
    )


_SINKS = ("s_aux", "sinks")
"""The names of a learned sink among the arguments of an attention function."""


def _sink_given(arguments: dict[str, Any]) -> torch.Tensor | None:
    """The sink among the arguments of an attention function, or in the module that calls it."""
    given = (*(arguments.get(name) for name in _SINKS), getattr(arguments["module"], "sinks", None))
    return next((sink for sink in given if isinstance(sink, torch.Tensor)), None)


def _sink(arguments: dict[str, Any], size: tuple[int, ...]) -> torch.Tensor | None:
    """The logits of a learned sink, (H,) or (H, T) for a `size` of H, T; None if there is none.

    gpt-oss has one number for each head, Inkling 2 one for each query too (1, H, T, 1).
    """
    sink = _sink_given(arguments)
    if sink is None or sink.numel() not in {size[0], math.prod(size)}:
        return None
    return sink.detach().reshape(size if sink.numel() == math.prod(size) and sink.ndim > 1 else size[:1])


def _is_matrix(module: torch.nn.Module) -> bool:
    """Whether the module's weight is a matrix, as in a linear layer."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.ndim == 2  # noqa: PLR2004


def _is_same(given: torch.Tensor, merged: torch.Tensor) -> bool:
    """Whether the tensor has the same numbers as the concatenated contexts, in the same order."""
    return (
        given.numel() == merged.numel()
        and given.shape[-1] != 1
        and torch.equal(given.reshape(-1), merged.reshape(-1))
    )
