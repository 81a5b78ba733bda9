"""Where a model is trained: the device that was asked for, and no more threads than cores are granted."""

from collections.abc import Iterator

import pytest
import torch

from attn_cli.models import backend, cores
from attn_cli.training.device import chosen


@pytest.fixture
def _restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    backend.torch_on_granted_cores.cache_clear()
    yield
    backend.torch_on_granted_cores.cache_clear()
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_restored_threads")
def test_the_evaluation_has_no_more_threads_than_cores_are_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(64)
    monkeypatch.setattr(cores, "suited_threads", lambda default: default // 32)
    assert chosen("cpu") == "cpu"
    assert torch.get_num_threads() == 2
