"""A long text is split in stretches: the tokens are those of the whole text."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import tokenizers
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, processors

from attn_cli.models.random_layer import word_columns, words
from attn_cli.models.tokens import stretches
from attn_cli.models.tokens.fast import FastTokenizer
from attn_cli.models.tokens.stretches import splits_before_spaces
from tests.support.hostile import HOSTILE
from tests.support.twins import TOKENIZERS, byte_level, word_piece

GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA_3.replace("{1,3}", "")


def divided(*steps: Any, inner: Callable[[], tokenizers.Tokenizer] = byte_level) -> tokenizers.Tokenizer:
    """A tokenizer with these pre-tokenizers."""
    made = inner()
    made.pre_tokenizer = pre_tokenizers.Sequence(list(steps))
    return made


def split(pattern: str, behavior: str = "isolated") -> Any:
    return pre_tokenizers.Split(Regex(pattern), behavior)


def bytes_of(*, use_regex: bool = False, add_prefix_space: bool = False) -> Any:
    return pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=use_regex)


def with_added(token: AddedToken) -> tokenizers.Tokenizer:
    made = byte_level()
    made.add_special_tokens([token])
    return made


def normalized(*steps: Any) -> tokenizers.Tokenizer:
    made = word_piece()
    made.normalizer = normalizers.Sequence(list(steps))
    return made


def post_processed(step: Any) -> tokenizers.Tokenizer:
    made = byte_level()
    made.post_processor = step
    return made


LOCAL: dict[str, Callable[[], tokenizers.Tokenizer]] = {
    "word piece": word_piece,
    "bytes": lambda: divided(bytes_of(use_regex=True)),
    "digits": lambda: divided(pre_tokenizers.Digits(individual_digits=True), bytes_of(use_regex=True)),
    "punctuation": lambda: divided(pre_tokenizers.Punctuation("isolated"), bytes_of(use_regex=True)),
    "GPT-2": lambda: divided(split(GPT_2), bytes_of()),
    "Llama 3": lambda: divided(split(LLAMA_3), bytes_of()),
    "Qwen": lambda: divided(split(QWEN), bytes_of()),
    "words": lambda: divided(pre_tokenizers.Whitespace(), inner=word_piece),
    "spaces": lambda: divided(pre_tokenizers.WhitespaceSplit(), inner=word_piece),
    "NFKC": lambda: normalized(normalizers.NFKC(), normalizers.Lowercase(), normalizers.StripAccents()),
    "NFD": lambda: normalized(normalizers.NFD()),
    "a mask that strips what is before": lambda: with_added(AddedToken("<mask>", lstrip=True)),
    "a word": lambda: with_added(AddedToken("the", single_word=True)),
    "offsets": lambda: post_processed(processors.ByteLevel(trim_offsets=True, add_prefix_space=False)),
}
TWINS: dict[str, Callable[[], tokenizers.Tokenizer]] = {**TOKENIZERS, **LOCAL}


def joined_texts() -> list[str]:
    """Strange texts one after another, in some orders, with every kind of space between."""
    draw = random.Random(0)  # noqa: S311  a text
    spaces = (" ", "  ", "\n", " \n ", "\n ", "\t", "", "\u00a0 ", " \u2003", "\r\n")
    texts = []
    for _ in range(4):
        order = draw.sample(HOSTILE, len(HOSTILE))
        texts.append("".join(text + draw.choice(spaces) for text in order))
    return [*texts, *HOSTILE]


@pytest.mark.parametrize("name", TWINS)
def test_the_tokens_of_stretches_are_those_of_the_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "_BLOCK", 40)
    monkeypatch.setattr(stretches, "_MOST_KNOWN", 60)
    tokenizer, compared = FastTokenizer(TWINS[name]()), 0
    for text in joined_texts():
        columns = tokenizer.columns(text)
        if columns is not None:
            assert columns.first(len(columns)) == tokenizer(text), repr(text)
            compared += 1
    assert compared > 50 or name not in LOCAL


@pytest.mark.parametrize("text", joined_texts()[:20])
def test_words_in_columns_are_the_same(text: str) -> None:
    columns = word_columns(text)
    assert columns.first(len(text)) == words(text)
    assert len(columns) == len(words(text))


@pytest.mark.parametrize(
    "make",
    [
        lambda: divided(bytes_of(use_regex=True, add_prefix_space=True)),
        lambda: divided(bytes_of()),  # divides nothing
        lambda: divided(pre_tokenizers.Metaspace()),
        lambda: divided(split(r"\p{L}+ \p{L}+"), bytes_of()),
        lambda: divided(split(GPT_2, "merged_with_next"), bytes_of()),
        lambda: divided(pre_tokenizers.Punctuation("merged_with_next"), bytes_of(use_regex=True)),
        lambda: with_added(AddedToken("<mask>", rstrip=True)),
        lambda: with_added(AddedToken("the cat")),
        lambda: normalized(normalizers.Strip()),
        lambda: normalized(normalizers.Replace("t c", "x")),
        lambda: post_processed(processors.ByteLevel(trim_offsets=True, add_prefix_space=True)),
        lambda: post_processed(processors.RobertaProcessing(("a", 0), ("b", 1))),
        lambda: tokenizers.Tokenizer(models.Unigram([("a", -1.0)], 0)),
        lambda: tokenizers.Tokenizer(models.BPE({"a": 0}, [], dropout=0.5)),
    ],
)
def test_a_tokenizer_that_looks_past_a_space_is_not_local(make: Callable[[], tokenizers.Tokenizer]) -> None:
    assert not splits_before_spaces(make())


@pytest.mark.parametrize("text", ["a" * 100_001, "日本" * 60_000, "the cat " + "sat\n" * 30_000])
def test_a_text_with_hardly_any_spaces_is_split_as_a_whole(text: str) -> None:
    assert FastTokenizer(byte_level()).columns(text) is None
