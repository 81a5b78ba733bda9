"""What was added to the scores before a softmax, and whether its result multiplies the values.

Both are read from the ATen operations of the model's own code: two tensors are the same data if they share
their storage, or if one is a copy of the other.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from operator import mul, or_
from typing import Any, Generic, TypeVar

import torch  # 1.7 s: imported only by modules that need it anyway

from attn_cli.record import record

_ATEN = torch.ops.aten
_COPIES = {_ATEN._to_copy, _ATEN.clone, _ATEN._unsafe_view, _ATEN.cat}  # noqa: SLF001  there are no public ones
_KEEPING = {*_COPIES, _ATEN.masked_fill, _ATEN.masked_fill_, _ATEN.where, _ATEN.nan_to_num}
_PRODUCTS = {_ATEN.bmm, _ATEN.mm, _ATEN.mv, _ATEN.baddbmm, _ATEN.addmm, _ATEN.dot}
_SUMS = {_ATEN.add: 1, _ATEN.add_: 1, _ATEN.sub: -1, _ATEN.sub_: -1}

_MOST = 24
"""How many operations are remembered: a mask is added a few operations before the softmax."""

_HIDING = -5_000  # at most: OpenAI's GPT adds -10,000, most others the least number there is
_LOWERING = -1_000  # at least: what a bias adds, even ALiBi's to keys that are far away

Owner = TypeVar("Owner")


def never_a_bias(dtype: torch.dtype) -> float:
    """The largest number that only a mask can bring about, whatever scores and biases there are."""
    return max(-1e9, torch.finfo(dtype).min / 2)


def hidden_by(added: torch.Tensor) -> torch.Tensor:
    """True in the cells that `added` hides from a softmax.

    A mask leaves a gap: the other cells are near 0. ALiBi's bias grows with the distance, without a gap.
    """
    hidden = added <= _HIDING
    has_gap = not ((added < _LOWERING) & ~hidden).any()
    return hidden if has_gap else added <= never_a_bias(added.dtype)


class Followed(Generic[Owner]):
    """The weights of each softmax, found again where they multiply the values."""

    def __init__(self) -> None:
        # With the storages: they are kept alive, because a freed address is used again.
        self._owners: dict[int, tuple[Any, Owner, int]] = {}

    def add(self, weights: torch.Tensor, owner: Owner, keys: int) -> None:
        """Follow the weights of that many keys."""
        self._owners[_address(weights)] = (weights.untyped_storage(), owner, keys)

    def multiplied(self, func: Any, args: Sequence[Any], result: Any) -> Iterator[Owner]:
        """The owners of the weights that this operation multiplies with one vector for each key."""
        operation = func.overloadpacket
        if operation in _PRODUCTS:
            left, right = list(_tensors(args))[-2:]
            yield from self._owner_of(left, left.shape[-1])
            yield from self._owner_of(right, right.shape[-2] if right.ndim > 1 else right.shape[0])
        elif operation in _KEEPING and isinstance(result, torch.Tensor):
            known = (self._owners.get(_address(tensor)) for tensor in _tensors(args))
            if found := next(filter(None, known), None):
                self.add(result, *found[1:])

    def _owner_of(self, factor: torch.Tensor, summed: int) -> Iterator[Owner]:
        """The owner of this factor if the product sums over the keys; a sink may have been cut off."""
        _, owner, keys = self._owners.get(_address(factor), (None, None, 0))
        if owner is not None and summed in {keys, keys - 1}:
            yield owner


@record(frozen=True, slots=True, eq=False)
class Link:
    """A tensor that an operation made of another one and a number for each cell."""

    made: torch.UntypedStorage  # of the result; kept alive, because a freed address is used again
    of: int
    added: Callable[[], torch.Tensor] | None = None  # computed only when it is needed


class Added:
    """The last operations that added something to a tensor."""

    def __init__(self) -> None:
        self._links: deque[Link] = deque(maxlen=_MOST)

    def note(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> None:
        """Note the operation if it copies a tensor or adds another to it."""
        if isinstance(result, torch.Tensor):
            made = result.untyped_storage()
            self._links.extend(_links(func.overloadpacket, args, kwargs, made))

    def hidden(self, logits: torch.Tensor) -> torch.Tensor | None:
        """(H, T, S) or (1, T, S) the cells hidden by what was added on the way to `logits`; None: no cell."""
        fitting = (_as_heads(added, logits) for added in self._before(logits))
        masks = [hidden_by(added) for added in fitting if added is not None]
        return reduce(or_, masks) if masks else None

    def _before(self, logits: torch.Tensor) -> Iterator[torch.Tensor]:
        """What was added on the way to `logits`, the last first: masks, biases, or one of two scores."""
        reached = {_address(logits)}
        for link in reversed(self._links):
            if link.made._cdata in reached:  # noqa: SLF001  as in `_address`
                reached.add(link.of)
                if link.added is not None:
                    yield link.added()


def _as_heads(added: torch.Tensor, logits: torch.Tensor) -> torch.Tensor | None:
    """(1 or H, 1 or T, 1 or S) what was added to `logits`; None if it is laid out in another way."""
    if added.ndim < 2 or not added.is_floating_point():  # noqa: PLR2004  a matrix
        return None
    heads = added.flatten(0, -3) if added.ndim > 2 else added[None]  # noqa: PLR2004
    sizes = zip(heads.shape, logits.flatten(0, -3).shape, strict=True)
    return heads if all(size in {1, most} for size, most in sizes) else None


def _links(operation: Any, args: Sequence[Any], kwargs: dict[str, Any], made: Any) -> Iterator[Link]:
    """The ways in which the result can be another tensor and what was added to it."""
    tensors = list(_tensors(args))
    if operation in _COPIES and tensors:
        yield Link(made, _address(tensors[0]))
    elif operation in _SUMS and len(tensors) > 1:
        one, other = tensors[:2]
        factor = kwargs.get("alpha", 1) * _SUMS[operation]
        yield Link(made, _address(one), partial(mul, other, factor))
        yield Link(made, _address(other), partial(mul, one, 1))
    elif operation is _ATEN.baddbmm:
        yield Link(made, _address(tensors[0]), partial(mul, tensors[0], kwargs.get("beta", 1)))
    elif operation in {_ATEN.masked_fill, _ATEN.masked_fill_}:
        yield Link(made, _address(args[0]), partial(_filling, args[1], args[2]))
    elif operation is _ATEN.where and len(tensors) == 3:  # noqa: PLR2004  condition, where true, where false
        yield Link(made, _address(args[1]), partial(_filling, ~args[0], args[2]))
        yield Link(made, _address(args[2]), partial(_filling, args[0], args[1]))


def _filling(where: torch.Tensor, number: Any) -> torch.Tensor:
    """`number` in the cells that it fills, and 0 elsewhere."""
    other = number if isinstance(number, torch.Tensor) else torch.tensor(float(number), device=where.device)
    return torch.where(where, other, torch.zeros((), dtype=other.dtype, device=where.device))


def _tensors(args: Sequence[Any]) -> Iterator[torch.Tensor]:
    for argument in args:
        if isinstance(argument, torch.Tensor):
            yield argument
        elif isinstance(argument, list | tuple):
            yield from _tensors(argument)


def _address(tensor: torch.Tensor) -> int:
    """The address of its data's owner, which a tensor without data has as well."""
    address: int = tensor.untyped_storage()._cdata  # noqa: SLF001  there is no public way
    return address
