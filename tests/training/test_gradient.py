"""The gradient of a step: the same to the last bit, however many threads compute it."""

import threading

import pytest
import torch

from attn_cli.training import gradient
from attn_cli.training.gradient import StepGradient, Threads, rows_at_once, threads_on
from tests.support.small_run import network, recipe

ROWS = torch.randint(0, 300, (64, 33), generator=torch.Generator().manual_seed(0))


def added(threads: Threads) -> tuple[float, list[torch.Tensor]]:
    """The loss of `ROWS` and its gradient."""
    ours = network()
    loss = StepGradient(ours, recipe(batch=64), threads).add(ROWS, 0)
    return loss, [tensor.grad for tensor in ours.learning.values() if tensor.grad is not None]


@pytest.fixture
def whole() -> tuple[float, list[torch.Tensor]]:
    """The same of all rows at once."""
    ours = network()
    loss = ours.losses(ROWS).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), [tensor.grad for tensor in ours.learning.values() if tensor.grad is not None]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_number_of_threads_changes_no_bit(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    one, several = Threads(1), threads_of(count, monkeypatch)
    (loss, expected), (theirs, found) = added(one), added(several)
    several.close()
    assert several.count == count
    assert theirs == loss
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def threads_of(count: int, monkeypatch: pytest.MonkeyPatch) -> Threads:
    monkeypatch.setattr(gradient, "free_cores", lambda _: count)
    return Threads(count)


def test_the_parts_add_up_to_the_whole(whole: tuple[float, list[torch.Tensor]]) -> None:
    loss, found = added(Threads(1))
    assert loss == pytest.approx(whole[0], rel=1e-6)
    for ours, theirs in zip(found, whole[1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7)


def test_several_threads_compute_parts_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, both = threads_of(2, monkeypatch), threading.Barrier(2, timeout=30)

    def work(part: torch.Tensor) -> tuple[float, list[torch.Tensor]]:
        both.wait()  # one alone would wait in vain
        return float(part.sum()), []

    found = [loss for loss, _ in threads.each(work, [torch.ones(1), torch.ones(2)])]
    threads.close()
    assert found == [1.0, 2.0]


def test_cores_are_counted_anew_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([4, 2, 1, 9])
    monkeypatch.setattr(gradient, "are_threads_given", lambda: False)
    monkeypatch.setattr(gradient, "free_cores", lambda _: next(free))
    monkeypatch.setattr(gradient, "_RECOUNT", 0.0)
    threads = Threads(3)
    counts = [threads.count]
    for _ in range(3):
        list(threads.each(lambda _: (0.0, []), []))
        counts.append(threads.count)
    threads.close()
    assert counts == [3, 2, 1, 3]


def test_pytorch_shares_out_nothing_meanwhile() -> None:
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
        (16, 64, 4, 4),  # no fewer than 256
        (2, 4096, 8, 1),
    ],
)
def test_a_step_has_parts_for_eight_cores_unless_they_are_too_small(
    rows: int, tokens: int, heads: int, at_once: int
) -> None:
    step = torch.zeros(rows, tokens + 1)
    assert rows_at_once("cpu", recipe(heads=heads, width=16), step) == at_once
    assert rows_at_once("cuda", recipe(heads=heads, width=16), step) == rows
