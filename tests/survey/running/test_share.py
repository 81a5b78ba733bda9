"""How many workers there are, and which GPU each of them uses."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from attn_cli.models.source import Source, SourceRequest
from attn_cli.survey.records import SurveyRequest
from attn_cli.survey.running import share

GPUS = ("cuda:0", "cuda:1", "cuda:2")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores, three GPUs, and 10 GB free on each device."""
    monkeypatch.setattr(share, "gpus_of", lambda device: GPUS if device == "cuda" else (device,))
    monkeypatch.setattr(share, "granted_cores", lambda: 8)
    monkeypatch.setattr(share, "free_bytes", lambda _device: 10e9)


def source(device: str, held: float) -> Source:
    """A model of so many bytes, which is spread if a GPU has less room than that."""
    devices = GPUS if device == "cuda" and held > 8e9 else (device,)
    found: Any = SimpleNamespace(backend=SimpleNamespace(device=device), weights_held=held, devices=devices)
    return cast(Source, found)


@pytest.mark.parametrize(
    ("device", "held", "count"),
    [
        ("cpu", 0, 8),  # a layer at a time is read
        ("cpu", 0.5e9, 8),
        ("cpu", 2.5e9, 3),
        ("cpu", 30e9, 1),
        ("cuda", 0, 3),
        ("cuda", 7e9, 3),
        ("cuda", 9e9, 1),  # spread over all of them
        ("cuda:1", 1e9, 1),
        ("mps", 1e9, 1),
    ],
)
def test_there_are_as_many_workers_as_fit(device: str, held: float, count: int) -> None:
    assert share.worker_count(source(device, held)) == count


def test_each_worker_has_one_gpu() -> None:
    request = SurveyRequest(SourceRequest("m", device="cuda"))
    shares = [share.share_of(request, number, 5) for number in range(5)]
    assert [own.source.device for own, _ in shares] == ["cuda:0", "cuda:1", "cuda:2", "cuda:0", "cuda:1"]
    assert {sharing for _, sharing in shares} == {2}  # at most two on one GPU


@pytest.mark.parametrize(("device", "workers"), [("cuda", 1), ("cuda:1", 4), ("auto", 4), ("cpu", 4)])
def test_nothing_else_is_shared_out(device: str, workers: int) -> None:
    request = SurveyRequest(SourceRequest("m", device=device))
    assert share.share_of(request, 3, workers) == (request, workers)
