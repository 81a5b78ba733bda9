"""Shaded texts as pictures: colours behind words, text as text, lines that read from right to left."""

from collections.abc import Sequence
from dataclasses import replace
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from attn_cli.answers.shaded_text import Piece, ShadedText
from attn_cli.errors import UsageError
from attn_cli.show.picture import render
from attn_cli.show.picture import text_page as pages
from attn_cli.show.picture.canvas import USUAL, Canvas
from attn_cli.show.picture.heading import Heading
from attn_cli.show.picture.marks import Box, Drawing, Fill, Stroke, Word
from attn_cli.show.picture.reading_order import is_leftward_line, visual_order
from attn_cli.show.scale import StepScale
from tests.show.test_shaded_text import long_text, text_of


def text_page(
    texts: Sequence[ShadedText], title: str, canvas: Canvas = USUAL, scale: StepScale | None = None
) -> Drawing:
    return pages.text_page(texts, Heading(title), canvas, scale)


def fills(drawing: Drawing) -> list[Fill]:
    return [mark for mark in drawing.marks if isinstance(mark, Fill)]


def words(drawing: Drawing) -> list[Word]:
    return [mark for mark in drawing.marks if isinstance(mark, Word)]


def of_svg(drawing: Drawing) -> list[str]:
    """The text elements of the picture as .svg."""
    found = ET.fromstring(render(drawing, ".svg")).iter()  # noqa: S314  our own file
    return ["".join(element.itertext()).strip() for element in found if element.tag.endswith("text")]


def luminance(colour: str) -> float:
    """The relative luminance of a colour (WCAG 2.1)."""
    parts = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def word_named(drawing: Drawing, text: str) -> Word:
    return next(word for word in words(drawing) if word.text == text)


def covers(box: Box, word: Word) -> bool:
    return box.x <= word.x + 1e-6 and box.y < word.y < box.bottom


def test_a_token_stands_on_the_colour_of_its_weight() -> None:
    drawing = text_page([text_of(1, 0.5, 0, 0)], "model")
    colours = mpl.colormaps["Oranges"](np.array([1.0, 0.5]), bytes=True)[:, :3]
    assert [fill.colour for fill in fills(drawing)] == [f"#{bytes(colour).hex()}" for colour in colours]
    assert covers(fills(drawing)[0].box, word_named(drawing, "the"))


@pytest.mark.parametrize("weight", np.linspace(0.01, 1, 34))
@pytest.mark.parametrize("cmap", [None, "viridis", "gray"])
def test_letters_are_readable_on_every_colour(weight: float, cmap: str | None) -> None:
    drawing = text_page([text_of(weight, 1, 0, 0)], "model", Canvas(cmap=cmap))
    letters, ground = (
        luminance(word_named(drawing, "the").colour or "black"),
        luminance(fills(drawing)[0].colour),
    )
    light, dark = max(letters, ground), min(letters, ground)
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG, level AA


def test_masked_tokens_are_grey_and_the_query_is_framed() -> None:
    drawing = text_page([text_of(0, 0, 0, 0)], "model")
    assert word_named(drawing, "sat").colour == "#8c8c8c"
    assert word_named(drawing, "the").colour is None  # the ink of the page
    query = word_named(drawing, "cat")
    assert any(isinstance(mark, Stroke) and mark.start[0] == pytest.approx(query.x) for mark in drawing.marks)


def test_the_legend_tells_the_range() -> None:
    told = [word.text for word in words(text_page([text_of(0.01, 0, 0, 0)], "model"))]
    assert told[:2] == ["model", "weights 0.0 · query 1 cat · shades 0 to 0.01"]
    assert {"0", "0.01"} <= set(told)
    assert told[-1] == "weight of a token · framed: the query · grey: masked"


def test_a_log_scale_has_its_ticks_where_its_colours_are() -> None:
    drawing = text_page(
        [text_of(0.01, 0.5, 0.0005, 0, query=3)], "model", scale=StepScale((0.001, 1.0), is_log=True)
    )
    ticks = [word for word in words(drawing) if word.text in {"0.001", "0.01", "0.1", "1"}]
    steps = np.diff([tick.x for tick in ticks])
    assert len(ticks) == 4
    assert np.ptp(steps) == pytest.approx(0, abs=1e-9)
    colour = mpl.colormaps["Oranges"](np.array([1 / 3]), bytes=True)[0, :3]
    assert fills(drawing)[0].colour == f"#{bytes(colour).hex()}"
    assert len(fills(drawing)) == 2


def test_several_texts_stand_below_one_another() -> None:
    drawing = text_page([text_of(1, 0, 0, 0), text_of(0, 1, 0, 0)], "model")
    first, second = (word.y for word in words(drawing) if word.text == "the")
    assert first < second < drawing.height


def test_pieces_of_a_word_are_shaded_within_it() -> None:
    text = text_of(0.2, 0.8, 0, 0)
    pieces = (Piece("un", (0,)), Piece("seen", (1,)), *text.pieces[4:])
    keep = np.array([0, 2, *range(4, 8)])
    joined = replace(
        text, pieces=pieces, weights=text.weights[keep], shown=text.shown[keep], masked=text.masked[keep]
    )
    drawing = text_page([joined], "model")
    one, other = fills(drawing)
    assert one.box.right == pytest.approx(other.box.x)


def test_text_is_text_and_never_markup() -> None:
    hostile = ("<script>alert(1)</script>", "$x^2$", "\x1b[31m&amp;", "]]>")
    drawing = text_page([text_of(0.25, 0.25, 0.25, 0.25, words=hostile, query=3)], "<b>")
    found = of_svg(drawing)
    assert {"<script>alert(1)</script>", "$x^2$", "\\x1b[31m&amp;", "]]>", "<b>"} <= set(found)
    assert b"<script" not in render(drawing, ".svg")


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_every_kind_of_file_is_the_same_twice(suffix: str) -> None:
    one, other = (render(text_page([text_of(1, 0, 0, 0)], "model"), suffix) for _ in range(2))
    assert one == other


def test_a_long_text_is_a_page_with_gaps() -> None:
    drawing = text_page([long_text()], "model")
    told = [word.text for word in words(drawing)]
    assert {"w10", "w500", "w990"} <= set(told)
    assert "w300" not in told
    assert any(text.startswith("… ") and "tokens" in text for text in told)
    assert drawing.height < 5


def test_a_page_is_as_wide_as_its_text_and_no_wider_than_a_page() -> None:
    assert text_page([text_of(1, 0, 0, 0)], "model").width < 6
    assert text_page([long_text()], "model").width == pytest.approx(6.9, abs=0.5)


def test_an_unknown_colour_map_is_refused() -> None:
    with pytest.raises(UsageError, match="colour map 'nope' does not exist"):
        text_page([text_of(1, 0, 0, 0)], "model", Canvas(cmap="nope"))


def test_the_words_of_a_line_that_reads_leftwards_begin_at_the_right() -> None:
    drawing = text_page([text_of(1, 0, 0, 0, words=("שלום", "עולם", "the", "cat"), query=3)], "model")
    places = {word.text: word.x for word in words(drawing) if word.text in {"שלום", "עולם", "the", "cat"}}
    assert sorted(places, key=places.__getitem__) == ["the", "cat", "עולם", "שלום"]


def test_words_against_the_direction_of_a_line_keep_their_order() -> None:
    english = ["a", " ", "שלום", " ", "עולם", " ", "b", " ", "c"]
    assert [english[i] for i in visual_order(english)] == ["a", " ", "עולם", " ", "שלום", " ", "b", " ", "c"]
    hebrew = ["שלום", " ", "the", " ", "cat", " ", "עולם", ",", "אבג"]
    assert [hebrew[i] for i in visual_order(hebrew)] == [
        "אבג",
        ",",
        "עולם",
        " ",
        "the",
        " ",
        "cat",
        " ",
        "שלום",
    ]
    assert not is_leftward_line(["1", "+", "2"])


def test_the_query_of_cross_attention_stands_above() -> None:
    query_text = (Piece("<pad>", (0,), True), Piece("Haus", (1,)))
    drawing = text_page([replace(text_of(0.5, 0.5, 0, 0), query_text=query_text)], "model")
    told = [word.text for word in words(drawing)]
    assert told.index("Haus") < told.index("→ looks at") < told.index("the")
