"""The end of a run, its learning rate, and the length of its rows."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.errors import UsageError
from attn_cli.training.recipe import completed
from attn_cli.vocabulary import DType
from tests.support.small_run import RECIPE, recipe


def test_the_rate_rises_to_its_peak_and_falls_to_zero() -> None:
    rates = [recipe(rate=0.01).rate_at(share / 1000) for share in range(1001)]
    assert rates[0] == pytest.approx(0.0001)  # the first step learns something too
    assert max(rates) == pytest.approx(0.01)
    top = rates.index(max(rates))
    assert top == 20  # 2 % of the run
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)


def test_steps_end_a_run_whatever_the_clock_says() -> None:
    found = recipe(steps=10)
    assert (found.share(0, 1e6), found.share(5, 0.0), found.share(10, 0.0)) == (0.0, 0.5, 1.0)


def test_minutes_end_a_run_whatever_the_steps_are() -> None:
    found = recipe(steps=None, minutes=2)
    assert (found.share(10**6, 0.0), found.share(0, 60.0), found.share(1, 150.0)) == (0.0, 0.5, 1.0)


@pytest.mark.parametrize("ends", [{"steps": None}, {"steps": 1, "minutes": 1.0}])
def test_exactly_one_of_steps_and_minutes_is_given(ends: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"^a run ends after --steps or after --minutes, not both$"):
        replace(RECIPE, **ends)


def test_a_width_indivisible_by_the_heads_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^100 features cannot be divided evenly among 8 heads$") as raised:
        recipe(width=100, heads=8)
    assert raised.value.hint == "--width 104"


@pytest.mark.parametrize("name", ["minutes", "rate", "repeats"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"^--{name} {value} is not a finite number$"):
        recipe(**{name: value} | ({"steps": None} if name == "minutes" else {}))


@pytest.mark.parametrize(
    ("context", "batch", "lengths"),
    [
        (512, 8, (64, 128, 256, 512)),
        (256, 8, (32, 64, 128, 256)),
        (100, 3, (20, 25, 50, 100)),
        (17, 2, (17, 17, 17, 17)),
        (8, 1, (8, 8, 8, 8)),
    ],
)
def test_rows_are_short_and_many_before_they_are_long(
    context: int, batch: int, lengths: tuple[int, ...]
) -> None:
    found = recipe(context=context, batch=batch)
    for shares, length in zip([(0.0, 0.299), (0.3, 0.499), (0.5, 0.699), (0.7, 1.0)], lengths, strict=True):
        for share in shares:
            assert found.rows_at(share) == (batch * context // length, length)


def test_short_rows_are_placed_anywhere_in_the_context() -> None:
    found = recipe(context=512)
    firsts = [found.first_at(0.0, step) for step in range(4000)]
    assert (min(firsts), max(firsts)) == (0, 512 - 64)
    assert abs(sum(firsts) / len(firsts) - 224) < 10
    assert {found.first_at(0.7, step) for step in range(9)} == {0}


@given(st.integers(8, 3000), st.integers(1, 64))
def test_every_step_has_the_same_number_of_tokens(context: int, batch: int) -> None:
    rows, length = recipe(context=context, batch=batch).rows_at(0.0)
    assert rows * length == batch * context
    assert min(context, 16) <= length <= context


def test_the_usual_run_is_the_one_that_trained_storybook() -> None:
    """The recipe in the README gives the context, the vocabulary, the repeats and the minutes."""
    line = {"context": 512, "vocabulary": 4096, "repeats": 0.5, "minutes": 110.0}
    found = completed({**line, "steps": None, "seed": 0, "products": DType.BFLOAT16})
    assert (found.layers, found.heads, found.width, found.batch, found.rate) == (4, 8, 256, 8, 3e-3)
    assert (found.context, found.vocabulary, found.repeats) == (512, 4096, 0.5)
    assert not found.is_brief


@pytest.mark.parametrize(
    ("given", "is_brief"),
    [
        ({}, False),
        ({"minutes": 3.0}, True),
        ({"minutes": 3.1}, False),
        ({"steps": 5}, False),
        ({"minutes": 1.0, "width": 128}, True),
    ],
)
def test_a_run_of_three_minutes_is_brief_and_trains_a_small_model(
    given: dict[str, Any], is_brief: bool
) -> None:
    found = completed({"layers": None, **given, "seed": 0, "products": DType.FLOAT32})
    assert found.is_brief is is_brief
    assert found.layers == (2 if is_brief else 4)
    assert found.width == given.get("width", 64 if is_brief else 256)


def test_without_steps_and_minutes_a_run_takes_ten_minutes() -> None:
    assert completed({"seed": 0, "products": DType.FLOAT32}).minutes == 10.0


def test_at_most_half_of_the_minutes_is_reserved() -> None:
    found = recipe(steps=None, minutes=1)
    assert found.share(0, 20.0, reserved=20.0) == 0.5
    assert found.share(0, 15.0, reserved=50.0) == 0.5
    assert recipe(steps=10).share(5, 0.0, reserved=50.0) == 0.5
