"""When a run ends, and how fast it learns on the way."""

import pytest

from attn_cli.errors import UsageError
from attn_cli.training.recipe import Recipe


def test_the_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    recipe = Recipe(steps=100, rate=0.01)
    rates = [recipe.rate_at(step / 1000) for step in range(1001)]
    assert rates[0] == 0.0
    assert max(rates) == pytest.approx(0.01)
    top = rates.index(max(rates))
    assert top == 20  # 2 % of the run
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)


def test_steps_end_a_run_whatever_the_clock_says() -> None:
    recipe = Recipe(steps=10)
    assert (recipe.progress(0, 1e6), recipe.progress(5, 0.0), recipe.progress(10, 0.0)) == (0.0, 0.5, 1.0)


def test_minutes_end_a_run_whatever_the_steps_are() -> None:
    recipe = Recipe(minutes=2)
    assert (recipe.progress(10**6, 0.0), recipe.progress(0, 60.0), recipe.progress(1, 150.0)) == (0, 0.5, 1)


@pytest.mark.parametrize("ends", [{}, {"steps": 1, "minutes": 1.0}])
def test_one_of_them_ends_it(ends: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"^a run ends after --steps or after --minutes$"):
        Recipe(**ends)  # type: ignore[arg-type]


def test_a_width_that_the_heads_cannot_share_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^100 features cannot be shared out over 8 heads$") as raised:
        Recipe(steps=1, width=100, heads=8)
    assert raised.value.hint == "--width 104"


def test_a_recipe_survives_its_json() -> None:
    recipe = Recipe(minutes=3.5, repeats=0.25, bfloat16=True)
    assert Recipe.of(recipe.as_json()) == recipe
