"""Which array library computes, on which device, and in which number format."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from attn_cli.core.arrays import Array
from attn_cli.errors import AttnError, UsageError
from attn_cli.record import record
from attn_cli.vocabulary import DType

_DEVICES = ("auto", "cpu", "cuda", "mps")


@record(frozen=True, slots=True)
class Backend:
    """NumPy or PyTorch, ready to take a checkpoint's arrays."""

    name: str  # "numpy" or "torch"
    device: str
    dtype: DType
    convert: Callable[[npt.NDArray[Any]], Array]  # to this library, device and number format
    rounded: DType | None = None  # the format that weights are rounded to first, if it is not `dtype`


def choose_backend(device: str, dtype: DType) -> Backend:
    """NumPy on the CPU, unless half precision or another device requires PyTorch.

    Raises:
        UsageError: the device name is unknown.
        AttnError: the device is not available.
    """
    check_device_name(device)
    if device in {"auto", "cpu"} and not dtype.is_half:
        return _numpy_backend(dtype)
    return torch_backend(device, dtype)


_WORTH_TORCH = 2e11
"""Number of operations above which PyTorch is faster, including its import (1.7 s).

Metrics of all heads of SmolLM2-135M on 2 cores: 512 tokens (1.4e11 operations) take 2.1 s with NumPy and
1.5 s with PyTorch; 1,024 tokens (3.2e11) take 4.8 s and 2.7 s.
"""


def suited_backend(backend: Backend, device: str, operations: float) -> Backend:
    """The given backend for short work, else PyTorch: with `auto` on a GPU if there is one."""
    if backend.name != "numpy" or operations < _WORTH_TORCH:
        return backend
    is_cuda = device == "auto" and torch_on_granted_cores().cuda.is_available()
    return torch_backend("cuda" if is_cuda else "cpu", backend.dtype)


def estimate_operations(width: int, layers: int, queries: int, keys: int) -> float:
    """Approximate operations of a transformer: 12 · M² weights per layer and token, plus T × S attention."""
    return layers * queries * width * (24.0 * width + 4.0 * keys)


def check_device_name(device: str) -> None:
    """Check that `--device` accepts this name.

    Raises:
        UsageError: it does not.
    """
    if device not in _DEVICES and not re.fullmatch(r"cuda:\d+", device):
        raise UsageError(f"unknown device '{device}'", "--device auto, cpu, cuda, cuda:0 or mps")


def _numpy_backend(dtype: DType) -> Backend:
    numbers = np.dtype(dtype.value)
    return Backend("numpy", "cpu", dtype, lambda array: array.astype(numbers, copy=False))


def torch_backend(device: str, dtype: DType, rounded: DType | None = None) -> Backend:
    """PyTorch, on the CPU unless another device is named; weights are `rounded` first to a coarser format.

    Raises:
        AttnError: the device is not available.
    """
    torch = torch_on_granted_cores()
    device = "cpu" if device == "auto" else device
    check_device(device, dtype)
    numbers, stored = getattr(torch, dtype.value), getattr(torch, (rounded or dtype).value)

    def convert(array: npt.NDArray[Any]) -> Array:
        return torch.tensor(array, dtype=stored, device=device).to(numbers)

    return Backend("torch", device, dtype, convert, rounded)


@cache
def torch_on_granted_cores() -> Any:
    """PyTorch, limited to the cores granted to the container; by default it uses all cores of the machine."""
    import torch  # 1.7 s

    from attn_cli.models.cores import suited_threads  # NumPy does without

    torch.set_num_threads(suited_threads(torch.get_num_threads()))
    return torch


def check_device(device: str, dtype: DType) -> None:
    """Check that PyTorch can use the device and that the device supports the number format.

    Raises:
        AttnError: the device is not available, or does not support the number format.
    """
    import torch

    kind, _, number = device.partition(":")
    if kind == "cuda" and not torch.cuda.is_available():
        raise AttnError(f"device {device} is not available: {_why_no_cuda(torch)}", "--device cpu")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        problem = f"device {device} does not exist: there are {count}, numbered from 0"
        raise AttnError(problem, "--device cuda")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise AttnError("device mps is not available: this is not a Mac with Metal", "--device cpu")
    if kind == "mps" and dtype is DType.FLOAT64:
        raise AttnError("device mps does not support float64", "--dtype float32, or --device cpu")


def gpus_of(device: str) -> tuple[str, ...]:
    """The GPUs that an available device stands for: `cuda` for all of them; another name for itself."""
    if device != "cuda":
        return (device,)
    count = torch_on_granted_cores().cuda.device_count()
    return tuple(f"cuda:{number}" for number in range(count)) or (device,)


def _why_no_cuda(torch_module: Any) -> str:
    built = torch_module.version.cuda
    if built is None:
        return f"PyTorch {torch_module.__version__} was built without CUDA"
    return f"PyTorch {torch_module.__version__} (built for CUDA {built}) finds no GPU"
