"""The outside world: what is read, and in which order results, remarks and errors appear."""

import io
import os
import sys
from pathlib import Path

import pytest

from attn_cli.commands.inputs import checked, shortened, text_request
from attn_cli.commands.options import TextOptions
from attn_cli.console import World
from attn_cli.errors import AttnError, UsageError
from attn_cli.vocabulary import Theme
from tests.support.worlds import world


def written(stream: object) -> str:
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def bytes_in(content: bytes) -> World:
    return world(io.TextIOWrapper(io.BytesIO(content), encoding="latin-1"))


def test_remarks_wait_for_the_result() -> None:
    here = world()
    here.note("a remark")
    assert written(here.stderr) == ""
    here.finish()
    assert written(here.stderr) == "a remark\n"


def test_an_error_stands_alone() -> None:
    here = world()
    here.note("a remark")
    here.complain("nothing works: at all", "something else")
    assert written(here.stderr) == "attn: nothing works: at all\ntry: something else\n"


def test_remarks_can_be_declined() -> None:
    here = world()
    here.is_quiet = True
    here.note("a remark")
    here.finish()
    assert written(here.stderr) == ""


def test_control_characters_are_spelled_out_on_standard_error() -> None:
    here = world()
    here.complain("no model '\x1b[31m'", "one\nline")
    assert written(here.stderr) == "attn: no model '\\x1b[31m'\ntry: one⏎line\n"


def test_standard_error_takes_what_its_encoding_lacks() -> None:
    here = world()
    here.stderr = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    here.complain("no model 'é'", "another")
    assert here.stderr.buffer.getvalue() == b"attn: no model '\\xe9'\ntry: another\n"


@pytest.mark.parametrize("columns", [20, 200])
def test_the_width_is_that_of_the_environment(columns: int) -> None:
    assert world(COLUMNS=str(columns)).screen.width == columns


def test_a_width_of_0_is_as_good_as_unknown() -> None:
    assert world(COLUMNS="0").screen.width == world(COLUMNS="wide").screen.width > 0


@pytest.mark.parametrize(
    ("colours", "theme"),
    [
        *((f"15;{number}", Theme.DARK) for number in (*range(7), 8)),
        *((f"0;{number}", Theme.LIGHT) for number in (7, *range(9, 16))),
        ("0;default;15", Theme.LIGHT),
        ("15;default;0", Theme.DARK),
        ("default;default", Theme.DARK),
        ("15", Theme.DARK),
        ("0;16", Theme.DARK),
        ("", Theme.DARK),
    ],
)
def test_the_background_is_what_the_terminal_says(colours: str, theme: Theme) -> None:
    assert world(COLORFGBG=colours).theme(Theme.AUTO) is theme
    assert world(COLORFGBG=colours).theme(Theme.LIGHT) is Theme.LIGHT
    assert world(COLORFGBG=colours).theme(Theme.DARK) is Theme.DARK


def test_a_terminal_that_says_nothing_is_taken_for_dark() -> None:
    assert world().theme(Theme.AUTO) is Theme.DARK


def test_closed_streams_are_empty_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    here = World.real()
    assert [stream.name for stream in (here.stdin, here.stdout, here.stderr)] == [os.devnull] * 3
    for stream in (here.stdin, here.stdout, here.stderr):
        stream.close()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"the cat", "the cat"),
        (b"\xef\xbb\xbfthe cat", "the cat"),
        (b"the\r\ncat\0\t\x1b[0m", "the\r\ncat\0\t\x1b[0m"),
        ("日本 🙂".encode(), "日本 🙂"),
    ],
)
def test_text_is_read_as_it_stands_but_for_a_byte_order_mark(
    content: bytes, text: str, tmp_path: Path
) -> None:
    (tmp_path / "text").write_bytes(content)
    assert world().read(tmp_path / "text") == text
    assert text_request(bytes_in(content), TextOptions("-")).text == text


def test_a_stream_of_characters_can_be_read_too() -> None:
    assert text_request(world("the cat"), TextOptions("-")).text == "the cat"


def test_text_that_is_not_utf_8_names_the_byte() -> None:
    with pytest.raises(AttnError, match=r"^standard input is not UTF-8: byte 3 is 0xe9$") as caught:
        bytes_in(b"caf\xe9").read(None)
    assert caught.value.hint == "convert it, for example: iconv -f latin1 -t utf-8"


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(AttnError, match=r"^the text is not UTF-8: character 1 is '\\udcff'$"):
        checked("a\udcff", "the text")


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "the text is empty"), (" \n\t", "the text is blank: 3 white-space characters")],
)
def test_a_text_has_words(text: str, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked(text, "the text")
    assert caught.value.problem == problem
    assert caught.value.hint == 'give one with words, for example "The cat sat on the mat"'


def test_a_text_is_given_once() -> None:
    problem = r"^two texts were given: 'the cat sat on the mat and the cat was …' and --file a\.txt$"
    with pytest.raises(UsageError, match=problem):
        text_request(world(), TextOptions("the cat sat on the mat and the cat was on it", Path("a.txt")))


@pytest.mark.parametrize(("text", "short"), [("abc", "abc"), ("abcdef", "abc…")])
def test_a_long_text_is_cut(text: str, short: str) -> None:
    assert shortened(text, 4) == short
