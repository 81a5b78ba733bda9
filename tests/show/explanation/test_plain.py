"""A page as a text file: the lines of a pipe, at most 100 wide, without control characters."""

import re
from pathlib import Path

from rich.cells import cell_len

from tests.support.worlds import attn

HEAD = ["-l", "1", "-H", "2", "--query", "5", "--key", "2"]


def test_a_text_file_says_what_a_pipe_gets_in_lines_of_at_most_100(tmp_path: Path) -> None:
    text = "the cat sat on the mat"
    assert attn("explain", text, *HEAD, "-o", tmp_path / "page.txt").status == 0
    page = (tmp_path / "page.txt").read_text()
    assert max(map(cell_len, page.splitlines())) <= 100
    assert page.split() == attn("explain", text, *HEAD).out.split()
    assert page.endswith("\n")
    assert not re.search(r"[ \t]+$", page, re.MULTILINE)


def test_a_text_file_is_the_same_in_a_terminal_of_any_width(tmp_path: Path) -> None:
    files = [tmp_path / "narrow.txt", tmp_path / "wide.txt"]
    for file, width in zip(files, ("40", "200"), strict=True):
        assert attn("explain", "the cat sat on the mat", *HEAD, "-o", file, COLUMNS=width).status == 0
    assert files[0].read_text() == files[1].read_text()


def test_control_characters_of_tokens_are_spelled_out(tmp_path: Path) -> None:
    text = "the \x1b[31mcat\x07 \u202esat <b> & $x$"
    where = ["-m", "random", "-l", "0", "-H", "0", "--top", "40"]
    assert attn("explain", text, *where, "-o", tmp_path / "page.txt").status == 0
    page = (tmp_path / "page.txt").read_text()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", page)
    assert "<" in page
    assert "&lt;" not in page
