"""The program itself: its help, its exit statuses, and its handling of errors."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console

from attn_cli import __version__
from attn_cli.cli import run
from attn_cli.commands import inspect
from attn_cli.errors import AttnError
from attn_cli.show import picture
from tests.support.worlds import attn, refused, world


def failing(error: BaseException) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> object:
        raise error

    return fail


def test_version_is_one_line() -> None:
    assert attn("--version").out == f"attn {__version__}\n"


@pytest.mark.parametrize("arguments", [("--help",), ("-h",)])
def test_attn_alone_is_its_help(arguments: tuple[str, ...]) -> None:
    assert attn(*arguments) == attn()
    assert attn().out.startswith("Usage: attn COMMAND [OPTIONS] ...\n")


def test_ctrl_c_is_130_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "selected_heads", failing(KeyboardInterrupt()))
    answer = attn("inspect", "the cat", "-H", "1")
    assert (answer.status, answer.out, answer.err) == (130, "", "attn: interrupted\n")


def test_ctrl_c_leaves_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(picture, "render", failing(KeyboardInterrupt()))
    assert attn("heatmap", "the cat", "-o", tmp_path / "a.png").status == 130
    assert list(tmp_path.iterdir()) == []


def test_a_memory_error_says_what_takes_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "selected_heads", failing(MemoryError()))
    hint = "a shorter text, fewer layers or heads"
    assert refused(attn("inspect", "the cat", "-H", "1")) == (1, "not enough memory", hint)


@pytest.mark.parametrize(
    ("raised", "problem"),
    [
        (OSError(28, "No space left on device"), "the result cannot be written: no space left on device"),
        (PermissionError(13, "Permission denied", "/a"), "/a cannot be used: permission denied"),
    ],
)
def test_a_system_error_is_reported_in_a_sentence(
    raised: OSError, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect, "selected_heads", failing(raised))
    hint = "check the path, its permissions and the free disk space"
    assert refused(attn("inspect", "the cat", "-H", "1")) == (1, problem, hint)


def test_a_result_that_cannot_be_flushed_is_an_error_too() -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    here = world()
    here.stdout = Full()
    assert run(["inspect", "the cat"], here) == 1
    assert isinstance(here.stderr, io.StringIO)
    assert here.stderr.getvalue().startswith("attn: the result cannot be written: ")


def test_debugging_shows_where_an_error_was_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "selected_heads", failing(AttnError("no", "yes")))
    first, *_, problem, hint = attn("inspect", "x", "-H", "1", ATTN_DEBUG="1").err.splitlines()
    assert first == "Traceback (most recent call last):"
    assert (problem, hint) == ("attn: no", "try: yes")


def test_an_internal_error_says_so_and_how_to_debug_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "selected_heads", failing(ZeroDivisionError("by\nzero")))
    assert refused(attn("inspect", "x", "-H", "1")) == (
        1,
        "internal error in attn: ZeroDivisionError: by zero",
        "please report it with the traceback that ATTN_DEBUG=1 shows",
    )
    assert "Traceback" in attn("inspect", "x", "-H", "1", ATTN_DEBUG="1").err


def test_a_memory_error_of_pytorch_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "selected_heads", failing(torch.OutOfMemoryError("CUDA out of memory")))
    assert refused(attn("inspect", "x", "-H", "1"))[:2] == (1, "not enough memory")


def test_the_remarks_come_after_the_result() -> None:
    here = world()
    here.stderr = here.stdout
    run(["inspect", "the cat sat", "-m", "random"], here)
    assert isinstance(here.stdout, io.StringIO)
    assert (
        here.stdout.getvalue().splitlines()[-1]
        == "other heads: -H 0-3, --heads LAYER.HEAD; all heads: attn heads, attn heatmap"
    )


def test_quiet_means_quiet() -> None:
    assert attn("inspect", "the cat sat", "-q").err == ""


def test_the_environment_sets_the_model(monkeypatch: pytest.MonkeyPatch, twins: Path) -> None:
    monkeypatch.setenv("ATTN_MODEL", str(twins / "gpt2"))
    assert attn("inspect", "the cat", "--json").document["model"]["type"] == "gpt2"
    assert attn("inspect", "the cat", "--json", "-m", "random").document["model"]["type"] == "random"


def test_the_environment_sets_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTN_DEVICE", "abacus")
    assert refused(attn("inspect", "the cat"))[1] == "unknown device 'abacus'"


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False),
    ],
)
def test_colour_is_for_terminals_or_on_request(environment: dict[str, str], coloured: bool) -> None:
    backgrounds = [f"\x1b[{code}" for code in ("97;4", "30;4")]
    out = attn("inspect", "the cat sat", **environment).out
    assert any(code in out for code in backgrounds) == coloured


COLOURED = {"FORCE_COLOR": "1", "COLORTERM": "truecolor"}


@pytest.mark.parametrize(
    "command",
    [
        ("inspect", "the cat sat", "-m", "random"),
        ("compare", "the cat sat", "-m", "random", "--heads", "0.1,0.2"),
        ("heads", "the cat sat", "-m", "random"),
    ],
)
def test_the_theme_comes_from_option_environment_terminal_or_is_dark(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    dark, light = (attn(*command, "--theme", theme, **COLOURED).out for theme in ("dark", "light"))
    assert not set(re.findall(r"48;[0-9;]+m", dark)) & set(re.findall(r"48;[0-9;]+m", light))
    assert attn(*command, **COLOURED).out == dark
    assert attn(*command, **COLOURED, COLORFGBG="0;15").out == light
    assert attn(*command, "--theme", "dark", **COLOURED, COLORFGBG="0;15").out == dark
    monkeypatch.setenv("ATTN_THEME", "light")
    assert attn(*command, **COLOURED, COLORFGBG="15;0").out == light
    assert attn(*command, "--theme", "dark", **COLOURED).out == dark
    assert attn(*command, "--theme", "auto", **COLOURED).out == dark


def test_the_environment_names_a_theme_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTN_THEME", "purple")
    problem = "ATTN_THEME cannot be 'purple': it must be one of auto, dark, light, paper"
    assert refused(attn("inspect", "the cat")) == (2, problem, "attn inspect --help")


def test_without_colours_a_theme_changes_nothing() -> None:
    dark, light = (attn("inspect", "the cat", "--theme", theme).out for theme in ("dark", "light"))
    assert dark == light


def test_a_pipe_gets_no_control_character() -> None:
    out = attn("inspect", "a\x1b[31m b\tc \x07 [/bold] <script>").out
    assert all(character.isprintable() for line in out.splitlines() for character in line)


def test_the_screen_is_one_for_the_whole_run() -> None:
    here = world()
    assert here.screen is here.screen
    assert isinstance(here.screen, Console)


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("std::bad_alloc"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_a_memory_error_of_a_library_is_one(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "selected_heads", failing(error))
    assert refused(attn("inspect", "the cat", "-H", "1"))[:2] == (1, "not enough memory")
