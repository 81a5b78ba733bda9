"""Chooses the training device, and the number format in which its matrix products are fast."""

import torch

from attn_cli.models.backend import check_device, check_device_name, torch_on_granted_cores
from attn_cli.vocabulary import DType


def chosen(device: str) -> str:
    """The requested device; `auto` is the first GPU if there is one, else the CPU, on the granted cores.

    Raises:
        UsageError: the device name is unknown.
        AttnError: the device is not available.
    """
    check_device_name(device)
    torch_on_granted_cores()  # the final evaluation shares out its operations
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    check_device(device, DType.FLOAT32)
    return device


def products(device: str) -> DType:
    """The number format of matrix products on the device: bfloat16 if that is faster than float32."""
    return DType.BFLOAT16 if _has_bfloat16(device) else DType.FLOAT32


def _has_bfloat16(device: str) -> bool:
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # older releases of PyTorch
        return False
    able = torch.cpu.get_capabilities()
    return any(bool(able.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
