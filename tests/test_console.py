"""The outside world: input, and the order of results, remarks and errors."""

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from attn_cli.arguments.usage import shortened
from attn_cli.commands.options import TextOptions
from attn_cli.commands.texts import checked, text_request
from attn_cli.console import LARGEST_TEXT, World
from attn_cli.errors import AttnError, UsageError
from attn_cli.vocabulary import Theme
from tests.support.worlds import Terminal, attn, world


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


def test_quiet_suppresses_remarks() -> None:
    here = world()
    here.is_quiet = True
    here.note("a remark")
    here.finish()
    assert written(here.stderr) == ""


def test_a_terminal_gets_remarks_and_problems_broken_between_words_and_hints_whole() -> None:
    here = world(COLUMNS="24")
    here.stderr = Terminal()
    here.fact("wrote a-file-with-a-name-that-is-long.csv")
    here.note("each token looks at the one before it")
    here.finish()
    here.complain("the text is too long for it", 'attn inspect "The cat sat on the mat"')
    assert written(here.stderr) == (
        "wrote\na-file-with-a-name-that-is-long.csv\n"
        "each token looks at the\none before it\n"
        "attn: the text is too\nlong for it\n"
        'try: attn inspect "The cat sat on the mat"\n'
    )


def test_a_result_of_one_sentence_is_broken_between_words_in_a_terminal_and_whole_in_a_pipe() -> None:
    pipe, terminal = world(COLUMNS="24"), world(COLUMNS="24")
    terminal.stdout = Terminal()
    for here in (pipe, terminal):
        here.conclude("the largest difference of all layers is small")
    assert written(pipe.stdout) == "the largest difference of all layers is small\n"
    assert written(terminal.stdout) == "the largest difference\nof all layers is small\n"


def test_control_characters_are_spelled_out_on_standard_error() -> None:
    here = world()
    here.complain("no model '\x1b[31m'", "one\nline")
    assert written(here.stderr) == "attn: no model '\\x1b[31m'\ntry: one⏎line\n"


def test_standard_error_takes_what_its_encoding_lacks() -> None:
    here = world()
    here.stderr = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    here.complain("no model 'é'", "another")
    assert here.stderr.buffer.getvalue() == b"attn: no model '\\xe9'\ntry: another\n"


def test_a_terminal_gets_remarks_and_errors_that_end_their_lines_between_words() -> None:
    here = world(COLUMNS="24")
    here.stderr = Terminal()
    here.note("head 2.7 is shown, the clearest induction head of 32")
    here.finish()
    here.complain("layer 99 does not exist", "attn inspect --file 'a story.txt' --heads 2.7")
    assert written(here.stderr).splitlines() == [
        "head 2.7 is shown, the",
        "clearest induction head",
        "of 32",
        "attn: layer 99 does not",
        "exist",
        "try: attn inspect --file 'a story.txt' --heads 2.7",
    ]


@pytest.mark.parametrize("columns", [20, 200])
def test_the_width_is_that_of_the_environment(columns: int) -> None:
    assert world(COLUMNS=str(columns)).screen.width == columns


def test_a_width_of_0_is_unknown() -> None:
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


def test_the_default_background_is_dark() -> None:
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


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("the cat\n", "the cat"),
        ("the cat\r\n", "the cat"),
        ("the cat\r", "the cat"),
        ("the cat\n\n", "the cat\n"),
        ("the cat\n\r", "the cat\n"),
        ("the\ncat ", "the\ncat "),
        ("\nthe cat", "\nthe cat"),
    ],
)
def test_one_trailing_newline_is_not_part_of_the_text(content: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(content.encode())
    for options in (TextOptions(), TextOptions("-"), TextOptions(file=Path("-"))):
        assert text_request(bytes_in(content.encode()), options).text == text
    assert text_request(world(), TextOptions(file=tmp_path / "text")).text == text


def test_an_argument_keeps_its_newline() -> None:
    assert text_request(world(), TextOptions("the cat\n")).text == "the cat\n"


@pytest.mark.parametrize("stdin", [Terminal("the cat"), io.StringIO(""), io.StringIO("\n")])
def test_without_a_pipe_there_is_no_text(stdin: io.StringIO) -> None:
    with pytest.raises(UsageError) as caught:
        text_request(world(stdin), TextOptions())
    assert caught.value.problem == "no text was given"
    assert caught.value.hint == '"The cat sat on the mat", or --file PATH, or a pipe'


@pytest.mark.parametrize("command", ["inspect", "heads", "tokens"])
def test_a_text_in_a_pipe_is_read_as_an_argument_is(command: str) -> None:
    piped = attn(command, "--json", stdin="the cat sat\n")
    assert piped.status == 0
    assert piped == attn(command, "the cat sat", "--json")


def test_pictures_and_comparisons_read_a_pipe_too(tmp_path: Path) -> None:
    assert attn("heatmap", "-o", tmp_path / "a.png", stdin="the cat sat\n").status == 0
    assert attn("compare", "-H", "1", "--json", stdin="the cat\n").document["text"] == "the cat"


def test_a_given_text_leaves_the_pipe_unread() -> None:
    assert attn("tokens", "the cat", "--json", stdin="a dog").document["text"] == "the cat"


def test_a_silent_pipe_is_waited_for_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "has_input", lambda _, patience: patience > 1)  # nothing within a second
    found = attn("tokens", "-q", "--json", stdin="the cat")
    assert (found.document["text"], found.err) == ("the cat", "")
    remark = "waiting for a text on standard input\n"
    assert attn("tokens", "--json", stdin="the cat").err == remark


def test_a_pipe_has_something_when_it_is_written_to_and_when_it_ends() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as stdin, os.fdopen(writing, "w", encoding="utf-8") as end:
        here = world(stdin)
        assert not here.has_input(0)
        end.write("the cat")
        end.flush()
        assert here.has_input(0)
        end.close()
        assert here.read(None) == "the cat"
        assert here.has_input(0)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has pipes that do not block")
@pytest.mark.parametrize("at_once", [b"", b"the "])
def test_a_pipe_that_does_not_block_is_read_to_its_end(
    at_once: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, at_once)
    later = iter([b"cat ", b"sat"])

    def waited(_world: World, _patience: None) -> bool:
        piece = next(later, None)
        if piece is None:
            os.close(writing)
        else:
            os.write(writing, piece)
        return True

    monkeypatch.setattr(World, "has_input", waited)
    with os.fdopen(reading, encoding="utf-8") as stdin:
        assert world(stdin).read(None) == (at_once + b"cat sat").decode()


def test_a_text_that_names_a_file_is_read_with_a_remark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my story.txt").write_text("the cat\n")
    remark = "'my story.txt' is read as text; to read the file with that name: --file \"my story.txt\"\n"
    found = attn("tokens", "my story.txt", "--json")
    assert (found.document["text"], found.err) == ("my story.txt", remark)
    assert attn("tokens", "--file", "my story.txt", "--json").document["text"] == "the cat"
    for text in (".", "a" * 5000):
        assert attn("tokens", text, "--json", "-m", "random").err == ""


def test_a_stream_of_characters_can_be_read_too() -> None:
    assert text_request(world("the cat"), TextOptions("-")).text == "the cat"


def test_text_that_is_not_utf_8_names_the_byte() -> None:
    with pytest.raises(AttnError, match=r"^standard input is not UTF-8: byte 3 is 0xe9$") as caught:
        bytes_in(b"caf\xe9").read(None)
    assert caught.value.hint == "convert it, for example: iconv -f latin1 -t utf-8"


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has endless devices")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
@pytest.mark.parametrize("command", ["inspect", "tokens", "explain"])
def test_an_endless_file_is_read_up_to_a_bound(device: str, command: str) -> None:
    found = attn(command, "--file", device)
    assert found.err == (
        f"attn: {device} is too large for a text: more than 16 MB\ntry: a part of it: head -c 100000 FILE\n"
    )
    assert found.status == 1


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "large.txt"
    with file.open("wb") as opened:
        opened.truncate(3_000_000_000)
    assert attn("heads", "--file", file).err.startswith(
        f"attn: {file} is too large for a text: 3,000.0 MB, and the limit is 16 MB\n"
    )


@pytest.mark.parametrize("command", ["inspect", "heads", "explain"])
@pytest.mark.parametrize("text", ["the cat " * 125_001, "a" * 1_000_001, "e" + "\u0301" * 1_000_000])
def test_a_text_that_no_model_runs_on_is_refused_before_it_is_split(
    command: str, text: str, tmp_path: Path
) -> None:
    file = tmp_path / "long.txt"
    file.write_text(text, "utf-8")
    found = attn(command, "--file", file, "-m", "random")
    size = f"{len(text):,} characters, and a model runs on at most 1,000,000"
    assert found.err == f"attn: the text is too long: {size}\ntry: a part of it: head -c 100000 FILE\n"
    assert found.status == 1


def test_an_endless_pipe_is_read_up_to_a_bound() -> None:
    with Path("/dev/zero").open(encoding="utf-8") as endless:
        assert attn("tokens", "-", stdin=endless).err.startswith(
            "attn: standard input is too large for a text: more than 16 MB\n"
        )


def test_a_text_of_just_the_bound_is_read() -> None:
    assert len(bytes_in(b"a" * LARGEST_TEXT).read(None)) == 16_000_000
    with pytest.raises(AttnError, match=r"too large for a text: more than 16 MB$"):
        bytes_in(b"a" * (LARGEST_TEXT + 1)).read(None)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_encoding(encoding: str, tmp_path: Path) -> None:
    text = "the cat 日本 🙂"
    assert bytes_in(f"{text}\r\n".encode(encoding)).read(None) == text
    file = tmp_path / "powershell.txt"
    file.write_bytes(b"\xfe\xff" + text.encode("utf-16-be"))
    assert attn("tokens", "--file", file, "--json").document["text"] == text


def test_half_a_character_of_utf_16_names_the_byte() -> None:
    with pytest.raises(AttnError, match=r"^standard input is not UTF-16: byte 4 is 0x68$"):
        bytes_in(b"\xff\xfet\0h").read(None)


def test_half_a_surrogate_pair_is_not_text() -> None:
    with pytest.raises(AttnError, match=r"^the text is not UTF-8: character 1 is '\\udcff'$"):
        checked("a\udcff", "the text")


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "the text is empty"), (" \n\t", "the text is blank: 3 whitespace characters")],
)
def test_a_text_has_words(text: str, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked(text, "the text")
    assert caught.value.problem == problem
    assert caught.value.hint == 'a text with words, for example "The cat sat on the mat"'


def test_a_text_is_given_once() -> None:
    problem = r"^two texts were given: 'the cat sat on the mat and the cat was …' and --file a\.txt$"
    with pytest.raises(UsageError, match=problem):
        text_request(world(), TextOptions("the cat sat on the mat and the cat was on it", Path("a.txt")))


@pytest.mark.parametrize(("text", "short"), [("abc", "abc"), ("abcdef", "abc…")])
def test_a_long_text_is_truncated(text: str, short: str) -> None:
    assert shortened(text, 4) == short


ODD_SIZES = ("9" * 21, "9" * 5000, "-1", "x", "", "0", "²", "1e3", " 7")


@pytest.mark.parametrize("size", ODD_SIZES)
@pytest.mark.parametrize("name", ["COLUMNS", "LINES"])
@pytest.mark.parametrize("command", [("inspect", "x"), ("heads", "x"), ("--help",), ("inspect", "--help")])
def test_a_size_of_the_terminal_that_is_none_is_ignored(
    name: str, size: str, command: tuple[str, ...]
) -> None:
    answer = attn(*command, **{name: size})
    assert (answer.status, "internal" in answer.err) == (0, False)


@pytest.mark.parametrize(("size", "width"), [("40", 40), ("10001", 10_000), ("999999999", 10_000)])
def test_a_terminal_is_as_wide_as_it_says_up_to_a_limit(size: str, width: int) -> None:
    here = world(COLUMNS=size)
    assert (here.width, here.screen.width) == (width, width)


def test_a_file_that_may_not_be_read_is_no_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_text("the cat")
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # a superuser may read any file

    opened = Path.open

    def refuse(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == tmp_path / "text":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    answer = attn("inspect", "--file", tmp_path / "text")
    assert (answer.status, answer.err.splitlines()) == (
        1,
        [f"attn: {tmp_path}/text cannot be read: Permission denied", "try: check the path after --file"],
    )
