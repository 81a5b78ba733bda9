"""Progress of long tasks: a bar on a terminal, lines elsewhere, nothing with --quiet."""

import io
import math
import re
from pathlib import Path
from unittest import mock

import pytest
from rich.console import Console

from attn_cli.cli import run
from attn_cli.commands.results import progress
from attn_cli.commands.results.progress import clock, download
from attn_cli.show.terminal.progress import Bar, wrapped
from attn_cli.training import publishing
from attn_cli.training.loop import Progress
from attn_cli.training.saved_state import RunPosition
from tests.support.small_run import OPTIONS, story
from tests.support.worlds import attn, world


class Terminal(io.StringIO):
    """Standard error as a terminal."""

    def isatty(self) -> bool:
        return True


def trained(stderr: io.StringIO, directory: Path, *options: str, **environment: str) -> str:
    here = world(**environment)
    here.stderr = stderr
    text = str(story(directory / "story.txt"))
    assert run(["train", text, "-o", str(directory / "m"), *OPTIONS, "--steps", "9", *options], here) == 0
    return stderr.getvalue()


def test_a_terminal_gets_a_bar_that_is_removed_at_the_end(tmp_path: Path) -> None:
    shown = trained(Terminal(), tmp_path, TERM="xterm-256color", COLUMNS="120")
    assert "100%" in shown
    assert re.search(r"0:00 left · step 9 · [\d,]+ tokens/s", shown)
    assert re.search(r"loss \d\.\d\d bits per character · held-out text \d\.\d\d", shown)
    assert "\x1b[2K" in shown  # the bar's line is cleared
    assert "previous-token" not in shown


def test_watch_shows_the_best_heads_and_a_summary(tmp_path: Path) -> None:
    shown = trained(Terminal(), tmp_path, "--watch", TERM="xterm-256color", COLUMNS="120")
    assert re.search(r"previous-token head \d\.\d 0\.\d\d · induction head \d\.\d 0\.\d\d", shown)
    change = r"0\.\d\d → 0\.\d\d \(head \d\.\d\)"
    assert re.search(f"best heads, start → end: previous-token {change}, induction {change}\n", shown)
    assert "here on short held-out passages that occur twice, below on random tokens\n" in shown


def test_watch_says_nothing_of_heads_where_only_the_evaluation_was_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = ("train", story(tmp_path / "story.txt"), "-o", tmp_path / "m", *OPTIONS, "--steps", "3")
    with monkeypatch.context() as patched:
        patched.setattr(publishing, "_publish", mock.Mock(side_effect=KeyboardInterrupt))
        assert (killed := attn(*options)).status == 130, killed.err
    answer = attn(*options, "--resume", "--watch")
    assert (answer.status, "best heads" in answer.err) == (0, False), answer.err


@pytest.mark.parametrize("width", [40, 80])
def test_training_phrases_are_not_truncated_on_a_narrow_terminal(width: int, tmp_path: Path) -> None:
    shown = trained(Terminal(), tmp_path, "--watch", TERM="xterm-256color", COLUMNS=str(width))
    lines = [re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", line).strip() for line in re.split(r"[\r\n]", shown)]
    assert "…" not in shown
    assert any(re.search(r"induction head \d\.\d 0\.\d\d$", line) for line in lines)


def test_a_pipe_gets_lines_without_control_characters(tmp_path: Path) -> None:
    shown = trained(io.StringIO(), tmp_path)
    assert all(character.isprintable() for line in shown.splitlines() for character in line)
    last = next(line for line in reversed(shown.splitlines()) if "step 9" in line)
    phrases = (
        r"100% · 0:00 left · step 9 · [\d,]+ tokens/s · loss \d\.\d\d bits per character · "
        r"held-out text \d\.\d\d"
    )
    assert re.fullmatch(phrases, last)


def test_a_pipe_gets_a_line_every_five_seconds_beside_the_first_and_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(progress, "monotonic", lambda: now)
    here = world()
    with progress.reporter(here, 2.0) as report:
        for step, now in enumerate((0.0, 1.0, 4.9, 5.0, 7.0, 10.1, 10.2), 1):
            position = RunPosition(step, now, step * 10)
            report.step(Progress(position, step / 7, loss=2 * math.log(2), held_out=4 * math.log(2)))
    lines = vars(here)["stderr"].getvalue().splitlines()
    assert [re.findall(r"step (\d)", line)[0] for line in lines] == ["1", "4", "6", "7"]
    assert all("loss 1.00 bits per character · held-out text 2.00" in line for line in lines)


@pytest.mark.parametrize("stderr", [Terminal(), io.StringIO()])
def test_quiet_means_quiet(stderr: io.StringIO, tmp_path: Path) -> None:
    assert trained(stderr, tmp_path, "--quiet", "--watch") == ""


def test_words_are_not_markup() -> None:
    here = world(TERM="xterm")
    here.stderr = Terminal()
    assert here.desk is not None
    with Bar(here.desk) as bar:
        bar.show(0.5, ["[bold]half[/bold] \x1b[31m"])
    assert "[bold]half[/bold] \\x1b[31m" in here.stderr.getvalue()


def test_phrases_share_a_line_if_they_fit() -> None:
    assert wrapped(["one", "two", "three"], 9) == ["one · two", "three"]
    assert wrapped(["one", "two", "three"], 8) == ["one", "two", "three"]
    assert wrapped(["longer than that"], 8) == ["longer than that"]


def downloaded(stderr: io.StringIO, *, is_quiet: bool = False) -> str:
    here = world(TERM="xterm")
    here.stderr, here.is_quiet = stderr, is_quiet
    with download(here, "org/small") as watch:
        watch("model.safetensors", 45_000_000, 90_900_000)
        watch("[b]config.json", 90_900_000, 90_900_000)
    return stderr.getvalue()


def test_a_download_is_a_bar_on_a_terminal_and_a_line_at_its_end() -> None:
    shown = downloaded(Terminal())
    assert "[b]config.json · 90.9 MB of 90.9 MB" in shown
    assert shown.endswith("downloaded org/small: 90.9 MB\n")


def test_a_download_into_a_pipe_is_one_line() -> None:
    assert downloaded(io.StringIO()) == "downloaded org/small: 90.9 MB\n"


def test_a_quiet_download_prints_nothing() -> None:
    assert downloaded(Terminal(), is_quiet=True) == ""


def test_without_a_download_nothing_is_printed() -> None:
    here = world()
    with download(here, "org/small"):
        pass
    assert vars(here)["stderr"].getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, "0:00"), (61.4, "1:01"), (3599.6, "1:00:00"), (3723.0, "1:02:03")]
)
def test_times_are_formatted_as_on_a_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize(("width", "has_bar"), [(59, False), (60, True)])
def test_a_narrow_terminal_has_words_and_no_bar(width: int, *, has_bar: bool) -> None:
    stderr = Terminal()
    with Bar(Console(file=stderr, width=width, force_terminal=True)) as bar:
        bar.show(0.5, ["half"])
    assert "half" in stderr.getvalue()
    assert ("━" in stderr.getvalue()) is has_bar


@pytest.mark.parametrize("width", [20, 30, 80])
def test_the_percentage_is_whole_however_narrow_the_terminal(width: int) -> None:
    stderr = Terminal()
    with Bar(Console(file=stderr, width=width, force_terminal=True, color_system=None)) as bar:
        bar.show(1.0, ["model.safetensors", "1,234.5 MB of 5,000.0 MB"])
    assert "100% model.saf" in stderr.getvalue()


def test_a_bar_comes_once_work_has_taken_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 7.0
    monkeypatch.setattr(progress, "monotonic", lambda: now)
    here = world(TERM="xterm")
    here.stderr = Terminal()
    with progress.measuring(here) as watch:
        now = 7.4
        watch(1, 10)
        assert here.stderr.getvalue() == ""
        now = 7.6
        watch(2, 10)
        assert "%" in here.stderr.getvalue()
