"""Turns transformers' casts to float32 into casts to float64, so that a model in float64 stays in float64.

Many families cast to float32 whatever the number format of the model: softmax, RMSNorm, the angles of RoPE.
That raises the accuracy of half precision, and limits that of float64.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch  # 1.7 s: imported only by modules that need it anyway
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map


def exact(func: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments of an operation, with float64 in place of float32 unless it changes one of them."""
    if func._schema.is_mutable:  # noqa: SLF001  there is no public way
        return args, kwargs
    lifted: tuple[Any, Any] = tree_map(_lifted, (args, kwargs))
    return lifted


def _lifted(value: Any) -> Any:
    if value is torch.float32:
        return torch.float64
    is_coarse = isinstance(value, torch.Tensor) and value.dtype is torch.float32
    return value.double() if is_coarse else value


class _Constants(TorchFunctionMode):
    """`torch.tensor` and `torch.full` of float32, or of a number for which no dtype is given.

    No operation is dispatched for the first, and the default is float32: the smallest float64, with which
    `modeling_xglm.py` masks, is out of its range.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        words = dict(kwargs or {})
        if func is torch.tensor and _is_coarse(*args, **words):
            words["dtype"] = torch.float64
        if func is torch.full and _is_coarse(*args[1:], **words):
            words["dtype"] = torch.float64
        return func(*args, **words)


def _is_coarse(data: Any = None, *, fill_value: Any = None, dtype: Any = None, **_: Any) -> bool:
    """Whether a constant is made in float32."""
    is_number = isinstance(data, float) or isinstance(fill_value, float)
    return dtype is torch.float32 or (dtype is None and is_number)


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = exact(func, args, kwargs or {})
        return func(*args, **kwargs)


@contextmanager
def exact_constants(*, is_wanted: bool) -> Iterator[None]:
    """Constants that are made inside the block are float64 instead of float32."""
    if not is_wanted:
        yield
        return
    with _Constants():
        yield


@contextmanager
def exact_numbers(*, is_wanted: bool) -> Iterator[None]:
    """All that is computed inside the block is float64 instead of float32."""
    with exact_constants(is_wanted=is_wanted):
        if not is_wanted:
            yield
            return
        with _Operations():  # type: ignore[no-untyped-call]
            yield
