"""Two GPUs made of the CPU: their tensors refuse to meet, as those of two real devices do.

The numbers are computed on the CPU. PyTorch keeps a device type, `privateuseone`, for devices that it does
not know; here a tensor of this type holds another one, of the CPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

GPUS = ("privateuseone:0", "privateuseone:1")


class OnGpu(torch.Tensor):
    """A tensor that says it is on a GPU, around one on the CPU."""

    on_cpu: torch.Tensor

    @staticmethod
    def __new__(cls: type[Self], on_cpu: torch.Tensor, device: torch.device) -> Self:
        made: Self = torch.Tensor._make_wrapper_subclass(  # noqa: SLF001
            cls,
            on_cpu.shape,
            strides=on_cpu.stride(),
            storage_offset=on_cpu.storage_offset(),
            dtype=on_cpu.dtype,
            device=device,
        )
        made.on_cpu = on_cpu
        return made

    def __init__(self, on_cpu: torch.Tensor, device: torch.device) -> None:
        del on_cpu, device  # in __new__

    def data_ptr(self) -> int:
        """Where its numbers are; accelerate tells tied parameters by it."""
        return self.on_cpu.data_ptr()

    def tolist(self) -> Any:
        """Its numbers, which PyTorch does not read from a tensor around another."""
        return self.on_cpu.tolist()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return computed(func, args, kwargs or {})


MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)  # noqa: SLF001
"""The operators that take tensors of two devices."""


def computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What an operator returns, on the device of its tensors.

    Raises:
        RuntimeError: they are on different devices.
    """
    tensors = [each for each in tree_iter((args, kwargs)) if isinstance(each, torch.Tensor)]
    on = {each.device for each in tensors if each.ndim or each.device.type != "cpu"}
    if len(on) > 1 and func not in MOVES:
        raise RuntimeError(f"{func} of tensors on {sorted(map(str, on))}")
    wanted = kwargs.get("device")
    device = torch.device(wanted) if wanted is not None else next(iter(on), torch.device("cpu"))
    if func is torch.ops.aten.copy_.default:
        device = args[0].device
    on_cpu = kwargs if wanted is None else kwargs | {"device": "cpu"}
    args, on_cpu = tree_map(lambda each: each.on_cpu if isinstance(each, OnGpu) else each, (args, on_cpu))
    result = func(*args, **on_cpu)
    if device.type != "privateuseone":
        return result
    return tree_map(
        lambda each: (
            OnGpu(each, device) if isinstance(each, torch.Tensor) and not isinstance(each, OnGpu) else each
        ),
        result,
    )


class _Module:
    """What PyTorch asks of `torch.privateuseone`."""

    is_available = staticmethod(lambda: True)
    is_initialized = staticmethod(lambda: True)
    device_count = staticmethod(lambda: len(GPUS))
    current_device = staticmethod(lambda: 0)
    _is_in_bad_fork = staticmethod(lambda: False)
    _lazy_init = staticmethod(lambda: None)


class _Gpus(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Also tensors that are made from none: `torch.zeros(2, device=...)`."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


def serve_gpus() -> None:
    """Let tensors be made on `GPUS`, from now on, in this process."""
    backend_registration._setup_privateuseone_for_python_backend(backend_module=_Module())  # noqa: SLF001


@contextmanager
def tensors_on_gpus() -> Iterator[None]:
    """Tensors can be made on `GPUS` and moved there inside the block."""
    before = torch._C._only_lift_cpu_tensors()  # noqa: SLF001
    torch._C._set_only_lift_cpu_tensors(True)  # noqa: SLF001  torch.tensor makes it on the CPU and moves it
    try:
        with _Gpus():  # type: ignore[no-untyped-call]
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(before)  # noqa: SLF001
