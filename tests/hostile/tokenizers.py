"""Tokenizers are programs: what grows, recurses, backtracks or never ends."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.hostile.cases import Build, Case, Place, line
from tests.hostile.processes import Line
from tests.models.tokens.guards.test_hazards import replacement, split, tokenizer_file

_GROWS = "a tokenizer that multiplies the text"
_ENDLESS = "a regular expression that does not end"
_VOCABULARY = "a vocabulary that is none"
_ALIGNMENT = "the alignment of an older tokenizer"
_TEXT = "the cat sat " + "t" * 40


def _fast(text: str = _TEXT, **parts: Any) -> Build:
    def build(place: Place) -> Line:
        tokenizer_file(place.folder, **parts)
        place.file("tokenizer_config.json", '{"tokenizer_class": "PreTrainedTokenizerFast"}')
        return Line(("tokens", text, "--tokenizer", place.folder))

    return build


def _older(make: Callable[[Path], object]) -> Build:
    """A tokenizer of the older format, whose vocabulary is made so."""

    def build(place: Place) -> Line:
        place.file("config.json", '{"model_type": "bert"}')
        place.file("tokenizer_config.json", '{"tokenizer_class": "BertTokenizer"}')
        make(place.folder / "vocab.txt")
        return Line(("tokens", _TEXT, "--tokenizer", place.folder))

    return build


def _without_places(mark: str) -> Build:
    """16 KB of prose with a mark behind every word, for a tokenizer in Python, which gives no places."""
    text = f"the{mark} cats{mark} a " * 1200
    settings = {
        "config.json": '{"model_type": "t5"}',
        "tokenizer_config.json": '{"tokenizer_class": "ByT5Tokenizer"}',
    }
    return line("tokens", "--file", "text.txt", "--tokenizer", ".", files=settings | {"text.txt": text})


def cases() -> Iterator[Case]:
    """Of these four kinds."""
    doubling = [replacement("t", "tt")] * 40
    for name, parts in (
        ("a normalizer that doubles", {"normalizer": {"type": "Sequence", "normalizers": doubling}}),
        ("a decoder that doubles", {"decoder": {"type": "Sequence", "decoders": doubling}}),
        ("a replacement of nothing", {"normalizer": replacement("", "x" * 10**4)}),
    ):
        yield Case(_GROWS, name, _fast(**parts), "may make a text [0-9,]+ times as long")
    for name, pattern in (
        ("backtracking", r"(t+|t+)+(t+)*b\1"),
        ("a recursion", r"(?<a>(\g<a>|t)*)x"),
        ("a reference back", r"(t+|tt+)+(t+)*[bc]\1"),
    ):
        yield Case(_ENDLESS, name, _fast(pre_tokenizer=split(pattern)), "was stopped on trial")
    for name, make, says in (
        ("a named pipe", os.mkfifo, "is not a regular file"),
        ("/dev/zero", lambda path: path.symlink_to("/dev/zero"), "is a link that points outside"),
        ("/etc/passwd", lambda path: path.symlink_to("/etc/passwd"), "is a link that points outside"),
        ("13 million lines", lambda path: path.write_bytes(b"a\n" * 13_000_000), "13,000,000 lines"),
        ("not UTF-8", lambda path: path.write_bytes(b"\xff\xfe\n" * 100), "valid UTF-8"),
    ):
        yield Case(_VOCABULARY, name, _older(make), says)
    marks = {"control characters": "\x01", "accents": "\u0301", "spaces of no width": "\u200b"}
    for name, mark in marks.items():
        yield Case(_ALIGNMENT, name, _without_places(mark), "the text is too long: [0-9,]+ tokens")
