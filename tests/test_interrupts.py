"""How long Ctrl-C may take: enough for the main thread to clean up, but less than a second."""

import os
import signal
import threading
from concurrent import futures
from typing import Any

import pytest
import torch

from attn_cli import interrupts
from attn_cli.core.streaming import threads


class EndedError(Exception):
    """Raised instead of ending the process."""


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds between Ctrl-C and the end of the process, if the main thread does not react."""
    slept: list[float] = []

    def end(_status: int) -> None:
        raise EndedError

    monkeypatch.setattr("attn_cli.interrupts.time.sleep", slept.append)
    monkeypatch.setattr(interrupts, "_say", lambda *_: None)
    monkeypatch.setattr("attn_cli.interrupts.signal.getsignal", lambda _: signal.SIG_IGN)
    monkeypatch.setattr("attn_cli.interrupts.os._exit", end)
    heard, told = os.pipe()
    os.write(told, bytes([signal.SIGINT]))
    with pytest.raises(EndedError):
        interrupts._wait(heard, 2)  # noqa: SLF001  what the second thread runs
    os.close(heard)
    os.close(told)
    return slept[0]


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds that interrupted code waits for its running threads."""
    given: list[float] = []

    def wait(begun: Any, seconds: float) -> Any:
        given.append(seconds)
        return futures.wait(begun)

    monkeypatch.setattr(threads, "wait", wait)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    list(threads.share_out(lambda _: 1, [range(1)], threading.Event()))
    return given[0]


def test_a_process_that_does_not_hear_ends_within_a_second(patience: float) -> None:
    assert patience < 1


def test_threads_are_given_some_time_and_less_than_the_process_has(patience: float, waited: float) -> None:
    assert 0.1 < waited < patience
