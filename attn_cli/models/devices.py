"""The devices of this machine; PyTorch (1.7 s to import) is loaded only if there may be more than the CPU."""

import ctypes
import importlib.util
import platform
import re
from pathlib import Path

_DRIVERS = {
    "cuda": {"Linux": "libcuda.so.1", "Windows": "nvcuda.dll"},
    "hip": {"Linux": "libamdhip64.so", "Windows": "amdhip64.dll"},
}
"""The shared library that comes with the GPU driver, by PyTorch build and operating system."""


def list_devices() -> dict[str, str]:
    """The devices that `--device` accepts on this machine, each with a description."""
    devices = {"cpu": platform.processor() or platform.machine()}
    if not may_have_accelerator():
        return devices
    import torch  # 1.7 s

    for number in range(torch.cuda.device_count()):
        devices[f"cuda:{number}"] = torch.cuda.get_device_name(number)
    if torch.backends.mps.is_available():
        devices["mps"] = "Metal"
    return devices


def may_have_accelerator() -> bool:
    """Whether PyTorch may find a GPU: on an Apple silicon Mac, or with the driver it was built for."""
    system = platform.system()
    if system == "Darwin":
        return platform.machine() == "arm64"
    return any(_can_load(_DRIVERS[build].get(system)) for build in _builds())


def _builds() -> list[str]:
    """What the installed PyTorch was built for, according to its `version.py`: "cuda", "hip", or nothing."""
    spec = importlib.util.find_spec("torch")  # finds the package without importing it
    folders = [] if spec is None else spec.submodule_search_locations or []
    text = "".join(
        path.read_text("utf-8") for folder in folders if (path := Path(folder) / "version.py").is_file()
    )
    return [build for build in _DRIVERS if re.search(rf"^{build}\b[^=\n]*= *['\"]", text, re.MULTILINE)]


def _can_load(driver: str | None) -> bool:
    """Whether the driver's library can be loaded."""
    if driver is None:
        return False
    try:
        ctypes.CDLL(driver)
    except OSError:
        return False
    return True
