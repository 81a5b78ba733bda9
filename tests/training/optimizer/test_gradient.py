"""The gradient of a step is bit-identical for any number of threads."""

import threading

import pytest
import torch

from attn_cli.training.optimizer import gradient
from attn_cli.training.optimizer.gradient import StepGradient, Threads, rows_at_once, threads_on
from tests.support.small_run import network, recipe

ROWS = torch.randint(0, 300, (64, 33), generator=torch.Generator().manual_seed(0))


def added(threads: Threads) -> tuple[float, list[torch.Tensor]]:
    """The loss of `ROWS` and its accumulated gradient."""
    ours = network()
    loss = StepGradient(ours, recipe(batch=64), threads).add(ROWS, 0)
    return loss, [tensor.grad for tensor in ours.learning.values() if tensor.grad is not None]


@pytest.fixture
def whole() -> tuple[float, list[torch.Tensor]]:
    """The same for all rows at once."""
    ours = network()
    loss = ours.losses(ROWS).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), [tensor.grad for tensor in ours.learning.values() if tensor.grad is not None]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_number_of_threads_changes_no_bit(count: int) -> None:
    one, several = Threads(1), Threads(count)
    (loss, expected), (theirs, found) = added(one), added(several)
    several.close()
    assert several.count == count
    assert theirs == loss
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_the_parts_add_up_to_the_whole(whole: tuple[float, list[torch.Tensor]]) -> None:
    loss, found = added(Threads(1))
    assert loss == pytest.approx(whole[0], rel=1e-6)
    for ours, theirs in zip(found, whole[1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7)


def test_several_threads_compute_parts_at_the_same_time() -> None:
    threads, both = Threads(2), threading.Barrier(2, timeout=30)

    def work(part: torch.Tensor) -> tuple[float, list[torch.Tensor]]:
        both.wait()  # one alone would wait in vain
        return float(part.sum()), []

    found = [loss for loss, _ in threads.each(work, [torch.ones(1), torch.ones(2)])]
    threads.close()
    assert found == [1.0, 2.0]


def test_there_is_a_thread_for_each_core_that_is_granted_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradient, "suited_threads", lambda default: default - 1)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with threads_on("cpu") as threads:
            assert threads.count == 2
        with threads_on("cuda") as threads:
            assert threads.count == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_pytorch_uses_one_thread_meanwhile() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads_on("cpu"):
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("rows", "tokens", "heads", "at_once"),
    [
        (8, 512, 8, 1),  # 4,096 tokens in eight parts
        (64, 64, 8, 8),
        (256, 64, 8, 32),  # no more than 2,048 tokens
        (16, 64, 4, 8),  # no fewer than 512
        (2, 4096, 8, 1),
    ],
)
def test_a_step_has_parts_for_eight_cores_unless_they_are_too_small(
    rows: int, tokens: int, heads: int, at_once: int
) -> None:
    step = torch.zeros(rows, tokens + 1)
    assert rows_at_once("cpu", recipe(heads=heads, width=16), step) == at_once
    assert rows_at_once("cuda", recipe(heads=heads, width=16), step) == rows
