"""Errors as Python sees them."""

import pickle

import pytest

from attn_cli import AttnError
from attn_cli.errors import UsageError


def test_an_error_says_its_problem_and_carries_its_hint() -> None:
    with pytest.raises(AttnError) as caught:
        raise UsageError("no such head", "--head 3")
    assert str(caught.value) == "no such head"
    assert caught.value.hint == "--head 3"


def test_an_error_survives_a_process_boundary() -> None:
    copied = pickle.loads(pickle.dumps(UsageError("no such head", "--head 3")))  # noqa: S301  our own bytes
    assert (type(copied), copied.problem, copied.hint) == (UsageError, "no such head", "--head 3")
