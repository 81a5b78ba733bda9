"""The choice of backend, device and number format; errors for devices that are not available."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from attn_cli.errors import AttnError, UsageError
from attn_cli.models.backend import choose_backend, estimate_operations, suited_backend
from attn_cli.vocabulary import DType

SIX = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize("device", ["auto", "cpu"])
@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT64])
def test_full_precision_on_a_cpu_uses_numpy(device: str, dtype: DType) -> None:
    backend = choose_backend(device, dtype)
    assert (backend.name, backend.device, backend.dtype) == ("numpy", "cpu", dtype)
    assert backend.convert(SIX).dtype == np.dtype(dtype.value)
    np.testing.assert_array_equal(backend.convert(SIX), SIX)


def test_float32_is_adopted_as_it_is() -> None:
    assert choose_backend("cpu", DType.FLOAT32).convert(SIX) is SIX


@pytest.mark.parametrize("device", ["auto", "cpu"])
@pytest.mark.parametrize("dtype", [DType.FLOAT16, DType.BFLOAT16])
def test_half_precision_uses_pytorch(device: str, dtype: DType) -> None:
    backend = choose_backend(device, dtype)
    assert (backend.name, backend.device, backend.dtype) == ("torch", "cpu", dtype)
    found = backend.convert(SIX)
    assert found.dtype is getattr(torch, dtype.value)
    np.testing.assert_array_equal(found.float(), SIX)


def test_pytorch_takes_a_copy_for_a_mapped_file_must_not_change() -> None:
    frozen = np.frombuffer(SIX.tobytes(), np.float32)
    found = choose_backend("cpu", DType.BFLOAT16).convert(frozen)
    found += 1
    np.testing.assert_array_equal(frozen, SIX.reshape(-1))


@pytest.mark.parametrize(
    "device", ["", "gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "cuda\n", "auto "]
)
def test_an_unknown_device_is_wrong_usage(device: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_backend(device, DType.FLOAT32)
    assert caught.value.problem == f"unknown device '{device}'"
    assert caught.value.hint == "--device auto, cpu, cuda, cuda:0 or mps"


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
@pytest.mark.parametrize(
    ("built", "reason"),
    [(None, "was built without CUDA"), ("13.0", "(built for CUDA 13.0) finds no GPU")],
)
def test_cuda_where_there_is_none_says_why(
    device: str, built: str | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    with pytest.raises(AttnError) as caught:
        choose_backend(device, DType.FLOAT32)
    assert caught.value.problem == f"device {device} is not available: PyTorch {torch.__version__} {reason}"
    assert (caught.value.hint, caught.value.status) == ("--device cpu", 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_is_not_available_on_this_machine() -> None:
    with pytest.raises(AttnError, match=r"^device cuda is not available: PyTorch "):
        choose_backend("cuda", DType.BFLOAT16)


@pytest.mark.parametrize("device", ["cuda:2", "cuda:99999999999999999999"])
def test_a_gpu_beyond_the_last_does_not_exist(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(AttnError) as caught:
        choose_backend(device, DType.FLOAT32)
    assert caught.value.problem == f"device {device} does not exist: there are 2, numbered from 0"
    assert caught.value.hint == "--device cuda"


def test_metal_is_only_on_a_mac_and_has_no_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(AttnError) as caught:
        choose_backend("mps", DType.FLOAT32)
    assert caught.value.problem == "device mps is not available: this is not a Mac with Metal"
    assert caught.value.hint == "--device cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(AttnError) as caught:
        choose_backend("mps", DType.FLOAT64)
    assert caught.value.problem == "device mps does not support float64"
    assert caught.value.hint == "--dtype float32, or --device cpu"


def test_numpy_is_chosen_without_loading_pytorch() -> None:
    script = (
        "import sys\nfrom attn_cli.models.backend import choose_backend\n"
        "from attn_cli.vocabulary import DType\n"
        "choose_backend('auto', DType.FLOAT32)\nprint('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_short_work_uses_numpy_and_long_work_pytorch() -> None:
    numpy = choose_backend("auto", DType.FLOAT64)
    assert suited_backend(numpy, "auto", 1e9) is numpy
    found = suited_backend(numpy, "auto", 1e13)
    assert (found.name, found.dtype) == ("torch", DType.FLOAT64)


def test_an_explicit_cpu_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert suited_backend(choose_backend("cpu", DType.FLOAT32), "cpu", 1e13).device == "cpu"


def test_work_on_a_gpu_stays_there() -> None:
    half = choose_backend("cpu", DType.BFLOAT16)
    assert suited_backend(half, "cpu", 1e13) is half


def test_the_work_of_a_layer_is_counted_by_hand() -> None:
    # M = 2, T = 3, S = 5, 7 layers: 24 M² for each query, and 4 M for each pair
    assert estimate_operations(2, 7, 3, 5) == 7 * (3 * 24 * 4 + 3 * 5 * 4 * 2)


@pytest.mark.parametrize(
    ("tokens", "name"), [(512, "numpy"), (640, "numpy"), (704, "torch"), (1024, "torch")]
)
def test_a_small_llama_uses_pytorch_above_some_hundred_tokens(tokens: int, name: str) -> None:
    """SmolLM2-135M, 30 layers of 576 features: both are equally fast at about 600 tokens."""
    work = estimate_operations(576, 30, tokens, tokens)
    assert suited_backend(choose_backend("cpu", DType.FLOAT32), "cpu", work).name == name
