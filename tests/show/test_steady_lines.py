"""Columns stay where they are whatever script the labels have: with Hebrew, Hindi, Korean, flags."""

import io
import re
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.panel import Panel

from attn_cli.grid import Grid
from attn_cli.safe_text import LEFT_TO_RIGHT, is_right_to_left, label
from attn_cli.show.grids import grid_of
from attn_cli.show.terminal.cell_map import CellMap
from attn_cli.show.terminal.lists import Paragraph, TextTable
from attn_cli.show.terminal.matrices import Matrices
from attn_cli.show.terminal.steady_lines import has_uneven_width
from attn_cli.show.terminal.view import View
from tests.support.worlds import attn, attn_in_terminal

TOKENS = ("שלום", "עולם!", "3", "abc", "مرحبا", "٣", "ab-שלום", "\u0bc8க")
VIEWS: dict[str, Callable[[Grid], View]] = {
    "table": Matrices,
    "largest": lambda grid: Matrices(grid, top=3),
    "map": CellMap,
    "list": lambda grid: TextTable(["text", "number"], [(row, "7") for row in grid.rows], right={1}),
    "paragraph": lambda grid: Paragraph([f"{place} {row}" for place, row in enumerate(grid.rows)]),
}


def grid(tokens: tuple[str, ...] = TOKENS) -> Grid:
    numbers = np.linspace(0, 1, len(tokens) ** 2).reshape(len(tokens), -1)
    return grid_of("weights", numbers, tokens, tokens, limits=(0.0, 1.0))


def printed(view: View, width: int = 100, *, soft_wrap: bool = False, term: str = "xterm") -> str:
    console = Console(
        width=width,
        file=io.StringIO(),
        color_system=None,
        force_terminal=True,
        soft_wrap=soft_wrap,
        _environ={"TERM": term},
    )
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("width", [40, 100])
def test_a_mark_follows_every_word_from_right_to_left(name: str, width: int) -> None:
    found = printed(VIEWS[name](grid()), width)
    for line in found.splitlines():
        words = [word for word in line.split() if is_right_to_left(word)]
        assert all(word.endswith(LEFT_TO_RIGHT) for word in words), line
        assert line.startswith(LEFT_TO_RIGHT) == bool(words)


@pytest.mark.parametrize("name", VIEWS)
def test_marks_have_no_width_and_change_nothing_else(name: str) -> None:
    found = printed(VIEWS[name](grid(TOKENS[:7])))
    plain = printed(VIEWS[name](grid(TOKENS[:7])), soft_wrap=True)
    if name in {"table", "list", "paragraph"}:  # not narrower than in a file
        assert found.replace(LEFT_TO_RIGHT, "") == plain
    assert LEFT_TO_RIGHT not in plain
    assert max(map(cell_len, found.splitlines())) <= 100


def test_a_table_of_other_scripts_has_neither_marks_nor_a_moved_cursor() -> None:
    found = printed(Matrices(grid(("naïve", "日本", "Кот", "ไทย", "e\u0301", "…"))))
    assert LEFT_TO_RIGHT not in found
    assert "\x1b[" not in re.sub(r"\x1b\[\d*m", "", found)


UNEVEN = ("का", "🇩🇪", "👍🏽", "❤\ufe0f", "👩\u200d🚀", "\u1161", "กำ", "\U0001f1e9")


def test_after_a_word_of_uneven_width_the_cursor_goes_to_the_next_column() -> None:
    tokens = (*UNEVEN, "end")
    found = printed(Matrices(grid(tokens), digits=2), 120)
    header, *rows = [line for line in found.splitlines() if "end" in line or re.match(r"(\x1b\[2m)?\d", line)]
    for line in (header, *rows):
        column = 0
        moves = re.split(r"\x1b\[(\d+)G", re.sub(r"\x1b\[\d*m", "", line))
        for text, move in pairwise(moves):
            if not move.isdecimal() or not text:
                continue
            column += cell_len(text)
            assert int(move) == column + 1, line
    assert all(f"{label(token)}\x1b[" in found for token in UNEVEN)


@pytest.mark.parametrize("token", UNEVEN)
def test_terminals_disagree_on_these(token: str) -> None:
    assert has_uneven_width(label(token))


def test_no_cursor_moves_in_a_panel_on_a_dumb_terminal_or_in_a_file() -> None:
    view = Matrices(grid(UNEVEN))
    console = Console(width=100, file=io.StringIO(), force_terminal=True, color_system=None)
    console.print(Panel(view))
    assert isinstance(console.file, io.StringIO)
    for found in (
        console.file.getvalue(),
        printed(view, term="dumb"),
        printed(view, soft_wrap=True),
    ):
        assert not re.search(r"\x1b\[\d+G", found)


def test_a_pipe_has_no_marks_and_remarks_in_a_terminal_have() -> None:
    line = ("inspect", "שלום עולם שלום עולם", "-m", "random", "--causal", "-s", "weights")
    assert LEFT_TO_RIGHT not in attn(*line).out + attn(*line).err
    assert LEFT_TO_RIGHT in attn_in_terminal(*line).out


@pytest.mark.parametrize("encoding", ["iso8859-8", "ascii"])
def test_an_encoding_without_the_mark_goes_without(encoding: str) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(width=80, file=file, force_terminal=True, color_system=None).print(Matrices(grid(("שלום", "a"))))
    file.flush()
    assert isinstance(file.buffer, io.BytesIO)
    assert b"200e" not in file.buffer.getvalue()


def test_a_text_as_a_picture_keeps_the_order_of_its_script() -> None:
    line = ("inspect", "שלום עולם 3 abc", "-m", "random", "--heads", "0.1", "--as-text")
    shown = attn_in_terminal(*line).out.splitlines()[3]
    assert LEFT_TO_RIGHT not in shown
    assert re.search("שלום\\[\u2066\\.\\d\\d\u2069\\] עולם", shown)
    assert "\u2066" not in attn(*line).out
