"""The colour bar of a picture: true numbers, and what they are."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

from attn_cli.grid import Grid
from attn_cli.show.grids import grid_of
from attn_cli.show.picture.marks import Drawing, Image, Word
from attn_cli.show.scale import on_unmasked
from attn_cli.vocabulary import Pool
from tests.show.test_picture import GREY, causal, page, panels, texts, weights_of


def beside_the_bar(drawing: Drawing) -> str:
    """What the bar says: the words that are turned and to the right of it."""
    *_, bar = (mark for mark in drawing.marks if isinstance(mark, Image))
    words = [mark for mark in drawing.marks if isinstance(mark, Word) and mark.turned]
    return " ".join(mark.text for mark in words if mark.x > bar.box.right)


def test_the_bar_says_what_a_colour_stands_for() -> None:
    grid = replace(weights_of("the", "cat"), limits=(0, 1), step="weights", unit="weight")
    assert beside_the_bar(page([[[grid]]], "tiny")) == "weight, linear scale"
    pooled = replace(grid, cells=(4, 2), pool=Pool.MAX, is_log=True, limits=(0.001, 1))
    assert beside_the_bar(page([[[pooled]]], "tiny")) == "largest weight of a block of 4 × 2, log scale"
    pooled = replace(pooled, pool=Pool.MEAN)
    assert beside_the_bar(page([[[pooled]]], "tiny")) == "mean weight of a block of 4 × 2, log scale"
    difference = replace(pooled, by_size=True, is_log=False, step="", unit="difference of weights")
    assert (
        beside_the_bar(page([[[difference]]], "tiny")) == "difference of the mean weights of a block of 4 × 2"
    )
    scores = replace(grid, step="scores", unit="score (q·k × 0.25)")
    assert beside_the_bar(page([[[scores]]], "tiny")) == "score (q·k × 0.25)"


def test_the_colours_of_a_log_scale_are_in_equal_steps_for_equal_factors() -> None:
    values = np.array([[0.0, 0.001, 0.0317, 1.0]])
    grid = replace(grid_of("w", values, ["a"], list("bcde"), limits=(0.001, 1)), is_log=True)
    (cells,) = panels(page([[[grid]]], "log"))
    expected = mpl.colormaps["magma"]([0.0, 0.0, 0.5, 1.0], bytes=True)
    np.testing.assert_array_equal(cells[0], expected)


def bar_of(grid: Grid) -> dict[str, float]:
    """The label of each tick of the bar, and how far up it is."""
    drawing = page([[[grid]]], "bar")
    *_, bar = (mark for mark in drawing.marks if isinstance(mark, Image))
    ticks = [
        mark
        for mark in drawing.marks
        if isinstance(mark, Word)
        and mark.across == "left"
        and bar.box.y - 0.01 <= mark.y <= bar.box.bottom + 0.01
        and mark.x > bar.box.right
    ]
    return {tick.text: round((bar.box.bottom - tick.y) / bar.box.height, 4) for tick in ticks}


def test_the_bar_of_a_log_scale_has_powers_of_ten_in_equal_steps() -> None:
    grid = replace(weights_of("the", "cat"), limits=(0.001, 1), is_log=True)
    assert bar_of(grid) == {"≤ 0.001": 0.0, "0.01": 0.3333, "0.1": 0.6667, "1": 1.0}


def test_a_limit_that_values_lie_beyond_says_so() -> None:
    grid = weights_of("the", "cat")  # 0 to 1
    assert {"≥ 0.5", "0"} <= set(bar_of(replace(grid, limits=(0, 0.5))))
    assert {"≤ 0.1", "≥ 0.37"} <= set(bar_of(replace(grid, limits=(0.1, 0.37))))
    assert not any("≤" in text or "≥" in text for text in bar_of(replace(grid, limits=(0, 1))))
    hidden = replace(causal(grid), limits=(0, 0.9), values=np.array([[0.5, 9.0], [0.1, 0.2]]))
    assert not any("≥" in text for text in bar_of(hidden))


def test_the_bar_of_uneven_limits_has_zero_where_it_is() -> None:
    grid = replace(weights_of("the", "cat"), limits=(-2, 8))
    assert bar_of(grid)["0"] == 0.2
    (cells,) = panels(page([[[grid]]], "uneven"))
    assert cells[0, 0, :3].min() > 240  # 0 is white


@pytest.mark.parametrize("limits", [(0.12345, 0.12346), (1e-300, 1.0), (0.3, 0.4), (1e-9, 1.0), (5, 9)])
def test_the_ticks_of_any_bar_are_told_apart(limits: tuple[float, float]) -> None:
    for is_log in (False, True):
        grid = replace(weights_of("the", "cat"), limits=limits, is_log=is_log)
        assert 2 <= len(bar_of(grid)) <= 9


def test_scores_that_the_mask_will_hide_are_hatched_with_their_number() -> None:
    scores = grid_of("scores", np.array([[1.0, -9.0], [2.0, 3.0]]), ["a", "b"], ["a", "b"])
    drawing = page([[[on_unmasked(replace(scores, allowed=np.tri(2, dtype=bool)))]]], "scores")
    (cells,) = panels(drawing)
    assert tuple(cells[0, 1]) == GREY
    assert {"masked", "-9.00".replace("-", "−"), "1.00"} <= set(texts(drawing))
    np.testing.assert_array_equal(cells[1, 1], mpl.colormaps["viridis"](1.0, bytes=True))
