"""The attention of a transformers model, watched from outside while the model's own code computes it.

Most families hand queries, keys and values to a function that `AttentionInterface` names
(`modeling_utils.py`): what that function gets is everything. Of the rest the softmax is seen as it runs,
which tells the logits and the weights. H query heads, G key/value heads, T queries, S keys, D head size,
M model width.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch  # 1.7 s: whoever imports this file wants it
from torch.utils._python_dispatch import TorchDispatchMode
from transformers.modeling_utils import AttentionInterface

Key: TypeAlias = tuple[tuple[str, ...], int]
"""Where an attention ran: the modules around it, from the outermost, and how many ran there before."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """What the attention function was given, and the weights that it gave back."""

    module: torch.nn.Module
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


@dataclass(slots=True, eq=False)
class Sight:
    """One attention as it ran; tensors only where it was to be kept."""

    key: Key
    size: tuple[int, int, int]  # H, T, S
    kv_heads: int | None = None
    head_size: int | None = None
    width: int | None = None
    logits: torch.Tensor | None = None  # (H, T, S or more: sinks)
    weights: torch.Tensor | None = None
    call: Call | None = None
    input: torch.Tensor | None = None  # (T, M)
    projection: torch.nn.Module | None = None  # W^O

    @property
    def is_kept(self) -> bool:
        """Whether its numbers are here."""
        return self.weights is not None or self.call is not None


class Watch(TorchDispatchMode):
    """Sees every attention that runs while it is active.

    `fits` are the (T, S) that a matrix of attention has; a softmax of another shape is only remembered by
    its shape. `is_wanted` says of which attention the numbers are kept.
    """

    def __init__(self, fits: Sequence[tuple[int, int]], is_wanted: Callable[[Key], bool]) -> None:
        super().__init__()
        self.sights: list[Sight] = []
        self.misfits: list[tuple[int, ...]] = []
        self._fits, self._is_wanted = set(fits), is_wanted
        self._running: list[_Frame] = []
        self._turns: Counter[tuple[str, ...]] = Counter()
        self._inside: Sight | None = None  # an attention function that is at work
        self._merged: torch.Tensor | None = None  # what it returned, until a linear map takes it

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._softmax.default:  # noqa: SLF001  its public face is made of it
            self._softmax(args[0], args[1], found)
        return found

    def enter(self, name: str, module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        """A module begins."""
        given = next((each for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor)), None)
        self._running.append(_Frame(name, given))
        merged = self._merged
        if merged is not None and given is not None and _is_matrix(module) and _is_same(given, merged):
            self.sights[-1].projection, self._merged = module, None

    def leave(self) -> None:
        """The module that began last ends."""
        self._running.pop()

    def calling(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The attention function, watched."""

        def watched(
            module: torch.nn.Module,
            query: Any,
            key: Any,
            value: Any,
            mask: Any = None,
            *rest: Any,
            **words: Any,
        ) -> Any:
            sight = self._sight((int(query.shape[-3]), int(query.shape[-2]), int(key.shape[-2])))
            self._inside = sight
            try:
                result = function(module, query, key, value, mask, *rest, **words)
            finally:
                self._inside = None
            if sight is not None:
                sight.kv_heads, sight.head_size = int(key.shape[-3]), int(query.shape[-1])
                if self._is_wanted(sight.key) and query.shape[0] == 1:
                    sight.call = _call(module, query, key, value, mask, result[1], words)
                    self._merged = result[0]
            return result

        return watched

    def _softmax(self, logits: torch.Tensor, axis: int, weights: torch.Tensor) -> None:
        sight = self._inside
        if sight is None:
            shape = tuple(logits.shape)
            is_last = axis in {-1, logits.ndim - 1}
            if not is_last or logits.ndim not in {3, 4} or (logits.ndim == 4 and shape[0] != 1):  # noqa: PLR2004
                self.misfits += [shape] if logits.ndim > 2 else []  # noqa: PLR2004  a router has 2
                return
            sight = self._sight((shape[-3], shape[-2], shape[-1]))
        if sight is not None and self._is_wanted(sight.key):
            sight.logits, sight.weights = logits.flatten(0, -3), weights.flatten(0, -3)

    def _sight(self, size: tuple[int, int, int]) -> Sight | None:
        """A new attention of this size; None where it is no matrix of the tokens."""
        if size[1:] not in self._fits:
            self.misfits.append(size)
            return None
        trail = tuple(frame.name for frame in self._running)
        given = self._running[-1].given if self._running else None
        sight = Sight((trail, self._turns[trail]), size)
        self._turns[trail] += 1
        if given is not None and given.ndim == 3 and given.shape[:2] == (1, size[1]):  # noqa: PLR2004
            sight.width = int(given.shape[2])
            if self._is_wanted(sight.key):
                sight.input = given[0]
        self.sights.append(sight)
        self._merged = None
        return sight


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """A module that runs, and the first tensor that it was given."""

    name: str
    given: torch.Tensor | None


@contextmanager
def watched(model: torch.nn.Module, watch: Watch) -> Iterator[Watch]:
    """While the block runs, whatever attention `model` computes is seen by `watch`."""
    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.enter_context(_hooked(name, module, watch))
        stack.enter_context(_interface(watch))
        stack.enter_context(torch.no_grad())
        stack.enter_context(watch)
        yield watch


@contextmanager
def _interface(watch: Watch) -> Iterator[None]:
    """While the block runs, every attention function that a model looks up is watched."""
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
def _hooked(name: str, module: torch.nn.Module, watch: Watch) -> Iterator[None]:
    before = module.register_forward_pre_hook(
        lambda module, args, kwargs: watch.enter(name, module, args, kwargs), with_kwargs=True
    )
    after = module.register_forward_hook(lambda *_: watch.leave(), always_call=True)
    try:
        yield
    finally:
        before.remove()
        after.remove()


def _call(
    module: torch.nn.Module, query: Any, key: Any, value: Any, mask: Any, weights: Any, words: dict[str, Any]
) -> Call:
    length = key.shape[-2]
    added = (each for each in (mask, words.get("position_bias")) if each is not None)
    sink = words.get("s_aux", getattr(module, "sinks", None))
    scale = words.get("scaling")
    return Call(
        module=module,
        queries=query[0],
        keys=key[0],
        values=value[0],
        added=tuple(each[0, ..., :length] for each in added),  # a cache may be longer than what is read
        scale=query.shape[-1] ** -0.5 if scale is None else float(scale),
        softcap=words.get("softcap"),
        sink=sink,
        weights=None if weights is None else weights[0, ..., :length],
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
