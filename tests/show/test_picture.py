"""Pictures: the content of the page, its colours, and the file."""

import math
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.font_manager import FontEntry, fontManager

from attn_cli.errors import UsageError
from attn_cli.grid import Grid
from attn_cli.show import picture
from attn_cli.show.grids import grid_of
from attn_cli.show.picture import check_canvas, render
from attn_cli.show.picture.canvas import USUAL, Canvas
from attn_cli.show.picture.colours import colour_scale
from attn_cli.show.picture.heading import Heading
from attn_cli.show.picture.marks import Blank, Drawing, Image, Word
from attn_cli.show.picture.section import PanelRows
from attn_cli.show.terminal.shades import ramp
from attn_cli.vocabulary import Theme


def page(groups: Sequence[PanelRows], title: str, canvas: Canvas = USUAL) -> Drawing:
    return picture.page(groups, Heading(title), canvas)


GREY = (0xDC, 0xDC, 0xDC, 0xFF)


def weights_of(*tokens: str, title: str = "layer 0, head 0") -> Grid:
    values = np.linspace(0, 1, len(tokens) ** 2).reshape(len(tokens), len(tokens))
    return grid_of(title, values, tokens, tokens, limits=(0, 1))


def many(count: int) -> Grid:
    return weights_of(*(f"token{i}" for i in range(count)))


def causal(source: Grid) -> Grid:
    return replace(source, visible=np.tril(source.visible))


def texts(drawing: Drawing) -> list[str]:
    return [mark.text for mark in drawing.marks if isinstance(mark, Word)]


def words(drawing: Drawing, *, turned: bool) -> list[Word]:
    return [mark for mark in drawing.marks if isinstance(mark, Word) and mark.turned is turned]


def panels(drawing: Drawing) -> list[npt.NDArray[np.uint8]]:
    """The colours of each grid; the bar, drawn last, is left out."""
    return [mark.colours for mark in drawing.marks if isinstance(mark, Image)][:-1]


def size_of_png(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def test_a_png_has_the_inches_of_the_drawing_times_the_dots_per_inch() -> None:
    drawing = page([[[weights_of("the", "cat")]]], "tiny")
    content = render(drawing, ".png", dpi=100)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert size_of_png(content) == (int(drawing.width * 100), int(drawing.height * 100))


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF-")])
def test_the_same_grids_are_the_same_bytes(suffix: str, magic: bytes) -> None:
    first, second = (render(page([[[causal(many(5))]]], "tiny"), suffix) for _ in range(2))
    assert first == second
    assert b"Date" not in first
    assert first.startswith(magic)


def test_the_words_of_an_svg_are_text_and_a_token_is_never_markup() -> None:
    svg = render(page([[[weights_of("<script>", "cat")]]], "tiny"), ".svg").decode()
    assert "&lt;script&gt;" in svg
    assert "<script>" not in svg


def test_the_words_of_an_svg_keep_their_place_in_another_font() -> None:
    svg = render(page([[[many(20)]]], "twenty"), ".svg").decode()
    anchored = [line for line in svg.splitlines() if "<text" in line and "text-anchor: end" in line]
    assert len(anchored) == 20 + 20  # rows end at the grid, columns turned upwards do too


def test_a_token_between_dollars_is_not_a_formula() -> None:
    svg = render(page([[[weights_of("$x^2$", r"$\frac{1}$")]]], "$ & $"), ".svg").decode()
    assert ">$x^2$</text>" in svg
    assert r">$\frac{1}$</text>" in svg
    assert ">$ &amp; $</text>" in svg


def test_a_control_character_is_spelled_out() -> None:
    drawing = page([[[weights_of("\n", "\x1b[31m")]]], "tiny\x07")
    assert {"⏎", r"\x1b[31m", r"tiny\x07"} <= set(texts(drawing))


def test_grids_side_by_side_share_one_scale() -> None:
    small = grid_of("small", np.array([[0.0, 1.0]]), ["a"], ["b", "c"])
    large = grid_of("large", np.array([[1.0, 4.0]]), ["a"], ["b", "c"])
    left, right = panels(page([[[small, large]]], "two"))
    assert left[0, 1].tolist() == right[0, 0].tolist()
    assert left[0, 1].tolist() != right[0, 1].tolist()


def test_zero_is_in_the_middle_where_any_grid_is_signed() -> None:
    signed = grid_of("signed", np.array([[-1.0, 0.0]]), ["a"], ["b", "c"])
    large = grid_of("large", np.array([[0.0, 9.0]]), ["a"], ["b", "c"])
    left, right = panels(page([[[signed, large]]], "two"))
    white = left[0, 1, :3]
    assert white.min() > 240  # the middle of the diverging map is as good as white
    assert right[0, 0, :3].tolist() == white.tolist()
    assert right[0, 1, 0] > right[0, 1, 2]  # what is positive is red
    assert left[0, 0, 2] > left[0, 0, 0]  # what is negative is blue


def test_groups_are_placed_below_each_other_with_their_own_scales() -> None:
    signed = grid_of("difference", np.array([[-1.0, 0.0, 1.0]]), ["a"], ["b", "c", "d"])
    drawing = page([[[weights_of("a", "b")] * 2], [[signed]], []], "heads and their difference")
    upper, _, _, lower, _ = [mark for mark in drawing.marks if isinstance(mark, Image)]
    assert lower.box.y > upper.box.y + upper.box.height
    assert lower.colours[0, 1, :3].min() > 240  # zero is white in the second, dark in the first
    assert upper.colours[0, 0, :3].max() < 100


def test_a_picture_needs_a_grid() -> None:
    with pytest.raises(AssertionError, match="a picture needs at least one grid"):
        page([[[]]], "none")


def test_equal_values_are_a_picture_too() -> None:
    drawing = page([[[grid_of("flat", np.full((2, 2), 3.0), ["a", "b"], ["c", "d"])]]], "flat")
    assert {"0", "3", "3.00"} <= set(texts(drawing))


def test_a_masked_cell_is_grey_and_the_legend_says_so() -> None:
    drawing = page([[[causal(weights_of("the", "cat"))]]], "tiny")
    (colours,) = panels(drawing)
    assert tuple(colours[0, 1]) == GREY
    assert not (colours[[0, 1, 1], [0, 0, 1]] == GREY).all(axis=-1).any()
    assert "masked" in texts(drawing)
    assert "masked" not in texts(page([[[weights_of("the", "cat")]]], "tiny"))


def test_a_masked_cell_is_hatched_and_has_no_number() -> None:
    drawing = page([[[causal(weights_of("the", "cat"))]]], "tiny")
    cells = [mark for mark in drawing.marks if isinstance(mark, Blank)]
    assert len(cells) == 2  # the cell and the sample in the legend
    assert {"0.00", "0.67", "1.00"} <= set(texts(drawing))
    assert "0.33" not in texts(drawing)


def test_a_visible_cell_without_a_number_is_not_called_masked() -> None:
    drawing = page([[[grid_of("odd", np.array([[1.0, math.nan]]), ["a"], ["b", "c"], limits=(0, 1))]]], "odd")
    assert {"masked or", "not finite"} <= set(texts(drawing))
    assert tuple(panels(drawing)[0][0, 1]) == GREY


def test_rows_are_queries_and_columns_are_keys_where_they_are_tokens() -> None:
    tokens, features = weights_of("the", "cat"), replace(weights_of("0", "1"), are_tokens=False)
    assert {"query", "key"} <= set(texts(page([[[tokens]]], "tiny")))
    assert not {"query", "key"} & set(texts(page([[[features]]], "tiny")))


def test_labels_of_a_neighbour_are_not_repeated() -> None:
    drawing = page([[[weights_of("the", "cat")] * 3] * 2], "tiny")
    assert texts(drawing).count("the") == 2 + 3  # two rows at the left, three columns at the bottom


def test_grids_with_other_tokens_have_their_own_names() -> None:
    drawing = page([[[weights_of("the", "cat"), weights_of("a", "dog")]]], "two texts")
    assert [texts(drawing).count(token) for token in ("the", "dog")] == [2, 2]


def numbered(drawing: Drawing) -> int:
    """The number of cells that show their value."""
    return sum(text == "0.50" for text in texts(drawing))


def halves(rows: int, columns: int) -> Grid:
    down, along = ([str(i) for i in range(count)] for count in (rows, columns))
    return grid_of("halves", np.full((rows, columns), 0.5), down, along, limits=(0, 1))


@pytest.mark.parametrize(("size", "count"), [(12, 12), (13, 0)])
def test_cells_have_numbers_where_there_are_at_most_twelve_in_a_row(size: int, count: int) -> None:
    assert numbered(page([[[halves(1, size)]]], "wide")) == count
    assert numbered(page([[[halves(size, 1)]]], "high")) == count


def test_cells_have_numbers_where_the_picture_has_at_most_500() -> None:
    fifty = [halves(5, 10)] * 10
    assert numbered(page([[fifty]], "500 cells")) == 500
    assert numbered(page([[[*fifty, halves(1, 1)]]], "501 cells")) == 0


def test_a_long_token_is_cut() -> None:
    assert "x" * 14 + "…" in texts(page([[[weights_of("x" * 60)]]], "long"))


def test_every_word_is_on_the_page() -> None:
    drawing = page([[[causal(weights_of("W" * 60, "cat"))]]], "a title longer than the grid is wide, by far")
    svg = render(drawing, ".svg").decode()
    assert "a title longer than the grid is wide, by far" in svg
    for mark in (mark for mark in drawing.marks if isinstance(mark, Word)):
        assert 0 < mark.x < drawing.width
        assert 0 < mark.y < drawing.height


def test_a_character_that_no_font_has_is_spelled_out_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    drawing = page([[[weights_of("\U00012345", "cat")]]], "tiny")
    assert drawing.missing == ("\U00012345",)
    assert r"\U00012345" in texts(drawing)
    assert render(drawing, ".png")
    assert not caplog.records  # every font was tried, and matplotlib logs its warnings about fonts


def test_another_font_is_asked_only_for_what_the_first_lacks() -> None:
    drawing = page([[[weights_of("\N{APL FUNCTIONAL SYMBOL QUAD EQUAL}", "cat")]]], "tiny")
    assert drawing.missing == ()
    assert drawing.families == ("DejaVu Sans", "DejaVu Sans Mono")
    assert render(drawing, ".png")


def test_boxes_that_stand_for_glyphs_are_no_glyphs(monkeypatch: pytest.MonkeyPatch) -> None:
    mono = [font for font in fontManager.ttflist if font.name == "DejaVu Sans Mono"]
    boxes = [FontEntry(font.fname, name=".LastResort", style="normal", weight=400) for font in mono]
    monkeypatch.setattr(fontManager, "ttflist", boxes)
    drawing = page([[[weights_of("\N{APL FUNCTIONAL SYMBOL QUAD EQUAL}")]]], "tiny")
    assert drawing.families == ("DejaVu Sans",)
    assert r"\u2338" in texts(drawing)


def test_a_picture_that_its_font_can_write_misses_nothing() -> None:
    drawing = page([[[weights_of("naïve", "Ωμέγα", "Привет", "שלום", "مرحبا", "😀")]]], "tiny")
    assert drawing.missing == ()
    assert drawing.families == ("DejaVu Sans",)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_scripts_of_the_world_are_drawn_without_a_warning(suffix: str) -> None:
    tokens = ("中文", "日本語", "한국어", "हिन्दी", "مرحبا", "👩\N{ZERO WIDTH JOINER}🔬", "é")
    assert render(page([[[weights_of(*tokens, title="中")]]], "中"), suffix)


def test_an_unknown_colour_map_names_the_closest() -> None:
    with pytest.raises(UsageError) as caught:
        page([[[weights_of("a")]]], "tiny", Canvas(cmap="viridus"))
    assert caught.value.problem == "colour map 'viridus' does not exist"
    assert caught.value.hint == "--cmap viridis"


def test_a_colour_map_can_be_checked_beforehand() -> None:
    check_canvas(Canvas())
    check_canvas(Canvas(cmap="magma"))
    with pytest.raises(UsageError, match=r"^colour map 'magna' does not exist$"):
        check_canvas(Canvas(cmap="magna"))


def test_a_colour_map_in_the_wrong_case_is_recognised() -> None:
    with pytest.raises(UsageError) as caught:
        page([[[weights_of("a")]]], "tiny", Canvas(cmap="greys"))
    assert caught.value.hint == "--cmap Greys"


def test_a_colour_map_by_name_is_used() -> None:
    (colours,) = panels(page([[[weights_of("a", "b")]]], "tiny", Canvas(cmap="Greys")))
    assert colours[0, 0, :3].tolist() == [255, 255, 255]
    assert colours[1, 1, :3].tolist() == [0, 0, 0]


def test_a_picture_too_large_to_hold_is_refused() -> None:
    drawing = replace(page([[[weights_of("a")]]], "tiny"), width=20.0, height=20.0)
    with pytest.raises(UsageError) as caught:
        render(drawing, ".png", dpi=1000)
    assert caught.value.problem == "--dpi 1000 is out of range: it gives 20000 × 20000 pixels"
    assert caught.value.hint == "--dpi 300, or .svg"


def test_no_dots_per_inch_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^--dpi 0 is out of range: it gives no pixels$"):
        render(page([[[weights_of("a")]]], "tiny"), ".svg", dpi=0)


def test_an_unknown_kind_of_picture_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        render(page([[[weights_of("a")]]], "tiny"), ".jpg")
    assert caught.value.problem == "unknown picture format '.jpg'"
    assert caught.value.hint == "one of .png, .svg, .pdf"


def test_a_picture_needs_no_pyplot_and_its_module_no_matplotlib() -> None:
    code = (
        "import sys; from attn_cli.show import picture; from attn_cli.show.grids import grid_of\n"
        "from attn_cli.show.picture.heading import Heading\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import numpy as np\n"
        "drawing = picture.page([[[grid_of('t', np.eye(2), ['a', 'b'], ['a', 'b'])]]], Heading('t'))\n"
        "assert 'matplotlib.figure' not in sys.modules\n"
        "picture.render(drawing, '.png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_two_hundred_million_pixels_are_the_most() -> None:
    drawing = Drawing(200.0, 100.0, (), ("DejaVu Sans",), ())
    with pytest.raises(UsageError) as caught:
        render(drawing, ".png", dpi=101)
    assert caught.value.hint == "--dpi 100, or .svg"


def test_a_title_has_two_lines_and_is_cut_at_their_end() -> None:
    drawing = page([[[weights_of("a")]]], "word " * 40)
    first, second = [mark for mark in drawing.marks if isinstance(mark, Word) and "word" in mark.text]
    assert second.text.endswith("word…")
    assert first.y < second.y < panels_top(drawing)


def panels_top(drawing: Drawing) -> float:
    return min(mark.box.y for mark in drawing.marks if isinstance(mark, Image))


def test_numbers_are_black_on_light_cells_and_white_on_dark_ones() -> None:
    tenths = grid_of("w", np.arange(11)[None] / 10, ["a"], list("abcdefghijk"), limits=(0, 1))
    numbers = [mark for mark in words(page([[[tenths]]], "t"), turned=False) if mark.size == 7]
    ink = {float(mark.text): mark.colour for mark in numbers}
    assert [value for value, colour in ink.items() if colour == "white"] == [0, 0.1, 0.2, 0.3, 0.4]
    assert [value for value, colour in ink.items() if colour == "black"] == [0.5, 0.6, 0.7, 0.8, 0.9, 1]


CMAPS = ["viridis", "magma", "RdBu_r", "Greys", "jet", "coolwarm"]


@pytest.mark.parametrize("cmap", CMAPS)
@pytest.mark.parametrize("is_dark", [False, True])
def test_numbers_are_readable_on_every_colour(cmap: str, is_dark: bool) -> None:
    hundred = grid_of("w", np.arange(100).reshape(10, 10) / 99, list("abcdefghij"), list("abcdefghij"))
    drawing = page([[[hundred]]], "t", Canvas(cmap=cmap, is_dark=is_dark))
    (colours,) = panels(drawing)
    numbers = [mark for mark in drawing.marks if isinstance(mark, Word) and mark.colour is not None]
    assert len(numbers) == 100
    for number, colour in zip(numbers, colours.reshape(-1, 4), strict=True):
        light = luminance(colour)
        contrast = (light + 0.05) / 0.05 if number.colour == "black" else 1.05 / (light + 0.05)
        assert contrast >= 4.5  # WCAG 2.1, level AA
        assert number.size >= 5


def luminance(colour: npt.NDArray[np.uint8]) -> float:
    """Relative luminance: WCAG 2.1."""
    parts = colour[:3] / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_weights_are_drawn_in_viridis_and_scores_in_red_and_blue() -> None:
    assert colour_scale([many(2)], None).cmap.name == "viridis"
    assert colour_scale([replace(many(2), is_log=True, limits=(0.001, 1))], None).cmap.name == "magma"
    scores = grid_of("scores", np.array([[-1.0, 1.0]]), ["a"], ["a", "b"])
    assert colour_scale([scores], None).cmap.name == "RdBu_r"


@pytest.mark.parametrize(
    ("high", "value", "number"),
    [
        (0.000099, 0.0000123, "1.2e−05"),
        (0.0001, 0.0000123, "0.00001"),
        (0.099, 0.01234, "0.012"),
        (0.099, -2.96e-07, "0.000"),
        (0.1, 0.01234, "0.01"),
        (99.0, 12.345, "12.35"),
        (100.0, 12.345, "12"),
        (99_999.0, 12345.6, "12346"),
        (100_000.0, 12345.6, "1.2e+04"),
    ],
)
def test_numbers_in_cells_are_no_longer_than_those_of_the_limits(
    high: float, value: float, number: str
) -> None:
    cells = grid_of("w", np.array([[value]]), ["a"], ["a"], limits=(0, high))
    assert colour_scale([cells], None).number(value) == number


@pytest.mark.parametrize(
    ("limits", "diverges"),
    [((-1, 2), True), ((0, 2), False), ((-2, 0), False), ((1, 2), False), ((-2, -1), False)],
)
def test_colours_diverge_in_tables_and_pictures_if_zero_is_inside_the_range(
    limits: tuple[float, float], diverges: bool
) -> None:
    grid = grid_of("scores", np.linspace(*limits, 4).reshape(2, 2), ["a", "b"], ["a", "b"])
    (cells,) = panels(page([[[grid]]], "scores"))
    assert (colour_scale([grid], None).cmap.name == "RdBu_r") == diverges
    shades, of_one_sign = (ramp("truecolor", Theme.DARK, span) for span in (grid.limits, (0, 1)))
    assert (len(shades) > len(of_one_sign)) == diverges
    assert len({tuple(cell) for cell in cells.reshape(-1, 4)}) == 4
