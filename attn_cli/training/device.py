"""Where a model learns, and whether its products can be taken in bfloat16 there."""

import torch

from attn_cli.models.library import check_device
from attn_cli.vocabulary import DType


def chosen(device: str) -> str:
    """The device that was asked for; `auto` is the first GPU, or else the CPU.

    Raises:
        AttnError: it is absent.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    check_device(device, DType.FLOAT32)
    return device


def has_bfloat16(device: str) -> bool:
    """Whether products in bfloat16 are faster there than in float32."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # older releases
        return False
    able = torch.cpu.get_capabilities()
    return any(bool(able.get(name)) for name in ("avx512_bf16", "amx_bf16", "bf16"))
