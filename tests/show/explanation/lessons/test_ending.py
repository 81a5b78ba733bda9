"""How lessons end: with a command that reads the same text, wherever it came from."""

import shlex
from pathlib import Path

import pytest

from tests.support.worlds import attn

TEXT = "the cat sat"
ROW = ["-l", "0", "-H", "1", "--query", "2", "--lesson"]


def last_lines(*words: str, stdin: str = "") -> tuple[str, list[str]]:
    """The sentence before the last command of the page, and the command's words."""
    page = attn("explain", *words, stdin=stdin)
    assert not page.status, page.err
    *_, sentence, command = page.out.splitlines()
    return sentence, shlex.split(command)


def test_a_page_in_portuguese_by_option_goes_on_in_portuguese() -> None:
    _, command = last_lines(TEXT, *ROW, "scale", "--lang", "pt")
    assert command[command.index("--lang") + 1] == "pt"
    assert "--lang" not in last_lines(TEXT, *ROW, "scale")[1]


@pytest.mark.parametrize("lesson", ["heads", "graph"])
def test_another_command_is_not_asked_for_a_language(lesson: str) -> None:
    _, command = last_lines(TEXT, *ROW, lesson, "--lang", "pt")
    assert command[:2] == ["attn", "inspect"]
    assert "--lang" not in command
    assert "pt" not in command
    assert not attn(*command[1:]).status


def test_a_text_that_looks_like_the_option_stays() -> None:
    _, command = last_lines(*ROW, "graph", "--lang", "pt", "--", "--lang pt")
    assert command[-2:] == ["--", "--lang pt"]
    assert command.count("--lang") == 0


@pytest.mark.parametrize("name", [["-"], ["--file", "-"], []])
def test_text_from_a_pipe_is_asked_for_again(name: list[str]) -> None:
    sentence, command = last_lines(*name, *ROW, "scale", stdin=TEXT)
    assert sentence.endswith("(with the same text on standard input):")
    assert command[:3] == ["attn", "explain", "-"]
    assert "standard input" not in last_lines(TEXT, *ROW, "scale")[0]


def test_a_file_is_named_again(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(TEXT)
    sentence, command = last_lines("--file", str(tmp_path / "text"), *ROW, "scale")
    assert "standard input" not in sentence
    assert command[2:4] == ["--file", str(tmp_path / "text")]
