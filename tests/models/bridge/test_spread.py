"""Models of the bridge that one GPU cannot hold, over two GPUs that are made of the CPU."""

import builtins
import json
import re
import subprocess
import sys
from typing import Any

import pytest
import torch

from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend, torch_backend
from attn_cli.models.bridge import spread
from attn_cli.vocabulary import DType

pytestmark = pytest.mark.slow  # PyTorch with a device of its own needs its own process

KINDS = ("cohere", "falcon", "deberta", "mt5")
GPUS = ("cuda:0", "cuda:1")


def test_a_model_over_two_gpus_has_the_same_numbers() -> None:
    command = [sys.executable, "-m", "tests.support.spread_models", *KINDS]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    expected = {"devices": ["privateuseone:0", "privateuseone:1"], "difference": 0.0}
    assert found == dict.fromkeys(KINDS, expected)


class Block(torch.nn.Module):
    """4,000 numbers in two parts."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = torch.nn.Linear(50, 40, bias=False), torch.nn.Linear(40, 50, bias=False)


class Stack(torch.nn.Module):
    """5 blocks and 1,000 numbers before them: 84 kB as float32."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(20, 50)
        self.layers = torch.nn.ModuleList([Block() for _ in range(5)])


def on_gpus(monkeypatch: pytest.MonkeyPatch, *free: float) -> Backend:
    """PyTorch on as many GPUs as there are numbers of free bytes."""
    room = dict(zip(GPUS, free, strict=False))
    monkeypatch.setattr(spread, "gpus_of", lambda _device: tuple(room))
    monkeypatch.setattr(spread, "free_bytes", room.__getitem__)
    made = torch_backend("cpu", DType.FLOAT32)
    return Backend("torch", "cuda", DType.FLOAT32, made.convert)


def test_the_first_gpu_is_filled_first_with_whole_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = spread.device_map(Stack, on_gpus(monkeypatch, 80e3, 60e3))
    assert found is not None
    assert set(found.values()) == set(GPUS)
    assert found["embedding"] == "cuda:0"
    blocks = [found[f"layers.{number}"] for number in range(5)]  # none of them is split
    assert blocks == sorted(blocks)


@pytest.mark.parametrize("free", [(100e3, 100e3), (10.0,)])
def test_nothing_is_spread_that_fits_or_has_no_other_gpu(
    free: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert spread.device_map(Stack, on_gpus(monkeypatch, *free)) is None


@pytest.mark.parametrize(
    ("device", "needed", "devices"),
    [("cuda", 80e3, ("cuda",)), ("cuda", 95e3, GPUS), ("cuda", 1e9, GPUS)],
)
def test_other_gpus_count_only_for_what_the_first_cannot_hold(
    device: str, needed: float, devices: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpus(monkeypatch, 100e3, 100e3)
    assert spread.devices_for(device, needed) == devices


def test_a_single_device_is_itself() -> None:
    assert spread.devices_for("cpu", 1e30) == ("cpu",)
    assert spread.devices_for("cuda:1", 1e30) == ("cuda:1",)


def test_what_all_gpus_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AttnError, match=re.escape("2 GPUs cannot hold their blocks")) as raised:
        spread.device_map(Stack, on_gpus(monkeypatch, 40e3, 40e3))
    assert raised.value.hint == "--dtype bfloat16, or --device cpu"


def test_without_accelerate_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    own = builtins.__import__

    def lacking(name: str, *given: Any) -> Any:
        if name == "accelerate":
            raise ImportError(name)
        return own(name, *given)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(AttnError, match="accelerate, which is not installed") as raised:
        spread.device_map(Stack, on_gpus(monkeypatch, 80e3, 60e3))
    assert raised.value.hint == "pip install 'attn-cli[large]', or --device cpu"
