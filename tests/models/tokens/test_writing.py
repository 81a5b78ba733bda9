"""A text that grows token by token: the same text and the same places as if it had been split."""

from collections.abc import Sequence

import pytest

from attn_cli.models.tokens.fast import FastTokenizer
from attn_cli.models.tokens.token import Token
from attn_cli.models.tokens.writing import Writing
from tests.support.twins import byte_fallback, byte_level

TEXTS = (
    "the cat sat on the mat",
    "the café in 日本 🙂 with naïve ﬁgures",
    "the 👩‍👩‍👧‍👦 family\n\nnew  lines\ttabs  end",
    "the नमस्ते दुनिया and हिन्दी",
    "the x\u200dy e\u0301 … “quotes” — dash   ",
    "the \ufffd and \ufffd",
)
TOKENIZERS = {"byte level": byte_level, "byte fallback": byte_fallback}


def tokenizer(name: str) -> FastTokenizer:
    return FastTokenizer(TOKENIZERS[name]())


def written(name: str, text: str) -> tuple[Writing, Sequence[Token], list[str]]:
    """A text that begins with "the" and is written from there, its tokens, and what each added."""
    tokens = tokenizer(name)(text)
    first = next(place for place, token in enumerate(tokens) if token.start >= len("the"))
    writing = Writing(tokenizer(name), tokens[:first], "the")
    added = [writing.add(token.id) for token in tokens[first:]]
    return writing, tokens, [*added, writing.finish()]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_text_and_the_places_are_those_of_the_whole_text(name: str, text: str) -> None:
    writing, tokens, added = written(name, text)
    assert writing.text == text
    assert text.endswith("".join(added))
    places = [(token.position, token.id, token.start, token.end) for token in writing.tokens]
    assert places == [(token.position, token.id, token.start, token.end) for token in tokens]
    assert [token.piece for token in writing.tokens] == [token.piece for token in tokens]
    assert [token.text for token in writing.tokens] == [token.text for token in tokens]


def test_only_new_tokens_are_generated() -> None:
    writing, tokens, _ = written("byte level", TEXTS[0])
    assert [token.generated for token in writing.tokens] == [token.start >= 3 for token in tokens]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_character_appears_when_its_last_byte_is_written(name: str) -> None:
    _, _, added = written(name, "the 🙂")
    assert added == [" ", "", "", "", "🙂", ""]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_character_without_its_last_byte_is_a_replacement(name: str) -> None:
    tokens = tokenizer(name)("the 🙂")
    writing = Writing(tokenizer(name), tokens[:-5], "the")
    for token in tokens[-5:-1]:
        writing.add(token.id)
    writing.finish()
    assert writing.text.strip("\ufffd") == "the "
    assert {(token.start, token.end) for token in writing.tokens[-3:]} == {(4, len(writing.text))}


def test_a_special_token_is_no_text() -> None:
    writing = Writing(tokenizer("byte level"), tokenizer("byte level")("the cat"), "the cat")
    assert writing.add(0) == ""
    end = writing.tokens[-1]
    assert (end.piece, end.special, end.start, end.end) == ("<|endoftext|>", True, 7, 7)
    assert writing.text == "the cat"


def test_an_id_that_only_fills_up_the_vocabulary_is_no_text() -> None:
    writing = Writing(tokenizer("byte level"), tokenizer("byte level")("the cat"), "the cat")
    assert writing.add(5000) == ""
    assert (writing.tokens[-1].piece, writing.tokens[-1].text) == ("", "")


def test_the_decoders_text_starts_without_a_space() -> None:
    splits = tokenizer("byte fallback")
    writing = Writing(splits, [splits.token(1)], "")
    for token in splits("the cat")[1:]:
        writing.add(token.id)
    assert writing.text == "the cat"
    assert writing.tokens[1].start == 0


def test_a_long_text_is_decoded_in_parts() -> None:
    text = " ".join(TEXTS) * 3
    writing, tokens, _ = written("byte level", text)
    assert writing.text == text
    assert [token.start for token in writing.tokens] == [token.start for token in tokens]
