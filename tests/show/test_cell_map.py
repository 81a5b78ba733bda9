"""The map of all heads at 80 columns: readable golden files."""

from pathlib import Path

import numpy as np
import pytest

from attn_cli.grid import Grid
from attn_cli.show.grids import grid_of
from attn_cli.show.terminal.cell_map import CellMap
from tests.show.test_terminal import coloured, endless, plain, printed

GOLDEN = Path(__file__).parent / "golden"


def heads(layers: int, count: int, high: float = 1.0) -> Grid:
    """The strongest head moves one to the right with each layer; head 0.1 has no value."""
    apart = np.abs(np.arange(layers)[:, None] - np.arange(count))
    values = high * np.maximum(0, 1 - apart / (count / 4))
    names = [list(map(str, range(size))) for size in (layers, count)]
    seen = np.ones((layers, count), dtype=bool)
    seen[0, 1] = False
    title, limits = "induction, layer × head", (0.0, high)
    return grid_of(title, values, names[0], names[1], seen, limits, are_tokens=False)


def drawn(drawing: Grid, width: int = 80, digits: int = 2) -> list[str]:
    console = plain(width)
    console.print(CellMap(drawing, digits=digits))
    return [line.rstrip() for line in printed(console).splitlines()]


@pytest.mark.parametrize("size", [12, 32])
def test_every_head_is_in_view_at_80_columns(size: int) -> None:
    golden = (GOLDEN / f"heads-{size}.txt").read_text("utf-8")
    assert "\n".join(drawn(heads(size, size))) + "\n" == golden
    assert max(map(len, golden.splitlines())) <= 80


def test_numbers_lose_decimals_before_they_go() -> None:
    assert drawn(heads(1, 12, 4.0))[2].split("0.00")[0] == "0 █4.00    ·░1.33 "
    assert drawn(heads(1, 16, 4.8))[2].startswith("0 █4.8   ·▒2.4░1.2 0.0")
    assert drawn(heads(1, 16, 400.0))[2].startswith("0 █400   ·▒200░100   0")
    assert drawn(heads(1, 24, 4.0))[2].endswith("0 ██ ·▓▓▒▒░░")


def test_what_is_within_one_keeps_two_decimals_as_long_as_it_can() -> None:
    assert drawn(heads(1, 16))[2].startswith("0 █1.0   ·▒.50░.25 .00")


def test_as_many_decimals_as_fit_are_shown_up_to_the_requested() -> None:
    assert drawn(heads(1, 5), digits=0)[2] == "0 █1 · 0 0 0"
    assert drawn(heads(1, 6, 0.75), digits=3)[2] == "0 █0.750     · 0.000 0.000 0.000 0.000"


def test_cells_are_one_wide_where_two_do_not_fit() -> None:
    lines = drawn(heads(2, 64))
    assert lines[1] == "  0   4   8   12  16  20  24  28  32  36  40  44  48  52  56  60"
    assert lines[2] == "0 █·██▓▓▓▒▒▒░░░"
    assert lines[-1] == "to see the numbers: --json, -o FILE.csv, or a width of 258"


def test_what_is_still_too_wide_continues_below() -> None:
    lines = drawn(heads(1, 100), width=60)
    assert lines[1] == "  0   4   8   12  16  20  24  28  32  36  40  44  48  52  56"
    assert lines[3].split()[0] == "58"
    assert max(map(len, lines)) <= 60


def test_a_name_without_room_is_left_out() -> None:
    assert drawn(heads(1, 101), width=104)[1].split()[-1] == "96"


def test_a_file_has_all_numbers_and_names_with_one_row_per_line() -> None:
    console = endless(60)
    console.print(CellMap(heads(2, 64), digits=2))
    _, names, *rows = printed(console).splitlines()
    assert names.split() == [str(number) for number in range(64)]
    assert [row.count(".") for row in rows] == [63, 64]
    assert rows[1].startswith("1 █0.94█1.00█0.94")


def test_what_fits_in_a_terminal_is_the_same_in_a_file() -> None:
    console = endless(80)
    console.print(CellMap(heads(12, 12)))
    assert [line.rstrip() for line in printed(console).splitlines()] == drawn(heads(12, 12))


def test_a_file_has_the_decimals_that_were_asked_for() -> None:
    console = endless(80)
    console.print(CellMap(heads(1, 16, 4.8), digits=3))
    assert printed(console).splitlines()[2].startswith("0 █4.800     ·▒2.400░1.200 0.000")


def test_names_have_room_above_numbers_without_decimals() -> None:
    console = endless(80)
    console.print(CellMap(heads(1, 12), digits=0))
    assert printed(console).splitlines()[1].split() == [str(number) for number in range(12)]


def test_colours_replace_glyphs() -> None:
    console = coloured(80, "truecolor")
    console.print(CellMap(heads(1, 32)))
    assert "\x1b[38;5;16;48;2;253;216;153m  \x1b[0m\x1b[2m ·\x1b[0m" in printed(console)


def test_a_map_of_nothing_is_all_dots() -> None:
    nothing = grid_of(
        "special", np.zeros((1, 2)), ["3"], ["0", "1"], np.zeros((1, 2), bool), are_tokens=False
    )
    assert drawn(nothing) == ["special · 1 × 2 · range 0 to 1", "   0 1", "3  · ·"]


def test_numbers_go_without_decimals_from_ten_on() -> None:
    assert drawn(heads(1, 20, 10.0))[2].startswith("0 █10  ·▓ 6▒ 4")
    assert drawn(heads(1, 20, 9.0))[2].startswith("0 ██ ·▓▓▒▒")


def test_narrow_cells_have_as_many_names_as_there_is_room_for() -> None:
    names = [f"{number:04}" for number in range(70)]
    narrow = grid_of("x", np.zeros((1, 70)), ["0"], names, limits=(0, 1), are_tokens=False)
    assert drawn(narrow)[1] == "  " + " ".join(names[::5])
