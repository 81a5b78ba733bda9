"""Shades: zero is least prominent and lightness alone conveys the order, on dark and light backgrounds."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from attn_cli.grid import Grid
from attn_cli.show.grids import grid_of
from attn_cli.show.scale import Limits, on_unmasked
from attn_cli.show.terminal import shades
from attn_cli.show.terminal.cell_map import CellMap
from attn_cli.show.terminal.matrices import Matrices
from attn_cli.show.terminal.view import Sheet, View
from attn_cli.vocabulary import Theme
from tests.show.test_terminal import CAT, CAUSAL, coloured, drawn, printed, weights

DARK, LIGHT = Theme.DARK, Theme.LIGHT
FIXED = ("truecolor", "256")  # colours that no palette of the user changes
EVERY = (*FIXED, "standard")
ABOVE, BELOW, AROUND = (0.0, 1.0), (-1.0, 0.0), (-1.0, 1.0)

PALETTES = {
    "xterm": "000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5 7f7f7f ffffff",
    "Linux": "000000 aa0000 00aa00 aa5500 0000aa aa00aa 00aaaa aaaaaa 555555 ffffff",
    "Windows": "0c0c0c c50f1f 13a10e c19c00 0037da 881798 3a96dd cccccc 767676 f2f2f2",
    "GNOME": "2e3436 cc0000 4e9a06 c4a000 3465a4 75507b 06989a d3d7cf 555753 eeeeec",
    "macOS": "000000 990000 00a600 999900 0000b2 b200b2 00a6b2 bfbfbf 666666 e6e6e6",
}
HUES = ("red", "green", "yellow", "blue", "magenta", "cyan")
NAMES = ("black", *HUES, "white", "bright_black", "bright_white")


def luminance(colour: Color, palette: str) -> float:
    """WCAG 2.1 relative luminance, 0 to 1; the 16 colours are those of the palette."""
    named = dict(zip(NAMES, PALETTES[palette].split(), strict=True)).get(colour.name)
    parts = bytes.fromhex(named) if named else colour.get_truecolor()
    shares = [part / 255 for part in parts]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def lightness(colour: Color, palette: str = "xterm") -> float:
    """CIE 1976 L*, 0 to 100."""
    light = luminance(colour, palette)
    return 116 * light ** (1 / 3) - 16 if light > 216 / 24389 else light * 24389 / 27


def contrast(style: Style, palette: str = "xterm") -> float:
    """The contrast of the text with its background: WCAG 2.1, 1 to 21."""
    assert style.color
    assert style.bgcolor
    lights = [luminance(colour, palette) for colour in (style.color, style.bgcolor)]
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def from_zero(colours: str, theme: Theme, limits: Limits) -> list[list[Color]]:
    """The backgrounds of each arm of a ramp, those next to zero first."""
    ramp = [shade.style.bgcolor for shade in shades.ramp(colours, theme, limits)]
    middle = len(ramp) // 2
    arms = {ABOVE: [ramp], BELOW: [ramp[::-1]], AROUND: [ramp[middle:], ramp[middle::-1]]}[limits]
    return [[colour for colour in arm if colour] for arm in arms]


def segments(view: View, colours: str | None = "truecolor") -> list[Segment]:
    """The segments below the title, which takes one line."""
    _, *lines = view.lines(Sheet(80, "utf-8", colours, theme=view.theme))
    return [segment for line in lines for segment in line]


def style_of(text: str, view: View, colours: str | None = "truecolor") -> Style:
    """The style of the only segment of a line that contains the text."""
    (found,) = {segment.style for segment in segments(view, colours) if text in segment.text}
    return found or Style.null()


def row(*values: float, limits: Limits | None = None) -> Grid:
    return grid_of("x", np.array([values]), ["a"], [f"k{i}" for i in range(len(values))], limits=limits)


@pytest.mark.parametrize("colours", FIXED)
@pytest.mark.parametrize("limits", [ABOVE, BELOW, AROUND])
def test_what_is_further_from_zero_is_lighter_on_dark_and_darker_on_light(
    colours: str, limits: Limits
) -> None:
    for arm in from_zero(colours, DARK, limits):
        assert all(lightness(one) < lightness(other) for one, other in pairwise(arm))
    for arm in from_zero(colours, LIGHT, limits):
        assert all(lightness(one) > lightness(other) for one, other in pairwise(arm))


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("limits", [ABOVE, BELOW, AROUND])
def test_sixteen_colours_are_in_the_order_of_lightness_in_every_usual_palette(
    palette: str, limits: Limits
) -> None:
    for arm in from_zero("standard", DARK, limits):
        assert all(lightness(one, palette) < lightness(other, palette) for one, other in pairwise(arm))
    for arm in from_zero("standard", LIGHT, limits):
        assert all(lightness(one, palette) > lightness(other, palette) for one, other in pairwise(arm))


def lab(colour: Color, palette: str) -> npt.NDArray[np.floating]:
    """CIE 1976 L*a*b* with the white point D65."""
    named = dict(zip(NAMES, PALETTES[palette].split(), strict=True))[colour.name]
    shares = np.array([part / 255 for part in bytes.fromhex(named)])
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ratios = np.array(to_xyz) @ linear / [0.9505, 1.0, 1.089]
    x, y, z = np.where(ratios > 216 / 24389, np.cbrt(ratios), (ratios * 24389 / 27 + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("limits", [ABOVE, BELOW, AROUND])
def test_neighbours_of_sixteen_colours_can_be_told_apart_in_every_usual_palette(
    palette: str, theme: Theme, limits: Limits
) -> None:
    for arm in from_zero("standard", theme, limits):
        for one, other in pairwise(arm):
            distance = np.linalg.norm(lab(one, palette) - lab(other, palette))
            assert distance > 20  # white and bright white are 9 apart in xterm, 8 in GNOME


@pytest.mark.parametrize("colours", FIXED)
@pytest.mark.parametrize("limits", [ABOVE, BELOW, AROUND])
def test_a_ramp_begins_close_to_the_background_and_ends_far_from_it(colours: str, limits: Limits) -> None:
    for arm in from_zero(colours, DARK, limits):
        assert lightness(arm[0]) < 21
        assert lightness(arm[-1]) > 84
    for arm in from_zero(colours, LIGHT, limits):
        assert lightness(arm[0]) > 93
        assert lightness(arm[-1]) < 31


@pytest.mark.parametrize(("colours", "steps", "apart"), [("truecolor", 33, 1), ("256", 5, 5)])
@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_numbers_of_equal_size_are_equally_light_in_two_hues(
    colours: str, steps: int, apart: float, theme: Theme
) -> None:
    above, below = from_zero(colours, theme, AROUND)
    assert len(above) == len(below) >= steps
    for one, other in zip(above, below, strict=True):
        assert abs(lightness(one) - lightness(other)) < apart
        (red, _, blue), (other_red, _, other_blue) = one.get_truecolor(), other.get_truecolor()
        assert red > blue
        assert other_red < other_blue


@pytest.mark.parametrize("colours", FIXED)
@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("limits", [ABOVE, BELOW, AROUND])
def test_text_on_a_shade_can_be_read(colours: str, theme: Theme, limits: Limits) -> None:
    for shade in shades.ramp(colours, theme, limits):
        assert not shade.style.bgcolor or contrast(shade.style) >= 4.5  # WCAG 2.1, 1.4.3


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("limits", [ABOVE, BELOW, AROUND])
def test_text_on_sixteen_colours_can_be_read_in_every_usual_palette(
    palette: str, theme: Theme, limits: Limits
) -> None:
    for shade in shades.ramp("standard", theme, limits):
        assert not shade.style.bgcolor or contrast(shade.style, palette) >= 3.5  # GNOME's black is a grey


@pytest.mark.parametrize("colours", [*EVERY, None])
@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("other", [0.75, -0.75])
def test_a_number_that_is_written_as_zero_is_dim_and_has_no_background(
    colours: str | None, theme: Theme, other: float
) -> None:
    for zero in (0.0, 0.004, -0.004):
        assert style_of("0.00", Matrices(row(other, zero), theme=theme), colours) == Style(dim=True)


@pytest.mark.parametrize(
    ("digits", "zero", "number"), [(2, 0.0049, 0.0051), (1, 0.049, 0.051), (0, 0.49, 0.51)]
)
def test_the_digits_that_are_shown_decide_what_is_zero(digits: int, zero: float, number: float) -> None:
    for value, is_quiet in ((zero, True), (number, False)):
        (_, style) = [
            segment.style for segment in segments(Matrices(row(1.5, value, limits=(0, 1.5)), digits=digits))
        ][-2:]
        assert style
        assert (style.bgcolor is None) == is_quiet == bool(style.dim)


@pytest.mark.parametrize("colours", EVERY)
@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("limits", [ABOVE, BELOW, AROUND])
def test_the_furthest_from_zero_has_the_last_shade(colours: str, theme: Theme, limits: Limits) -> None:
    for limit in filter(None, limits):
        (*_, loudest), *others = from_zero(colours, theme, limits)
        ends = [loudest, *(arm[-1] for arm in others)]
        style = style_of(f"{limit:.2f}", Matrices(row(limit, 0.25, limits=limits), theme=theme), colours)
        assert style.bgcolor in ends
        assert bool(style.bold) == (colours == "standard")


@pytest.mark.parametrize("colours", EVERY)
@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_a_difference_has_a_quiet_middle(colours: str, theme: Theme) -> None:
    difference = row(3.0, 0.02, -0.02, -3.0)
    for text in ("0.02", "-0.02"):
        assert style_of(text, Matrices(difference, theme=theme), colours) == Style.null()


@pytest.mark.parametrize("colours", EVERY)
@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_a_range_below_zero_is_quiet_at_zero_too(colours: str, theme: Theme) -> None:
    bias = Matrices(row(-4.0, -2.5, -1.5, 0.0), theme=theme)
    colours_of = [style_of(text, bias, colours).bgcolor for text in ("-1.50", "-2.50", "-4.00")]
    lights = [lightness(colour) for colour in colours_of if colour]
    assert len(lights) == 3
    assert lights == sorted(lights, reverse=theme is LIGHT)
    assert style_of("0.00", bias, colours) == Style(dim=True)


def test_glyphs_tell_the_distance_from_zero_too() -> None:
    assert drawn(row(-4.0, -2.5, -1.5, 0.0))[-1] == "0 a █-4.00▓-2.50░-1.50  0.00"
    assert drawn(row(4.0, 2.5, 1.5, 0.0))[-1] == "0 a █4.00▓2.50░1.50 0.00"
    assert drawn(row(-4.0, -2.5, 2.5, 4.0))[-1] == "0 a █-4.00▓-2.50▓ 2.50█ 4.00"


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_sixteen_colours_tell_the_sign(theme: Theme) -> None:
    above, below = from_zero("standard", theme, AROUND)
    assert {colour.name for colour in above} == {"red", "yellow"}
    assert {colour.name for colour in below} == {"blue", "cyan"}


def test_a_number_is_as_prominent_below_zero_as_above() -> None:
    assert drawn(row(-2.5, -2.5))[-1] == "0 a  -2.50 -2.50"
    assert drawn(row(2.5, 2.5))[-1] == "0 a  2.50 2.50"


def test_zero_has_the_middle_shade_whatever_the_limits() -> None:
    uneven = grid_of("difference", np.array([[-3.0, 0.0, 1.0]]), ["a"], CAT, limits=(-3, 1))
    assert shades.shade_indices(uneven, 9).tolist() == [[0, 4, 6]]


def test_a_masked_cell_has_no_colour_of_a_value() -> None:
    console = coloured(80, "truecolor")
    console.print(Matrices(weights()))
    assert "\x1b[38;5;16;48;2;253;216;153m 1.00\x1b[0m\x1b[2m    ·    ·\x1b[0m\n" in printed(console)


SCORES = grid_of("scores 2.5", np.array([[1.5, -9.0, 9.0], [2.5, 1.75, 0.5], [2.0, -0.5, 1.0]]), CAT, CAT)
MASKED_LATER = on_unmasked(replace(SCORES, allowed=CAUSAL))


@pytest.mark.parametrize("colours", EVERY)
@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_scores_that_the_mask_will_hide_are_dim_and_have_no_background(colours: str, theme: Theme) -> None:
    for text in ("-9.00", " 9.00", " 0.50"):
        assert style_of(text, Matrices(MASKED_LATER, theme=theme), colours) == Style(dim=True)
    assert style_of("2.50", Matrices(MASKED_LATER, theme=theme), colours).bgcolor


def test_without_colours_scores_that_the_mask_will_hide_have_no_glyph() -> None:
    assert drawn(MASKED_LATER) == [
        "scores 2.5 · 3 × 3 · unmasked range -0.5 to 2.5",
        "           0     1     2",
        "         the   cat   sat",
        "0 the ▓ 1.50 -9.00  9.00",
        "1 cat █ 2.50▓ 1.75  0.50",
        "2 sat █ 2.00░-0.50▒ 1.00",
    ]


def test_scores_that_the_mask_will_hide_are_not_among_the_largest() -> None:
    lines = drawn(MASKED_LATER, top=1)
    assert lines[0] == "scores 2.5 · 3 × 3 · range -0.5 to 2.5"
    assert lines[1:4] == ["0 the → 0 the ▓ 1.50", "1 cat → 0 the █ 2.50", "2 sat → 0 the █ 2.00"]


def test_a_part_that_the_mask_will_hide_altogether_keeps_its_range() -> None:
    hidden = replace(SCORES, allowed=np.zeros((3, 3), dtype=bool))
    assert drawn(hidden)[0] == "scores 2.5 · 3 × 3 · range -9 to 9"
    assert drawn(hidden)[3] == "0 the   1.50 -9.00  9.00"


def test_a_mask_that_hides_nothing_changes_nothing() -> None:
    assert drawn(replace(SCORES, allowed=np.ones((3, 3), dtype=bool))) == drawn(SCORES)


@pytest.mark.parametrize(("value", "is_quiet"), [(0.0051, False), (0.0049, True)])
def test_a_map_without_numbers_is_quiet_where_two_decimals_are_zero(value: float, is_quiet: bool) -> None:
    names = [str(number) for number in range(60)]
    values = np.array([[value] + [0.024] * 59])
    grid = grid_of("x", values, ["0"], names, limits=(0, 0.024), are_tokens=False)
    _label, _space, first, *_others = segments(CellMap(grid))[1:]
    assert first.style
    assert (first.style.bgcolor is None) == is_quiet


@pytest.mark.parametrize("view", [Matrices, CellMap])
def test_a_view_is_made_for_a_theme(view: type[Matrices | CellMap]) -> None:
    grid = row(1.0, 0.5)
    backgrounds = [style_of("1.00", view(grid, theme=theme)).bgcolor for theme in (DARK, LIGHT)]
    assert [from_zero("truecolor", theme, ABOVE)[0][-1] for theme in (DARK, LIGHT)] == backgrounds


@pytest.mark.parametrize(("part", "light"), [(10, 10 / 255 / 12.92), (11, 0.0033465), (119, 0.1844750)])
def test_the_light_of_grey_is_that_of_srgb(part: int, light: float) -> None:
    """IEC 61966-2-1: linear up to 10 of 255, a power above."""
    found = shades._luminance(Color.from_rgb(part, part, part))  # noqa: SLF001
    assert found == pytest.approx(light, rel=1e-4)
