"""Spreads a transformers model over several GPUs, if one cannot hold it."""

from collections.abc import Callable
from typing import Any

import torch  # 1.7 s: imported only by modules that need it anyway

from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend, gpus_of
from attn_cli.models.free_memory import free_bytes

_OF_FREE = 0.9  # the part of a GPU's free memory that weights may take; the rest is for the tokens


def devices_for(device: str, needed: float) -> tuple[str, ...]:
    """The devices that hold so many bytes of weights: this one, or all GPUs if `cuda` is too small."""
    gpus = gpus_of(device)
    return gpus if len(gpus) > 1 and needed > _room(gpus[0]) else (device,)


def _room(gpu: str) -> int:
    """Bytes of weights that a GPU has room for."""
    return int(_OF_FREE * (free_bytes(gpu) or 0.0))


def device_map(build: Callable[[], Any], backend: Backend) -> dict[str, str] | None:
    """The GPU of each part of a model; None if one device holds all of it, or there is only one.

    `build` returns the model without weights. Blocks that a residual connection goes around stay whole, and
    the first GPUs are filled first, as in accelerate's `infer_auto_device_map`. Only `--device cuda` stands
    for several GPUs.

    Raises:
        AttnError: all GPUs together cannot hold it, or accelerate is not installed.
    """
    if len(gpus_of(backend.device)) == 1:
        return None
    sketch = build()
    needed = backend.dtype.size * sum(int(parameter.numel()) for parameter in sketch.parameters())
    gpus = devices_for(backend.device, needed)
    if len(gpus) == 1:
        return None
    room = {gpu: _room(gpu) for gpu in gpus}
    infer = _inference(needed, gpus[0])
    parts = infer(
        sketch,
        max_memory={number: room[gpu] for number, gpu in enumerate(gpus)},
        no_split_module_classes=_blocks(sketch),
        dtype=getattr(torch, backend.dtype.value),
    )
    if any(not isinstance(number, int) for number in parts.values()):  # "disk": weights that come and go
        problem = f"the weights take {needed / 1e9:.1f} GB, and {len(gpus)} GPUs cannot hold their blocks"
        free = ", ".join(f"{room[gpu] / 1e9:.1f}" for gpu in gpus)
        raise AttnError(f"{problem}: they have {free} GB free", "--dtype bfloat16, or --device cpu")
    return {part: gpus[number] for part, number in parts.items()}


def _blocks(sketch: Any) -> list[str]:
    """The classes of modules that stay whole: those that transformers names, and numbered ones with parts."""
    lists = (module for module in sketch.modules() if isinstance(module, torch.nn.ModuleList))
    numbered = {type(part).__name__ for parts in lists for part in parts if any(part.children())}
    return sorted(numbered | set(getattr(sketch, "_no_split_modules", None) or ()))


def _inference(needed: int, gpu: str) -> Any:
    """accelerate's way to fill devices with the blocks of a model.

    Raises:
        AttnError: it is not installed.
    """
    try:
        from accelerate import infer_auto_device_map
    except ImportError as error:
        problem = f"the weights take {needed / 1e9:.1f} GB, more than {gpu} has free"
        raise AttnError(
            f"{problem}; to spread them over all GPUs needs accelerate, which is not installed",
            "pip install 'attn-cli[large]', or --device cpu",
        ) from error
    return infer_auto_device_map
