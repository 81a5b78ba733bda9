"""Watches the operations by which transformers computes attention, so that every step can be judged.

Wherever a softmax runs over (T, S), its input is traced back to the product of queries and keys, through
scalar factors, soft cap, bias and mask, and its result forward to the product with the values. Every number
is an operand or a result of transformers' own operations: none comes from attn's arithmetic. H query heads,
T queries, S keys, D head size.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import torch  # 1.7 s: imported only by modules that need it anyway
from torch.utils._python_dispatch import TorchDispatchMode

from attn_cli.core.arrays import to_numpy
from attn_cli.models.bridge.exact_numbers import exact
from attn_cli.models.files.tensors import FloatArray
from attn_cli.vocabulary import Check

Rows = Callable[[int], Sequence[int] | None]
"""Which of T rows are kept of a text; None: all of them."""

Kept = TypeVar("Kept", FloatArray, torch.Tensor)

_NOWHERE = -1e30  # the smallest float32, which masks are filled with, stays below it after scaling
_FAR = 5e3  # some families add -10,000 instead
_MATRIX = 3  # axes of a product: batch, rows, columns

_NO_PRODUCT = "transformers' softmax does not receive a single product of queries and keys here"
_ZEROS = "a head has no keys but zeros"
_NO_CONTEXT = "transformers does not multiply the weights by the values in one product here"


def kept_rows(array: Kept, rows: Sequence[int] | None) -> Kept:
    """The kept rows of (..., T, N)."""
    return array if rows is None else array[..., list(rows), :]


@dataclass(frozen=True, slots=True, eq=False)
class _Product:
    """A batched product of matrices, (H, T, D) times (H, D, S), with the scalar factors of its operands."""

    left: torch.Tensor
    right: torch.Tensor
    left_factor: float
    right_factor: float

    @property
    def size(self) -> tuple[int, ...]:
        """H, T, S of the result."""
        return (*self.left.shape[:-1], self.right.shape[-1])


@dataclass(frozen=True, slots=True, eq=False)
class _Origin:
    """How a tensor was computed from others, as far as it is followed."""

    held: Any  # the tensor: its memory must not be used for another one
    sources: tuple["_Origin", ...] = ()
    factor: float = 1.0
    is_scaled: bool = False  # a copy or a scalar multiple of its one source
    is_joined: bool = False  # its one source and further columns: the logits of sinks
    product: _Product | None = None
    weights_of: "WatchedAttention | None" = None


@dataclass(slots=True, eq=False)
class WatchedAttention:
    """One attention that transformers computed: its steps in NumPy, pairwise ones only for `rows`."""

    size: tuple[int, int, int]  # H, T, S
    rows: Sequence[int] | None
    steps: dict[Check, FloatArray] = field(default_factory=dict)
    unknown: dict[Check, str] = field(default_factory=dict)

    def taken(self, array: torch.Tensor) -> FloatArray:
        """The kept rows of (..., T, N)."""
        return to_numpy(kept_rows(array, self.rows).clone())  # transformers may change it in place later


class OperationWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every attention over a matrix of shape (T, S) in `fits` that runs while it is active.

    With `is_exact`, nothing is float32: what transformers casts to it becomes float64.
    """

    def __init__(self, fits: Collection[tuple[int, int]], rows: Rows, *, is_exact: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.records: list[WatchedAttention] = []
        self._fits, self._rows, self._is_exact = set(fits), rows, is_exact
        self._origins: dict[int, _Origin] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._is_exact:
            args, kwargs = exact(func, args, kwargs)
        follow = _FOLLOWED.get(func.overloadpacket)
        origin = None if follow is None else follow(self, args, kwargs)
        result = func(*args, **kwargs)
        if func is torch.ops.aten._softmax.default:  # noqa: SLF001  softmax dispatches to it
            origin = self._softmax(args[0], args[1], result)
        if origin is not None:
            self._note_context(origin, result)
            self._origins[_memory(result)] = replace(origin, held=result)
        return result

    def _of(self, tensor: Any) -> tuple[_Origin, ...]:
        """The origin of the tensor, if it is followed."""
        found = self._origins.get(_memory(tensor)) if isinstance(tensor, torch.Tensor) else None
        return () if found is None else (found,)

    def copied(self, args: Any, _words: Any) -> _Origin:
        """A copy of one tensor, perhaps in another number format."""
        return _Origin(args[0], self._of(args[0]), is_scaled=True)

    def multiplied(self, args: Any, _words: Any) -> _Origin | None:
        """A product of a tensor and a number."""
        for tensor, other in (args[:2], args[1::-1]):
            number = _number(other)
            if number is not None and isinstance(tensor, torch.Tensor):
                return _Origin(tensor, self._of(tensor), number, is_scaled=True)
        return None

    def divided(self, args: Any, _words: Any) -> _Origin | None:
        """A tensor divided by a number."""
        number = _number(args[1])
        return None if not number else _Origin(args[0], self._of(args[0]), 1 / number, is_scaled=True)

    def summed(self, args: Any, _words: Any) -> _Origin | None:
        """A sum; bias and mask are added so."""
        sources = tuple(source for term in args[:2] for source in self._of(term))
        return _Origin(args[0], sources) if sources else None

    def chosen(self, args: Any, _words: Any) -> _Origin | None:
        """A tensor with some cells replaced, as masks do, or a function of each cell, as soft caps."""
        sources = tuple(source for term in args for source in self._of(term))
        return _Origin(args[0], sources) if sources else None

    def joined(self, args: Any, _words: Any) -> _Origin | None:
        """Tensors side by side: logits and the logit of a sink in each row."""
        sources = self._of(args[0][0])
        return _Origin(args[0][0], sources, is_joined=True) if sources else None

    def shifted(self, args: Any, _words: Any) -> _Origin | None:
        """A difference: a row may be shifted before the softmax."""
        sources = self._of(args[0])
        return _Origin(args[0], sources) if sources else None

    def multiplies_matrices(self, args: Any, _words: Any) -> _Origin:
        """A product of matrices."""
        return self._product(args[0], args[1], 1.0)

    def adds_to_product(self, args: Any, words: Any) -> _Origin:
        """A product of matrices, added to another matrix."""
        return self._product(args[1], args[2], float(words.get("alpha", 1)))

    def _product(self, left: torch.Tensor, right: torch.Tensor, factor: float) -> _Origin:
        weighted = next((found for source in self._of(left) for found in _weights(source)), None)
        product = _Product(left, right, *(_factor(self._of(operand)) for operand in (left, right)))
        return _Origin(left, (), factor, product=product, weights_of=weighted)

    def _softmax(self, logits: torch.Tensor, axis: int, weights: torch.Tensor) -> _Origin | None:
        shape = tuple(logits.shape)
        is_text = len(shape) >= _MATRIX and (len(shape) == _MATRIX or shape[0] == 1)
        if not is_text or axis not in {-1, len(shape) - 1}:
            return None
        whole, shown = logits, weights
        if shape[-2:] not in self._fits:
            beside = next((each for origin in self._of(logits) for each in _joined(origin)), None)
            if beside is None or (shape[-2], shape[-1] - 1) not in self._fits:
                return None
            whole, shown = beside[..., :-1], weights[..., :-1]
        whole = whole.flatten(0, -3)
        attention = WatchedAttention((*whole.shape,), self._rows(shape[-2]))
        attention.steps[Check.LOGITS] = attention.taken(whole)
        attention.steps[Check.WEIGHTS] = attention.taken(shown.flatten(0, -3))
        self._note_scores(attention, self._of(logits))
        attention.steps[Check.MASK] = _mask(attention.steps)
        attention.unknown |= dict.fromkeys((Check.VALUES, Check.CONTEXT), _NO_CONTEXT)
        self.records.append(attention)
        return _Origin(weights, weights_of=attention)

    def _note_scores(self, attention: WatchedAttention, origins: Sequence[_Origin]) -> None:
        """Record queries, keys and scores, if the softmax receives exactly one product of this shape."""
        found = [pair for origin in origins for pair in _products(origin, 1.0)]
        if len(found) != 1 or found[0][0].size != attention.size:
            lacking = (Check.QUERIES, Check.KEYS, Check.KV_HEADS, Check.SCORES)
            attention.unknown |= dict.fromkeys(lacking, _NO_PRODUCT)
            return
        product, factor = found[0]
        scores = torch.bmm(product.left, product.right) * factor
        attention.steps[Check.QUERIES] = attention.taken(product.left / product.left_factor)
        attention.steps[Check.KEYS] = to_numpy((product.right.mT / product.right_factor).clone())
        attention.steps[Check.SCORES] = attention.taken(scores)
        groups = _groups(attention.steps[Check.KEYS])
        if groups is None:
            attention.unknown[Check.KV_HEADS] = _ZEROS
        else:
            attention.steps[Check.KV_HEADS] = groups

    def _note_context(self, origin: _Origin, result: torch.Tensor) -> None:
        """Record the values and the context, if this is the product of weights and values."""
        attention, product = origin.weights_of, origin.product
        if attention is None or product is None or tuple(product.left.shape) != attention.size:
            return
        attention.steps[Check.VALUES] = to_numpy(product.right.clone())
        attention.steps[Check.CONTEXT] = attention.taken(result)
        for check in (Check.VALUES, Check.CONTEXT):
            attention.unknown.pop(check, None)
        self._origins.clear()


_aten = torch.ops.aten
_FOLLOWED: dict[Any, Callable[..., _Origin | None]] = {
    _aten.clone: OperationWatch.copied,
    _aten._to_copy: OperationWatch.copied,  # noqa: SLF001  `to` dispatches to it
    **dict.fromkeys((_aten.mul, _aten.mul_), OperationWatch.multiplied),
    **dict.fromkeys((_aten.div, _aten.div_), OperationWatch.divided),
    **dict.fromkeys((_aten.add, _aten.add_), OperationWatch.summed),
    **dict.fromkeys((_aten.masked_fill, _aten.masked_fill_, _aten.where, _aten.tanh), OperationWatch.chosen),
    _aten.cat: OperationWatch.joined,
    _aten.sub: OperationWatch.shifted,
    _aten.bmm: OperationWatch.multiplies_matrices,
    _aten.baddbmm: OperationWatch.adds_to_product,
}


def _memory(tensor: torch.Tensor) -> int:
    """Where the tensor's numbers are; views of one tensor share them."""
    return int(tensor.untyped_storage().data_ptr())


def _number(value: Any) -> float | None:
    """The value, if it is one number, perhaps in a tensor."""
    if isinstance(value, int | float):
        return float(value)
    return float(value) if isinstance(value, torch.Tensor) and value.numel() == 1 else None


def _factor(origins: Sequence[_Origin]) -> float:
    """By how much an operand was scaled before the product: OPT scales its queries, DeBERTa its keys."""
    if not origins or not origins[0].is_scaled:
        return 1.0
    return origins[0].factor * _factor(origins[0].sources)


def _products(origin: _Origin, factor: float) -> Iterator[tuple[_Product, float]]:
    """The products that the tensor is computed from, each with the scalar factors it passed through."""
    factor *= origin.factor
    if origin.product is not None:
        yield origin.product, factor
    for source in origin.sources:
        yield from _products(source, factor)


def _joined(origin: _Origin) -> Iterator[torch.Tensor]:
    """The tensor beside whose columns those of the sinks were put."""
    if origin.is_joined:
        yield origin.held
    else:
        for source in origin.sources:
            yield from _joined(source)


def _weights(origin: _Origin) -> Iterator[WatchedAttention]:
    """The attention whose weights the tensor is a copy of."""
    if origin.product is None and origin.weights_of is not None:
        yield origin.weights_of
    elif origin.is_scaled and origin.factor == 1.0:
        for source in origin.sources:
            yield from _weights(source)


def _groups(keys: FloatArray) -> Any:
    """(H,) which of the different key heads (H, S, D) each query head reads; None if one of them is zeros."""
    if not np.abs(keys).max(axis=(1, 2)).all():
        return None
    different: list[FloatArray] = []
    found = []
    for head in keys:
        place = next((number for number, one in enumerate(different) if np.array_equal(one, head)), None)
        if place is None:
            place = len(different)
            different.append(head)
        found.append(place)
    return np.asarray(found)


def _mask(steps: Mapping[Check, FloatArray]) -> Any:
    """(H, T, S) true where the softmax's input is not masked."""
    logits, weights = steps[Check.LOGITS], steps[Check.WEIGHTS]
    added = logits - steps[Check.SCORES] if Check.SCORES in steps else logits
    return ~((logits <= _NOWHERE) | ((added <= -_FAR) & (weights == 0)))
