"""The listed devices, and when PyTorch is loaded to find them."""

import ctypes
import platform
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from attn_cli.models import devices
from attn_cli.models.devices import list_devices, may_have_accelerator

CUDA = "cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n"
HIP = 'cuda: Optional[str] = None\nhip = "7.1"\n'
NONE = "cuda: Optional[str] = None\nhip: Optional[str] = None\n"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fake the build information of the installed PyTorch."""
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda _: found)  # type: ignore[attr-defined]
    return tmp_path / "version.py"


def drivers(monkeypatch: pytest.MonkeyPatch, *there: str) -> None:
    """Fake the driver libraries of the system."""

    def load(name: str) -> None:
        if name not in there:
            raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", load)


@pytest.mark.parametrize(
    ("version", "system", "driver", "expected"),
    [
        (CUDA, "Linux", "libcuda.so.1", True),
        (CUDA, "Windows", "nvcuda.dll", True),
        (HIP, "Linux", "libamdhip64.so", True),
        (CUDA, "Linux", "", False),
        (CUDA, "Linux", "libamdhip64.so", False),
        (NONE, "Linux", "libcuda.so.1", False),
        (CUDA, "FreeBSD", "libcuda.so.1", False),
    ],
)
def test_pytorch_is_asked_where_it_has_a_build_and_a_driver(
    build: Path, monkeypatch: pytest.MonkeyPatch, version: str, system: str, driver: str, expected: bool
) -> None:
    build.write_text(version)
    monkeypatch.setattr(platform, "system", lambda: system)
    drivers(monkeypatch, driver)
    assert may_have_accelerator() is expected


@pytest.mark.parametrize(("machine", "expected"), [("arm64", True), ("x86_64", False)])
def test_a_mac_with_metal_may_have_one(monkeypatch: pytest.MonkeyPatch, machine: str, expected: bool) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert may_have_accelerator() is expected


def test_without_pytorch_or_its_version_there_is_none(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert not build.exists()
    assert not may_have_accelerator()
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda _: None)  # type: ignore[attr-defined]
    assert not may_have_accelerator()


def test_no_accelerator_of_this_machine_is_missed() -> None:
    has_one = torch.cuda.is_available() or torch.backends.mps.is_available()
    assert may_have_accelerator() or not has_one


def test_the_devices_of_this_machine_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "may_have_accelerator", lambda: True)
    assert list_devices()["cpu"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: f"GPU {number}")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert {"cuda:0": "GPU 0", "cuda:1": "GPU 1", "mps": "Metal"}.items() <= list_devices().items()
