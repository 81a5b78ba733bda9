"""A process that is killed leaves the old file or the new one; `kills.py` does it 200 times."""

import os

import pytest

from tests.fuzz.kills import SIGNALS, WRITERS, kills

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="the signals of POSIX")]


@pytest.mark.parametrize("command", WRITERS)
def test_a_process_that_is_killed_leaves_nothing_half_written(command: str) -> None:
    count = (
        2 if command == "train" else len(SIGNALS)
    )  # a training starts PyTorch, and goes on in a second process
    problems = {done: done.problem for done in kills(count, seed=7, commands=(command,)) if done.problem}
    assert problems == {}
