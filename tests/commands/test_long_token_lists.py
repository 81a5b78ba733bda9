"""`attn tokens` of a long text: the same list, in bounded time and memory, or two lines."""

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from attn_cli.commands import tokens as command
from attn_cli.commands.results.token_list import MOST_SHOWN
from attn_cli.models.random_layer import MOST_TOKENS
from attn_cli.reading import reading
from attn_cli.reading.long_texts import length, listing
from attn_cli.reading.long_texts.length import LONG, LONGEST
from tests.support.worlds import attn, attn_in_terminal, refused

TEXT = "The cat's pyjamas, and 12 [/bold] cafés \x1b[31m at\x00\n\n  the  日本 end. " * 3
SECONDS, MEMORY = 30, 600_000  # of a processor, which may be busy: some 3 are needed; kB
PART = "a part of it: head -c 100000 FILE"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def prose(size: int, words: int, seed: int = 0) -> str:
    """A text of about `size` characters with so many different words, the first ones more often."""
    draw = random.Random(seed)  # noqa: S311  a text
    letters = "abcdefghijklmnopqrstuvwxyz"
    known = ["".join(draw.choices(letters, k=draw.randint(2, 9))) for _ in range(words)]
    chosen = draw.choices(known, [1 / (rank + 2) for rank in range(words)], k=size // 6)
    return " ".join(f"{word}.\n" if draw.random() < 0.05 else word for word in chosen)


PROGRAM = """
import sys, time
from attn_cli.cli import run
from attn_cli.console import World
status = run(sys.argv[2:], World.real())
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
with open(sys.argv[1], "w") as told:
    told.write(f"{time.process_time()} {peak}")  # ru_maxrss would count the process of the tests
sys.exit(status)
"""


def measured(arguments: Sequence[str | Path], told: Path) -> tuple[int, bytes, bytes, float, int]:
    """The status, output and errors of a process, its processor time in seconds, and its memory in kB."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, told, *map(str, arguments)],
        capture_output=True,
        check=False,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    seconds, peak = told.read_text().split()
    return done.returncode, done.stdout, done.stderr, float(seconds), int(peak)


@pytest.mark.parametrize("options", [(), ("--json",), ("--no-special",)])
@pytest.mark.parametrize("environment", [{}, {"PYTHONIOENCODING": "ascii", "FORCE_COLOR": "1"}])
def test_the_list_of_a_long_text_is_that_of_a_short_one(
    twin: Path,
    file: Path,
    options: tuple[str, ...],
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for model in ("random", twin):
        own = () if model == "random" and "--no-special" in options else options
        before = attn("tokens", "--file", file, "-m", model, *own, **environment)
        with monkeypatch.context() as patched:
            for module in (command, listing, reading, length):
                if hasattr(module, "LONG"):
                    patched.setattr(module, "LONG", 10)
            assert attn("tokens", "--file", file, "-m", model, *own, **environment) == before


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process its peak")
@pytest.mark.parametrize(("words", "size"), [(300, 1_500_000), (40_000, 1_200_000), (3, 2_000_000)])
def test_a_long_text_is_listed_in_full(words: int, size: int, tmp_path: Path) -> None:
    text = prose(size, words)
    (tmp_path / "long.txt").write_text(text)
    status, out, err, seconds, memory = measured(
        ["tokens", "-m", "random", "--file", tmp_path / "long.txt"], tmp_path / "told"
    )
    assert (status, err) == (0, b"")
    assert out.count(b"\n") == 1 + len(text.split()) + text.count(".")
    assert seconds < SECONDS
    assert memory < MEMORY


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process its peak")
@pytest.mark.parametrize(("words", "size"), [(300, 4_000_000), (10_000, 2_000_000), (3, 9_000_000)])
def test_a_long_text_for_few_positions_is_refused(words: int, size: int, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text(prose(size, words))
    status, out, err, seconds, memory = measured(
        ["tokens", "--file", tmp_path / "long.txt"], tmp_path / "told"
    )
    assert (status, out) == (1, b"")
    problem, hint = err.decode().splitlines()
    assert problem.startswith("attn: the text is too long: ")
    assert problem.endswith(" tokens, but storybook has 512 positions")
    assert hint == "try: shorten the text, or use a model with more positions"
    assert seconds < SECONDS
    assert memory < MEMORY


@pytest.mark.parametrize(
    "text", ["a" * (LONGEST + 1), "日本" * 600_000, "ab1\n" * 300_000, " " * LONGEST + "a\tb" * 9]
)
def test_a_text_that_must_be_split_as_a_whole_has_a_bound(text: str, twins: Path, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text(text, encoding="utf-8")
    size = len(text.removesuffix("\n"))
    assert refused(attn("tokens", "--file", tmp_path / "long.txt", "-m", twins / "gpt2")) == (
        1,
        f"the text is too long: {size:,} characters, and {length.AS_A_WHOLE} 1,000,000",
        PART,
    )


def test_a_tokenizer_of_whole_texts_has_the_same_bound(twins: Path, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("the cat " * 125_001)
    status, problem, hint = refused(attn("tokens", "--file", tmp_path / "long.txt", "-m", twins / "llama"))
    assert (status, hint) == (1, PART)
    assert problem.startswith("the text is too long: 1,000,008 characters, and one that the tokenizer ")


def test_two_texts_have_the_bound_of_a_model(twins: Path, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("the cat " * 125_001)
    found = attn("tokens", "--file", tmp_path / "long.txt", "--pair", "the", "-m", twins / "bert")
    assert refused(found) == (
        1,
        "the text is too long: 1,000,008 characters, and a model runs on at most 1,000,000",
        PART,
    )


def test_a_terminal_shows_the_first_tokens_of_a_long_text(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("cat " * (LONG // 4 + 10))
    found = attn_in_terminal("tokens", "--file", tmp_path / "long.txt", "-m", "random")
    assert found.out.count("\n") == 1 + MOST_SHOWN == 10_001
    assert found.err == (
        "the first 10,000 of 25,010 tokens are shown; all of them: a pipe, a file, or --json\n"
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process its peak")
@pytest.mark.parametrize("command", ["inspect", "heads", "explain"])
@pytest.mark.parametrize(("word", "tokens"), [("word ", 200_000), ("a, ", 666_666), ("日 ", 500_000)])
def test_a_text_of_a_megabyte_is_too_long_for_random(
    command: str, word: str, tokens: int, tmp_path: Path
) -> None:
    text = word * (1_000_000 // len(word))
    (tmp_path / "long.txt").write_text(text, encoding="utf-8")
    status, out, err, seconds, memory = measured(
        [command, "-m", "random", "--file", tmp_path / "long.txt"], tmp_path / "told"
    )
    assert (status, out) == (1, b"")
    assert err.decode() == (
        f"attn: the text is too long: {tokens:,} tokens, and random runs on at most 40,000\n"
        "try: a part of it: head -c 50000 FILE\n"
    )
    assert seconds < SECONDS
    assert memory < MEMORY


def test_random_reads_as_many_tokens_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "most.txt").write_text("a " * MOST_TOKENS)
    (tmp_path / "more.txt").write_text("a," * (MOST_TOKENS // 2) + "a")  # a short text of too many
    chosen = ("-m", "random", "--heads", "0.1", "-s", "weights", "--rows", "3", "--top", "2")
    assert attn("inspect", "--file", tmp_path / "most.txt", *chosen).status == 0
    status, problem, _ = refused(attn("inspect", "--file", tmp_path / "more.txt", *chosen))
    assert (status, problem) == (1, "the text is too long: 40,001 tokens, and random runs on at most 40,000")
