"""The layout of pictures: panels in rows on a page, grids of heads, labels, merged cells."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.grid import Grid, Landmarks, Rank
from attn_cli.show.grids import grid_of
from attn_cli.show.picture.canvas import Canvas
from attn_cli.show.picture.fonts import letters_for
from attn_cli.show.picture.layout.coarse import coarser
from attn_cli.show.picture.layout.sheet import PAGE
from attn_cli.show.picture.marks import Box, Drawing, Image, Word
from attn_cli.vocabulary import Pool
from tests.show.test_picture import many, page, texts, weights_of, words
from tests.support.words_on_page import cut_off, overlapping


def tokens(count: int) -> tuple[str, ...]:
    return tuple(f"token{i}" for i in range(count))


def head(count: int, name: str = "2.7", step: str = "weights") -> Grid:
    """A head whose queries and keys are the same tokens, every fifth of which begins a sentence."""
    names, places = tokens(count), tuple(range(count))
    ranks = tuple(Rank.SENTENCE if place % 5 == 0 else Rank.PIECE for place in places)
    landmarks = Landmarks(places, tuple(f"word{place}" for place in places), ranks)
    grid = grid_of(step, np.full((count, count), 0.5), names, names, limits=(0, 1))
    grid = replace(grid, step=step, head=name, unit=step.removesuffix("s"))
    grid = replace(grid, row_places=places, column_places=places)
    return replace(grid, row_landmarks=landmarks, column_landmarks=landmarks)


def features(count: int, width: int = 32, step: str = "values") -> Grid:
    values = np.random.default_rng(0).normal(size=(count, width))
    grid = grid_of(step, values, tokens(count), list(map(str, range(width))), are_tokens=False)
    return replace(grid, step=step, head="2.7", unit="value", axes=("key", "feature"), by_size=True)


def boxes(drawing: Drawing) -> list[Box]:
    """The panels, without colour bars, which are of one column."""
    return [m.box for m in drawing.marks if isinstance(m, Image) and m.colours.shape[:2] != (256, 1)]


def rows_of(drawing: Drawing) -> list[int]:
    """How many panels stand beside each other in each row."""
    tops = [round(box.y, 6) for box in boxes(drawing)]
    return [tops.count(top) for top in dict.fromkeys(tops)]


def heads_of_a_layer(count: int, size: int) -> list[list[list[Grid]]]:
    return [[[head(size, f"3.{number}") for number in range(count)]]]


@pytest.mark.parametrize(
    ("heads", "size", "rows"),
    [(1, 30, [1]), (2, 14, [2]), (4, 5, [4]), (12, 14, [4, 4, 4]), (6, 6, [3, 3]), (5, 14, [3, 2])],
)
def test_heads_stand_beside_each_other_as_long_as_their_labels_are_legible(
    heads: int, size: int, rows: list[int]
) -> None:
    drawing = page(heads_of_a_layer(heads, size), "heads")
    assert rows_of(drawing) == rows
    assert drawing.width <= PAGE + 1e-9


def test_heads_of_a_long_text_are_as_large_as_a_page_allows() -> None:
    drawing = page(heads_of_a_layer(4, 300), "heads")
    assert rows_of(drawing) == [2, 2]
    assert drawing.height < 1.5 * PAGE


def test_steps_of_one_head_stand_in_rows_of_panels_of_the_same_height() -> None:
    steps = [features(15, step=step) for step in ("queries", "keys")]
    steps += [head(15, step="scores"), head(15), features(15), features(15, step="context")]
    drawing = page([[[grid]] for grid in steps], "steps")
    assert rows_of(drawing) == [2, 2, 2]
    assert len({round(box.height, 6) for box in boxes(drawing)}) == 1
    assert drawing.width <= PAGE + 1e-9
    assert drawing.height < 1.5 * PAGE


def heads_and_steps(heads: int, size: int, steps: Sequence[str]) -> list[list[list[Grid]]]:
    """A table for each step, of so many heads beside each other."""
    numbers = [f"2.{number}" for number in range(heads)]
    return [
        [
            [
                head(size, name, step) if step in ("scores", "weights") else vectors(size, name, step)
                for name in numbers
            ]
        ]
        for step in steps
    ]


def vectors(size: int, name: str, step: str) -> Grid:
    return replace(features(size, step=step), head=name)


@pytest.mark.parametrize(
    ("heads", "size", "steps"),
    [
        (3, 23, ("scores", "weights", "context")),
        (8, 23, ("scores", "weights", "context")),
        (2, 230, ("scores", "weights", "values", "context")),
        (4, 23, ("scores", "weights")),
    ],
)
def test_steps_of_several_heads_share_the_height_of_a_page(
    heads: int, size: int, steps: Sequence[str]
) -> None:
    drawing = page(heads_and_steps(heads, size, steps), "steps")
    assert drawing.width <= PAGE + 1e-9
    assert drawing.height < 1.55 * PAGE
    assert min(box.height for box in boxes(drawing)) > 0.7
    assert not overlapping(drawing)
    assert not cut_off(drawing)


def test_many_steps_make_a_picture_taller_than_a_page_rather_than_panels_that_show_nothing() -> None:
    steps = ("queries", "keys", "values", "scores", "weights", "context")
    drawing = page(heads_and_steps(3, 23, steps), "steps")
    assert 1.5 * PAGE < drawing.height < 2 * PAGE
    assert rows_of(drawing) == [3] * len(steps)
    assert min(box.height for box in boxes(drawing)) > 0.8


def test_a_step_that_needs_less_than_its_share_leaves_the_rest_to_others() -> None:
    short = vectors(2, "2.0", "context")
    beside = page([heads_of_a_layer(2, 23)[0], [[short, short]]], "both")
    assert boxes(beside)[0].height == pytest.approx(boxes(page(heads_of_a_layer(2, 23), "one"))[0].height)


def test_grids_of_layers_and_heads_are_as_large_in_several_steps_as_in_one() -> None:
    (one,) = grid_of_heads(6, 12, 14)
    assert boxes(page([one, one], "both"))[0] == boxes(page([one], "one"))[0]


def test_cells_of_the_same_tokens_are_squares() -> None:
    for drawing in (page([[[head(9)]]], "one"), page(heads_of_a_layer(3, 20), "three")):
        assert all(box.width == pytest.approx(box.height) for box in boxes(drawing))


def test_a_row_of_many_keys_is_as_wide_as_the_page_and_as_high_as_a_line() -> None:
    row = replace(head(300), rows=("token7",), row_places=(7,), values=np.full((1, 300), 0.5))
    row = replace(row, visible=np.ones((1, 300), dtype=bool), row_landmarks=None)
    drawing = page([[[row]]], "one row")
    (box,) = boxes(drawing)
    assert box.width > 4
    assert 0.1 < box.height < 0.6
    assert "7 token7" in texts(drawing)


def grid_of_heads(layers: int, heads: int, size: int) -> list[list[list[Grid]]]:
    return [[[head(size, f"{layer}.{number}") for number in range(heads)] for layer in range(layers)]]


@pytest.mark.parametrize(("layers", "heads"), [(12, 12), (30, 9), (4, 8), (2, 2)])
def test_a_grid_of_heads_is_labelled_once_at_its_margins_and_fits_the_width_of_a_page(
    layers: int, heads: int
) -> None:
    drawing = page(grid_of_heads(layers, heads, 30), "model")
    assert drawing.width <= PAGE + 1e-9
    assert len(boxes(drawing)) == layers * heads
    numbers = [int(mark.text) for mark in drawing.marks if isinstance(mark, Word) and mark.text.isdecimal()]
    assert sorted(numbers) == sorted([*range(layers), *range(heads), 0, 1])  # and the ends of the bar
    assert min(box.width for box in boxes(drawing)) >= 0.39
    assert cut_off(drawing) == []
    assert overlapping(drawing) == []


def test_a_grid_of_short_texts_has_their_tokens_at_its_edges() -> None:
    drawing = page(grid_of_heads(4, 8, 4), "model")
    assert texts(drawing).count("token3") == 4 + 8
    assert "each panel: query × key" not in texts(drawing)
    assert "each panel: query × key" in texts(page(grid_of_heads(4, 8, 40), "model"))


@pytest.mark.parametrize("count", [1, 12, 30, 66, 67, 200, 1000])
def test_labels_never_overlap(count: int) -> None:
    drawing = page([[[head(count)]]], "n")
    assert overlapping(drawing) == []
    assert cut_off(drawing) == []
    labels = [text for text in texts(drawing) if "token" in text or "word" in text]
    assert len(labels) >= min(2 * count, 20)


def test_tokens_are_all_labelled_as_long_as_labels_have_five_points() -> None:
    drawing = page([[[head(51)]]], "fifty-one")
    labels = [mark for mark in words(drawing, turned=True) if "token" in mark.text]
    assert len(labels) == 51
    assert all(5 <= mark.size <= 8 for mark in labels)


def test_a_long_text_is_labelled_with_words_and_their_positions_where_sentences_begin() -> None:
    labels = [text for text in texts(page([[[head(300)]]], "long")) if "word" in text]
    places = [int(label.partition(" ")[0]) for label in labels]
    assert labels == [f"{place} word{place}" for place in places]
    assert all(place % 5 == 0 for place in places)
    assert places[0] == 0


def test_a_word_that_no_font_has_is_no_label_of_a_long_text() -> None:
    grid = head(300)
    assert grid.row_landmarks is not None
    odd = tuple("\U00012345" if place % 10 == 0 else f"word{place}" for place in range(300))
    landmarks = replace(grid.row_landmarks, words=odd)
    drawing = page([[[replace(grid, row_landmarks=landmarks, column_landmarks=landmarks)]]], "odd")
    labels = [mark.text for mark in words(drawing, turned=False) if mark.across == "right"]
    assert not any("U00012345" in label for label in labels[1:])  # the first row is always labelled


def test_a_position_stands_before_a_word_that_is_read_leftwards() -> None:
    grid = head(300)
    assert grid.row_landmarks is not None
    landmarks = replace(grid.row_landmarks, words=("שלום",) * 300)
    drawing = page([[[replace(grid, row_landmarks=landmarks, column_landmarks=landmarks)]]], "leftwards")
    assert "\N{LEFT-TO-RIGHT MARK}0 שלום" in texts(drawing)


def test_an_escape_between_words_that_are_read_leftwards_stays_whole() -> None:
    drawing = page([[[weights_of("ש\ue000", "שלום", "a\ue000")]]], "שלום \ue000")
    mark = "\N{LEFT-TO-RIGHT MARK}"
    assert {f"שלום {mark}\\ue000", f"ש{mark}\\ue000", "שלום", "a\\ue000"} <= set(texts(drawing))


def test_words_beside_large_positions_are_legible_in_a_narrow_column() -> None:
    grid = head(300)
    assert grid.row_landmarks is not None
    places = tuple(range(12_000, 12_300))
    landmarks = replace(grid.row_landmarks, places=places, words=("Suddenly",) * 300)
    grid = replace(grid, row_landmarks=landmarks, column_landmarks=landmarks)
    drawing = page([[[grid]]], "narrow", Canvas(width=3.3, size=8))
    assert all(len(text.split()[1]) >= 5 for text in texts(drawing) if text.startswith("12"))
    assert overlapping(drawing) == []


def test_a_difference_is_not_broken() -> None:
    letters = letters_for(["weights"], ["0.74 − 0.85"])
    assert letters.lines("hidden 0.74 − 0.85", 8, 0.8, 3) == ["hidden", "0.74 − 0.85"]


def test_numbered_features_are_labelled_in_round_steps() -> None:
    drawing = page([[[features(10, 64)]]], "features")
    numbers = [int(text) for text in texts(drawing) if text.isdecimal()]
    assert numbers[:3] in ([0, 5, 10], [0, 10, 20])


def test_a_font_size_that_is_asked_for_is_that_of_all_labels() -> None:
    drawing = page([[[head(60)]]], "large", Canvas(size=9))
    labels = [mark for mark in words(drawing, turned=True) if "word" in mark.text]
    assert {mark.size for mark in labels} == {9}
    assert 5 < len(labels) < 60


def diagonal(count: int) -> npt.NDArray[np.floating]:
    return np.eye(count, k=-1)


def test_no_line_is_lost_between_the_dots_of_a_small_panel() -> None:
    grid = replace(many(200), values=diagonal(200), limits=(0, 1))
    drawing = page([[[grid] * 12] * 12], "model")
    image = next(mark for mark in drawing.marks if isinstance(mark, Image))
    cells = image.colours.shape[0]
    assert cells <= image.box.height * 150
    brightest = np.argmax(image.colours[..., 0].astype(int), axis=1)
    assert (abs(brightest[1:] - np.arange(1, cells)) <= 1).all()


def test_merged_cells_are_the_largest_that_can_be_seen() -> None:
    values = np.array([[0.1, 0.9, 0.2, 0.3], [0.4, 0.5, 0.6, 0.7], [0.0, 0.1, 0.2, 0.3]])
    visible = values != 0.9
    grid = grid_of("w", values, list("abc"), list("wxyz"), visible, limits=(0, 1))
    merged = coarser(replace(grid, unit="weight"), 2, 2)
    np.testing.assert_array_equal(merged.values, [[0.5, 0.7], [0.1, 0.3]])
    assert (merged.rows, merged.columns, merged.merged) == (("a", "c"), ("w", "y"), (2, 2))
    assert merged.cell_is == "weight, largest of 2 × 2"


def test_merged_features_are_the_largest_by_absolute_value() -> None:
    grid = replace(features(2, 4), values=np.array([[1.0, -3.0, 2.0, 1.0], [0.0, -1.0, -2.0, 4.0]]))
    merged = coarser(grid, 2, 2)
    np.testing.assert_array_equal(merged.values, [[-3.0, 2.0], [-1.0, 4.0]])
    assert merged.cell_is == "value, largest by absolute value of 1 × 2"


def test_the_largest_of_the_largest_is_the_largest_of_a_larger_block() -> None:
    grid = replace(many(4), cells=(2, 2), pool=Pool.MAX, unit="weight")
    assert coarser(grid, 2, 2).cell_is == "largest weight of a block of 4 × 4"
    means = coarser(replace(grid, pool=Pool.MEAN), 2, 2)
    assert means.cell_is == "mean weight of a block of 2 × 2, largest of 2 × 2"


def test_a_block_is_masked_only_if_all_of_it_is() -> None:
    scores = replace(many(4), allowed=np.tri(4, dtype=bool))
    merged = coarser(scores, 2, 2)
    assert merged.unmasked.tolist() == [[True, False], [True, True]]
    assert merged.values[0, 0] == scores.values[1, 1]  # the largest of those that a query may look at
    assert merged.values[0, 0] != scores.values[:2, :2].max() or scores.values[1, 1] > scores.values[0, 1]


def captions(drawing: Drawing, among: Sequence[str]) -> list[str]:
    return [mark.text for mark in drawing.marks if isinstance(mark, Word) and mark.text in among]


def test_axes_that_panels_share_are_named_once() -> None:
    drawing = page(heads_of_a_layer(12, 15), "layer")
    assert captions(drawing, ["query", "key"]) == ["query", "key"]


def test_a_grid_of_one_row_per_head_names_the_row() -> None:
    row = replace(head(40), rows=("token7",), row_places=(7,), values=np.full((1, 40), 0.5))
    row = replace(row, visible=np.ones((1, 40), dtype=bool), row_landmarks=None)
    drawing = page([[[replace(row, head=f"{i}.{j}") for j in range(8)] for i in range(4)]], "model")
    assert texts(drawing).count("7 token7") == 4
    assert "each panel: query × key" in texts(drawing)
    assert overlapping(drawing) == []
