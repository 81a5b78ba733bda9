"""How far a training is: a bar for a terminal, lines for everything else, nothing for the quiet."""

import io
from pathlib import Path

import pytest

from attn_cli.cli import run
from attn_cli.commands.reporting import clock
from attn_cli.show.terminal.progress import Bar
from tests.training.small import OPTIONS, story
from tests.worlds import world


class Terminal(io.StringIO):
    """Standard error that someone looks at."""

    def isatty(self) -> bool:
        return True


def trained(stderr: io.StringIO, directory: Path, *options: str, **environment: str) -> str:
    here = world(**environment)
    here.stderr = stderr
    text = str(story(directory / "story.txt"))
    assert run(["train", text, "-o", str(directory / "m"), *OPTIONS, "--steps", "9", *options], here) == 0
    return stderr.getvalue()


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end(tmp_path: Path) -> None:
    shown = trained(Terminal(), tmp_path, "--watch", TERM="xterm-256color")
    assert "step 9 · loss " in shown
    assert "100%" in shown
    assert "left" in shown
    assert "\x1b[2K" in shown  # the bar's line is cleared
    assert "step 9 · previous-token " in shown


def test_a_pipe_gets_lines_without_control_characters(tmp_path: Path) -> None:
    shown = trained(io.StringIO(), tmp_path)
    assert all(character.isprintable() for line in shown.splitlines() for character in line)
    last = next(line for line in reversed(shown.splitlines()) if "step 9" in line)
    assert last.startswith("100% · step 9 · loss ")
    assert " · held-out " in last
    assert last.endswith(" · 0:00 left")


@pytest.mark.parametrize("stderr", [Terminal(), io.StringIO()])
def test_quiet_means_quiet(stderr: io.StringIO, tmp_path: Path) -> None:
    assert trained(stderr, tmp_path, "--quiet", "--watch") == ""


def test_words_are_no_markup() -> None:
    here = world(TERM="xterm")
    here.stderr = Terminal()
    assert here.desk is not None
    with Bar(here.desk) as bar:
        bar.show(0.5, "[bold]half[/bold] \x1b[31m")
        bar.line("[/bold] above")
    assert "[bold]half[/bold] \\x1b[31m" in here.stderr.getvalue()
    assert "[/bold] above" in here.stderr.getvalue()


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, "0:00"), (61.4, "1:01"), (3599.6, "1:00:00"), (3723.0, "1:02:03")]
)
def test_time_reads_as_on_a_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
