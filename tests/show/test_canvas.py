"""Pictures on a canvas of given width: exactly that wide, with nothing cut off and no word on another."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from attn_cli.errors import UsageError
from attn_cli.grid import Grid
from attn_cli.show import picture
from attn_cli.show.grids import grid_of
from attn_cli.show.picture import render
from attn_cli.show.picture.canvas import Canvas
from attn_cli.show.picture.heading import Heading
from attn_cli.show.picture.marks import Drawing, Word
from attn_cli.show.picture.section import PanelRows
from attn_cli.vocabulary import Pool
from tests.show.test_picture import size_of_png
from tests.support.words_on_page import cut_off, overlapping

SENTENCE = ["The", "animal", "did", "not", "cross", "the", "street", "because", "it", "was", "too", "tired"]
LONG = [f"{word}{i}" for i, word in enumerate(SENTENCE * 20)]
HEADING = Heading(" ".join(SENTENCE), ("layer 2, head 7: induction", "storybook"))


def head(tokens: list[str], name: str = "2.7", step: str = "weights", *, is_causal: bool = True) -> Grid:
    values = np.linspace(0, 1, len(tokens) ** 2).reshape(len(tokens), -1)
    visible = np.tri(len(tokens), dtype=bool) if is_causal else None
    grid = grid_of(f"{step} {name}", values, tokens, tokens, visible, limits=(0, 1))
    return replace(grid, step=step, head=name, unit=step.removesuffix("s"))


def vectors(tokens: list[str], step: str) -> Grid:
    values = np.random.default_rng(0).normal(size=(len(tokens), 32))
    grid = grid_of(step, values, tokens, list(map(str, range(32))), are_tokens=False)
    return replace(grid, step=step, head="2.7", unit=step, axes=("query", "feature"))


ONE = [[[head(SENTENCE)]]]
TWO = [[[head(SENTENCE), head(SENTENCE, "3.1")]]]
STEPS = [
    *([[vectors(SENTENCE, step)]] for step in ("queries", "keys")),
    *([[head(SENTENCE, step=step)]] for step in ("scores", "logits", "weights")),
    [[vectors(SENTENCE, "context")]],
]
GRID = [[[head(SENTENCE, f"{layer}.{number}") for number in range(8)] for layer in range(4)]]
POOLED = [[[replace(head(LONG), cells=(4, 4), pool=Pool.MAX, is_log=True, limits=(0.001, 1.0))]]]
PICTURES: dict[str, Sequence[PanelRows]] = {"one": ONE, "two": TWO, "steps": STEPS, "pooled": POOLED}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize(
    ("width", "size"),
    [(2.5, 6.0), (3.3, 6.0), (3.3, 8.0), (3.3, 9.0), (5.0, 8.0), (5.0, 12.0), (6.5, 10.0), (12.0, 8.0)],
)
def test_no_word_is_cut_off_or_lies_on_another(name: str, width: float, size: float) -> None:
    drawing = picture.page(PICTURES[name], HEADING, Canvas(width=width, size=size))
    assert drawing.width == width
    assert cut_off(drawing) == []
    assert overlapping(drawing) == []


@pytest.mark.parametrize("name", [*PICTURES, "grid"])
def test_no_word_is_cut_off_where_no_width_is_given(name: str) -> None:
    drawing = picture.page(PICTURES.get(name, GRID), HEADING)
    assert cut_off(drawing) == []
    assert overlapping(drawing) == []


@pytest.mark.parametrize("width", [2.5, 3.3, 5.0])
def test_labels_longer_than_was_thought_make_cells_smaller(width: float) -> None:
    """The room for labels is estimated before it is known which of them have room."""
    long = [*SENTENCE, "antidisestablishmentarianism", "floccinaucinihilipilification"]
    for groups in ([[[head(long)]]], [[[head(long), head(long, "3.1")]]]):
        drawing = picture.page(groups, HEADING, Canvas(width=width))
        assert cut_off(drawing) == []


def test_a_grid_of_heads_fits_a_page() -> None:
    drawing = picture.page(GRID, HEADING, Canvas(width=6.5))
    assert cut_off(drawing) == []
    assert overlapping(drawing) == []


def sizes(drawing: Drawing) -> set[float]:
    return {mark.size for mark in drawing.marks if isinstance(mark, Word)}


def numbers(drawing: Drawing) -> set[float]:
    """The sizes of numbers in cells, which may be smaller than labels, but legible."""
    found = {mark.size for mark in drawing.marks if isinstance(mark, Word) and mark.colour is not None}
    assert all(5 / 8 <= size / drawing.canvas.size <= 7 / 8 for size in found)
    return found


def test_labels_have_the_size_of_the_canvas() -> None:
    small, large = (picture.page(ONE, HEADING, Canvas(width=5.0, size=size)) for size in (6.0, 12.0))
    assert sizes(small) - numbers(small) == {6.0, 7.0, 7.5}
    assert sizes(large) - numbers(large) == {12.0, 13.0, 15.0}


def test_long_labels_are_cut_to_a_quarter_of_the_page() -> None:
    long = head(["antidisestablishmentarianism", "floccinaucinihilipilification"])
    drawing = picture.page([[[long]]], HEADING, Canvas(width=3.3))
    labels = [mark.text for mark in drawing.marks if isinstance(mark, Word) and mark.text.endswith("…")]
    assert len(labels) == 4
    assert cut_off(drawing) == []


@pytest.mark.parametrize("pixels", range(501, 600, 11))
def test_a_width_in_pixels_is_that_of_the_png(pixels: int) -> None:
    for dpi in (100, 150, 163):
        drawing = picture.page(ONE, HEADING, Canvas(width=pixels / dpi * (1 + 1e-9)))
        assert size_of_png(render(drawing, ".png", dpi))[0] == pixels


def test_a_canvas_too_narrow_for_its_labels_names_a_width_that_does() -> None:
    with pytest.raises(UsageError) as caught:
        picture.page(ONE, HEADING, Canvas(width=1.0, size=20.0))
    assert caught.value.problem == "--width leaves no room for the panels with labels of 20 points: it is 1in"
    hint, _, other = caught.value.hint.partition(", or ")
    assert other == "a smaller --font-size than 20"
    wide_enough = float(hint.removeprefix("--width ").removesuffix("in"))
    assert picture.page(ONE, HEADING, Canvas(width=wide_enough, size=20.0)).width == wide_enough


def test_panels_say_only_what_differs() -> None:
    titles = {"weights", "scores", "2.7", "3.1"}

    def said(*groups: PanelRows) -> list[str]:
        words = [mark.text for mark in picture.page(groups, HEADING).marks if isinstance(mark, Word)]
        return [word for word in words if word in titles or " · " in word]

    one, other = head(SENTENCE), head(SENTENCE, "3.1")
    scores = [replace(grid, step="scores") for grid in (one, other)]
    line = "layer 2, head 7: induction · storybook"
    assert said([[one]]) == [line]
    assert said([[one, other]]) == [line, "2.7", "3.1"]
    assert said([[one]], [[scores[0]]]) == [line, "weights", "scores"]
    assert said([[one, other]], [scores])[1:] == [
        "2.7 · weights",
        "3.1 · weights",
        "2.7 · scores",
        "3.1 · scores",
    ]


def test_a_size_stays_on_one_line_beside_the_bar() -> None:
    for width in (3.3, 4.0, 5.0):
        drawing = picture.page(POOLED, HEADING, Canvas(width=width))
        turned = [mark.text for mark in drawing.marks if isinstance(mark, Word) and mark.turned]
        assert any("4 × 4" in text or "8 × 8" in text for text in turned)  # cells as small as dots are merged


def test_without_a_heading_the_panels_begin_at_the_top() -> None:
    bare, headed = (picture.page(ONE, heading, Canvas(width=3.3)) for heading in (Heading(), HEADING))
    assert bare.height < headed.height - 0.3
    assert cut_off(bare) == []


@pytest.mark.parametrize(("is_dark", "ground"), [(False, b"ffffff"), (True, b"16161a")])
def test_the_page_has_the_ground_of_its_theme_unless_it_is_transparent(is_dark: bool, ground: bytes) -> None:
    opaque, clear = (
        render(picture.page(ONE, HEADING, Canvas(is_dark=is_dark, is_transparent=clear)), ".svg")
        for clear in (False, True)
    )
    page = b'<g id="patch_1">'
    assert b"fill: #" + ground in opaque.partition(page)[2][:200]
    assert b"fill: none" in clear.partition(page)[2][:200]


def test_letters_and_lines_of_a_dark_page_are_light() -> None:
    svg = render(picture.page(ONE, HEADING, Canvas(is_dark=True)), ".svg")
    assert b"stroke: #e8e8e8" in svg
    assert b"fill: #e8e8e8" in svg
    assert b"stroke: #000000" not in svg
