"""Views are Rich renderables: their container determines their width."""

import io

import numpy as np
import pytest
from rich.console import Console, Group
from rich.measure import Measurement
from rich.panel import Panel

from attn_cli.grid import Grid
from attn_cli.show.grids import grid_of
from attn_cli.show.terminal.cell_map import CellMap
from attn_cli.show.terminal.lists import Paragraph, TextTable
from attn_cli.show.terminal.matrices import Matrices
from attn_cli.show.terminal.view import View
from tests.show.test_terminal import plain, printed


def uniform(size: int) -> Grid:
    labels = [f"t{number}" for number in range(size)]
    return grid_of("weights 0.0", np.full((size, size), 1 / size), labels, labels, limits=(0, 1))


VIEWS = [
    Matrices(uniform(3)),
    Matrices(uniform(40)),
    Matrices(uniform(3), uniform(3)),
    Matrices(uniform(9), top=9),
    CellMap(uniform(12)),
    TextTable(("head", "current-\ntoken", "share"), [("2.6", "0.85", "0.10")], rest="--json"),
    Paragraph(["storybook", "gpt2", "4 layers × 8 heads", "6 tokens"], between=" · "),
]


def drawn(view: object, console: Console) -> list[str]:
    console.print(view)
    return printed(console).splitlines()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [24, 40])
def test_a_view_in_a_panel_is_as_one_on_a_narrower_console(view: View, width: int) -> None:
    framed = drawn(Panel(view), plain(width + 4))[1:-1]
    assert [line[2:-2].rstrip() for line in framed] == [line.rstrip() for line in drawn(view, plain(width))]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_may_be_given_a_part_of_the_console(view: View) -> None:
    console = plain(80)
    console.print(view, width=30)
    assert printed(console) == "".join(f"{line}\n" for line in drawn(view, plain(30)))


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_at_most_as_wide_as_its_longest_line(view: View) -> None:
    longest = max(map(len, drawn(view, plain(60))))
    assert Measurement.get(plain(60), plain(60).options, view) == (1, longest)


def test_views_stand_one_below_the_other_in_a_group() -> None:
    one, other = VIEWS[0], VIEWS[-1]
    together = drawn(Group(one, other), plain(60))
    assert together == drawn(one, plain(60)) + drawn(other, plain(60))


def test_a_view_can_be_drawn_again_for_another_width() -> None:
    view = VIEWS[1]
    assert drawn(view, plain(200)) != drawn(view, plain(40)) == drawn(view, plain(40))


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_view_in_a_panel_has_the_characters_of_the_console(encoding: str) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    lines = drawn(Panel(VIEWS[3]), Console(width=60, file=file, color_system=None))
    assert ("→" if encoding == "utf-8" else "->") in lines[2]
