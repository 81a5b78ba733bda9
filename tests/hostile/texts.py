"""Texts that are large or endless, and sizes that cannot fit."""

import os
from collections.abc import Iterator
from functools import partial

from tests.hostile.cases import TEXT, Case, Place, line
from tests.hostile.processes import Line

_ENDLESS = "a text that does not end"
_LARGE = "a text that no model reads"
_ROOM = "a size that cannot fit"

_LONG = {"text.txt": "the cat sat on the mat. " * 420_000}  # 10 MB
_WORD = {"word.txt": "x" * 10**6}
_STORY = {"story.txt": "The cat sat on the mat. " * 999}
_LONGEST_ARGUMENT = 2**17 - 1  # bytes, on Linux


def cases() -> Iterator[Case]:
    """Of these three kinds."""
    for name, build in (
        ("/dev/zero", line("inspect", "--file", "/dev/zero")),
        ("/dev/urandom", line("heads", "--file", "/dev/urandom")),
        ("/dev/zero as standard input", line("inspect", "-", stdin="/dev/zero")),
    ):
        yield Case(_ENDLESS, name, build, "is too large for a text: more than 16 MB")
    device = "no document could be measured: .*: a device, which does not end"
    yield Case(_ENDLESS, "/dev/urandom, attn survey", line("survey", "/dev/urandom", "-o", "a.csv"), device)
    yield Case(_ENDLESS, "10 GB in a line, attn survey", _sparse_table, "does not end within 512 MiB")
    for words in (("inspect",), ("heads",), ("heatmap", "-o", "x.png"), ("report", "-o", "x.html")):
        build = line(*words, "--file", "text.txt", "-m", "random", files=_LONG)
        says = "10,080,000 characters, and a model runs on at most 1,000,000"
        yield Case(_LARGE, f"10 MB, attn {words[0]}", build, says)
    tokens = line("tokens", "--file", "text.txt", "-m", "random", files=_LONG)
    yield Case(_LARGE, "10 MB, attn tokens", tokens, "the", 0)
    for command in ("inspect", "tokens"):
        build = line(command, "--file", "word.txt", files=_WORD)
        yield Case(_LARGE, f"a word of 1 MB, attn {command}", build, "too long: 1,000,001 tokens")
    for words in (("inspect",), ("heads",), ("tokens", "--predict", "3")):
        build = partial(_rotary, words)
        says = "1,000,002 tokens, and a model runs on at most 262,144"
        yield Case(_LARGE, f"a word of 1 MB for rotary positions, attn {words[0]}", build, says)
    yield Case(_LARGE, "a long text with a second one", _with_a_second, "240,005 tokens, but model has 64")
    yield Case(_LARGE, "a long text for the decoder", _for_the_decoder, "131,071 tokens, but model has 96")
    width = line("inspect", TEXT, "-m", "random", "--width", "20000")
    yield Case(_ROOM, "--width 20000", width, "not enough memory")
    for options in (
        ("--vocabulary", "1000000", "--width", "8192", "--layers", "64"),
        ("--batch", "65536", "--context", "65536"),
    ):
        build = line("train", "story.txt", "-o", "run", *options, files=_STORY)
        says = "not enough memory: this run needs at least"
        yield Case(_ROOM, " ".join(("attn train", *options)), build, says)


def _sparse_table(place: Place) -> Line:
    os.truncate(place.file("a.csv", "text\n"), 10**10)  # the disk holds a page of it
    return Line(("survey", "a.csv", "-o", "b.csv"))


def _rotary(words: tuple[str, ...], place: Place) -> Line:
    file = place.file("word.txt", "x" * 10**6)
    return Line((*words, "--file", file, "-m", place.twin("llama")))


def _with_a_second(place: Place) -> Line:
    file = place.file("long.txt", "the " * 240_000)
    return Line(("inspect", "--file", file, "-m", place.twin("bert"), "--pair", "the cat"))


def _for_the_decoder(place: Place) -> Line:
    words = ("--target", "x" * _LONGEST_ARGUMENT, "--kind", "decoder")
    return Line(("inspect", TEXT, "-m", place.twin("bart"), *words))
