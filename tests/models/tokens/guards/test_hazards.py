"""Tokenizers that are programs: what does not end, or grows without bound, is refused in two lines."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from attn_cli.errors import AttnError
from attn_cli.models.tokens.guards.hazards import LONGEST_UNTRIED, MOST_GROWTH, is_odd, is_slow
from attn_cli.models.tokens.open import open_tokenizer_file
from tests.support.worlds import attn

TEXT = "the cat sat " + "t" * 40
EXPANSIVE = [
    ("t", "tt", 40),
    ("", "xxxx", 30),
    ("e", "e" * 100, 1),
]


def tokenizer_file(folder: Path, **parts: Any) -> Path:
    """A `tokenizer.json` of a few words with the given parts."""
    model = {"type": "WordLevel", "vocab": {"[UNK]": 0, "the": 1, "cat": 2, "sat": 3}, "unk_token": "[UNK]"}
    plain = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}, "model": model}
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(plain | parts))
    return path


def replacement(old: str, new: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": old}, "content": new}


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(("old", "new", "times"), EXPANSIVE)
def test_a_normalizer_that_multiplies_a_text_is_refused(
    old: str, new: str, times: int, tmp_path: Path
) -> None:
    parts = {"type": "Sequence", "normalizers": [replacement(old, new)] * times}
    with pytest.raises(
        AttnError, match=r"^the tokenizer is refused: its normalizer may make a text [\d,]+ ti"
    ):
        open_tokenizer_file(tokenizer_file(tmp_path, normalizer=parts))


@pytest.mark.parametrize(("old", "new", "times"), EXPANSIVE)
def test_a_decoder_that_multiplies_a_text_is_refused(old: str, new: str, times: int, tmp_path: Path) -> None:
    parts = {"type": "Sequence", "decoders": [replacement(old, new)] * times}
    with pytest.raises(
        AttnError, match=r"^the tokenizer is refused: its decoder may make a text [\d,]+ times"
    ):
        open_tokenizer_file(tokenizer_file(tmp_path, decoder=parts))


def test_a_replacement_within_the_bound_is_used(tmp_path: Path) -> None:
    doubled = {"type": "Sequence", "normalizers": [replacement("a", "aa")] * 6}  # 2 ** 6 = 64
    assert MOST_GROWTH == 64
    tokenizer = open_tokenizer_file(tokenizer_file(tmp_path, normalizer=doubled))
    assert [token.id for token in tokenizer("the sat")] == [1, 0]
    doubled["normalizers"] = [replacement("a", "aa")] * 7
    with pytest.raises(AttnError, match=r"may make a text 128 times as long$"):
        open_tokenizer_file(tokenizer_file(tmp_path, normalizer=doubled))


@pytest.mark.parametrize(
    "pattern",
    [
        r"(t+|t+)+(t+)*b\1",  # catastrophic backtracking
        r"(?<a>(\g<a>|t)*)x",  # a recursion that never ends
        r"(t+|tt+)+(t+)*[bc]\1",
    ],
)
def test_a_regular_expression_that_does_not_end_is_tried_in_a_process_and_refused(
    pattern: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = time.monotonic()
    with pytest.raises(AttnError, match=r"^the tokenizer .*tokenizer.json was stopped on trial: ") as caught:
        open_tokenizer_file(tokenizer_file(tmp_path, pre_tokenizer=split(pattern)))
    assert "\n" not in caught.value.problem
    assert time.monotonic() - before < 30
    assert capfd.readouterr().err == ""


def test_an_odd_regular_expression_that_ends_splits_the_text(tmp_path: Path) -> None:
    tokenizer = open_tokenizer_file(tokenizer_file(tmp_path, pre_tokenizer=split(r"(?:[a-z])+")))
    assert [token.id for token in tokenizer("the cat")] == [1, 0, 2]


def test_a_text_on_which_an_odd_regular_expression_does_not_end_is_refused(tmp_path: Path) -> None:
    tokenizer = open_tokenizer_file(tokenizer_file(tmp_path, pre_tokenizer=split(r"(q+|q+)+(q+)*z\1")))
    assert [token.id for token in tokenizer("the")] == [1]
    with pytest.raises(AttnError, match=r"^the tokenizer was stopped on trial: ") as caught:
        tokenizer("q" * 60)
    assert caught.value.hint == "a tokenizer whose authors you trust"


@pytest.mark.parametrize(
    "pattern",
    [
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        " ?[^(\\s|[.,!?…。\uff0c、।\u06d4،])]+",
        r"[^\r\n\p{L}]?[\p{Lu}\p{M}]*[\p{Ll}\p{M}]+(?i:'s|'t)?|\s+",
        r" {2,}",
    ],
)
def test_the_regular_expressions_of_published_tokenizers_need_no_process(pattern: str) -> None:
    assert not is_odd(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+b",
        r"(a|aa)*$",
        r"a*a*a*b",
        r"(.*)\1",
        r"((a{1000}){1000}){10}",
        r"(?<a>b\g<a>?)",
        r"a{9999}b{9999}c{9999}",
        r"x*x*y",  # cubic
        r"\w*\w*(?![\s\S])",
        r"\d+[0-9]+$",
        "a?" * 26 + "a" * 26,
        r"(?:t|tt|ttt)*(?:t|tt)*b",
        r"(?<r>t\g<r>?t?)*b",
        r"(?<r>t\g<r>*)*[bc]",
        r"(?=(q+)+z)",
        r"(?>(é+)+)z",
        r"(?<x>a)(?(<x>)(b|bb)*c|d)",
        r"(?:\s|\s\s)*x",
        r"(?:\p{L}|\p{L}\p{L})*9",
    ],
)
def test_regular_expressions_that_repeat_or_refer_are_odd(pattern: str) -> None:
    assert is_odd(pattern)


@pytest.mark.parametrize(
    ("pattern", "letter"),
    [
        (r"x*x*y", "x"),
        (r"\w*\w*!", "q"),
        (r"\d*[0-9]+z", "1"),
        (r"(?:t|tt|ttt)*(?:t|tt)*b", "t"),
        (r"(?<r>t\g<r>?t?)*b", "t"),
        (r"(?:\s|\s\s)*x", " "),
        (r"(?:é|éé)*z", "é"),
        (r"(?=(?:m|mm)*z)", "m"),
        ("a?" * 26 + "a" * 26 + "z", "a"),
    ],
)
def test_a_text_of_the_letters_of_a_pattern_takes_no_time_here(
    pattern: str, letter: str, tmp_path: Path
) -> None:
    tokenizer = open_tokenizer_file(tokenizer_file(tmp_path, pre_tokenizer=split(pattern)))
    before = time.process_time()
    try:
        tokenizer(letter * 2_000 + " y ! b z")
    except AttnError as error:
        assert error.problem.startswith("the tokenizer was stopped on trial: ")  # noqa: PT017
    assert time.process_time() - before < 30


@pytest.mark.parametrize("pattern", [r"x*y", r"\p{L}+(?=\d)", r"\s+$", r"a{2,}b", r"x*+y"])
def test_a_long_text_is_tried_where_the_time_grows_with_its_square(pattern: str, tmp_path: Path) -> None:
    assert is_slow(pattern)
    assert not is_odd(pattern)
    assert LONGEST_UNTRIED == 20_000
    tokenizer = open_tokenizer_file(tokenizer_file(tmp_path, pre_tokenizer=split(pattern)))
    assert len(tokenizer("the cat")) > 0


def test_a_long_text_that_would_take_hours_is_refused(tmp_path: Path) -> None:
    tokenizer = open_tokenizer_file(tokenizer_file(tmp_path, pre_tokenizer=split(r"x*y")))
    before = time.process_time()
    with pytest.raises(AttnError, match=r"^the tokenizer was stopped on trial: "):
        tokenizer("x" * 400_000 + " y")
    assert time.process_time() - before < 30


@pytest.mark.parametrize(
    "pattern",
    [
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        " ?[^(\\s|[.,!?…。\uff0c、।\u06d4،])]+",
        r" {2,}",
    ],
)
def test_the_regular_expressions_of_published_tokenizers_are_never_tried(pattern: str) -> None:
    assert not is_slow(pattern)


@pytest.mark.parametrize(
    "content", ["[" * 10**7, '{"added_tokens": [' + "[]," * 10**6, '{"Regex": "' + "a" * 10**7]
)
def test_a_large_file_that_is_no_tokenizer_is_refused_at_once(content: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    before = time.process_time()
    with pytest.raises(AttnError, match=r"tokenizer.json is not a valid tokenizer: "):
        open_tokenizer_file(path)
    assert time.process_time() - before < 30


def older_tokenizer(folder: Path) -> Path:
    """The place of the `vocab.txt` of a tokenizer in the older format."""
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    return folder / "vocab.txt"


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has named pipes")
def test_a_vocabulary_that_is_a_named_pipe_is_refused(tmp_path: Path) -> None:
    file = older_tokenizer(tmp_path)
    os.mkfifo(file)
    found = attn("tokens", TEXT, "--tokenizer", tmp_path)
    assert (found.status, found.out) == (1, "")
    assert found.err == f"attn: {file} is not a regular file\ntry: replace it with a regular file\n"


def test_a_vocabulary_that_is_a_directory_is_refused(tmp_path: Path) -> None:
    file = older_tokenizer(tmp_path)
    file.mkdir()
    found = attn("tokens", TEXT, "--tokenizer", tmp_path)
    assert found.err == f"attn: {file} is a directory, not a file\ntry: download it again\n"


@pytest.mark.parametrize("target", ["/dev/zero", "/etc/passwd"])
def test_a_vocabulary_that_is_a_link_out_of_the_directory_is_refused(target: str, tmp_path: Path) -> None:
    file = older_tokenizer(tmp_path)
    file.symlink_to(target)
    found = attn("tokens", TEXT, "--tokenizer", tmp_path)
    assert found.err.startswith(f"attn: {file} is a link that points outside the checkpoint: to {target}\n")


def test_a_vocabulary_of_very_many_lines_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = older_tokenizer(tmp_path)
    file.write_bytes(b"a\n" * 13_000_000)
    found = attn("tokens", TEXT, "--tokenizer", tmp_path)
    assert found.err == (
        f"attn: {file} is too large: 13,000,000 lines, and the limit is 2,000,000\ntry: download it again\n"
    )


def test_a_command_with_such_a_tokenizer_ends_with_two_lines(tmp_path: Path) -> None:
    file = tokenizer_file(tmp_path, pre_tokenizer=split(r"(t+|t+)+(t+)*b\1"))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    found = attn("tokens", TEXT, "--tokenizer", tmp_path)
    assert found.status == 1
    assert found.err.splitlines()[0].startswith(f"attn: the tokenizer {file} was stopped on trial: ")
    assert len(found.err.splitlines()) == 2
