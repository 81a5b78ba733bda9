"""Tokenizing a text: the ids of transformers, with readable texts and places."""

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers
from transformers import AutoTokenizer

from attn_cli.errors import AttnError
from attn_cli.models.tokens.fast import FastTokenizer
from attn_cli.models.tokens.open import open_tokenizer
from attn_cli.models.tokens.token import Token
from tests.support.twins import PAIR, TEXTS, TOKENIZERS, byte_fallback, byte_level, minilm, word_piece

STRANGE = (
    "",
    " \t\n ",
    "cats ## catsing, (thethe)",
    "Café cafe\u0301 naïve ﬁn",
    "日本日 本",
    "🙂👩‍👩‍👧 🇧🇷",
    "[CLS] the [MASK] <s> <|endoftext|> [SEP]",
    "a" * 300,
    "\0\x1b[31m\u202e",
)


@pytest.fixture(scope="session", params=[*TOKENIZERS, "MiniLM"])
def directory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a `tokenizer.json`."""
    if request.param == "MiniLM":
        return minilm()
    place = tmp_path_factory.mktemp("tokenizer")
    TOKENIZERS[request.param]().save(str(place / "tokenizer.json"))
    return place


def theirs_in(directory: Path) -> Any:
    """The tokenizer of transformers for the same directory."""
    return AutoTokenizer.from_pretrained(directory)


def cut(inner: tokenizers.Tokenizer, text: str, pair: str | None = None) -> list[Token]:
    return list(FastTokenizer(inner)(text, pair))


def texts(found: list[Token]) -> list[str]:
    return [token.text for token in found]


def spans(found: list[Token]) -> list[tuple[int, int]]:
    return [(token.start, token.end) for token in found]


def bare(vocabulary: dict[str, int], **parts: Any) -> FastTokenizer:
    """A tokenizer that knows these words, with a decoder or a pre-tokenizer."""
    inner = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=next(iter(vocabulary))))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    for name, part in parts.items():
        setattr(inner, name, part)
    return FastTokenizer(inner)


@pytest.mark.parametrize("text", [*TEXTS, *STRANGE])
def test_ids_are_those_of_transformers(directory: Path, text: str) -> None:
    theirs, ours = theirs_in(directory), open_tokenizer(directory)
    assert [token.id for token in ours(text)] == theirs(text)["input_ids"]
    assert [each.count(text) for each in (ours, ours.without_template())] == [
        len(ours(text)),
        len(ours.without_template()(text)),
    ]


def test_ids_of_a_pair_and_their_segments_are_those_of_transformers(directory: Path) -> None:
    theirs = theirs_in(directory)
    expected = theirs(*PAIR)
    found = open_tokenizer(directory)(*PAIR)
    assert [token.id for token in found] == expected["input_ids"]
    assert open_tokenizer(directory).count(*PAIR) == len(found)
    assert [token.segment for token in found] == expected.get("token_type_ids", [0] * len(found))


@pytest.mark.parametrize("text", [*TEXTS, *STRANGE])
def test_every_token_of_the_text_has_a_place_in_it(directory: Path, text: str) -> None:
    found = open_tokenizer(directory)(text)
    assert [token.position for token in found] == list(range(len(found)))
    assert all(0 <= token.start <= token.end <= len(text) for token in found)
    assert all(token.start < token.end for token in found if not token.special)


def test_word_pieces_lose_their_hashes_but_two_hashes_stay() -> None:
    found = cut(word_piece(), "catsing ##")
    assert [token.piece for token in found] == ["[CLS]", "cat", "##s", "##ing", "#", "#", "[SEP]"]
    assert texts(found) == ["[CLS]", "cat", "s", "ing", "#", "#", "[SEP]"]
    assert spans(found) == [(0, 0), (0, 3), (3, 4), (4, 7), (8, 9), (9, 10), (10, 10)]


def test_a_piece_that_is_only_hashes_stays() -> None:
    assert texts(list(bare({"##": 0}, decoder=decoders.WordPiece())("##"))) == ["##"]


def test_byte_letters_are_read_back_and_parts_of_a_character_named() -> None:
    found = cut(byte_level(), "cat the\n🙂")
    assert [token.piece for token in found[2:4]] == ["Ġthe", "Ċ"]
    assert texts(found) == ["c", "at", " the", "\n", "\\xf0", "\\x9f", "\\x99", "\\x82"]
    assert spans(found) == [(0, 1), (1, 3), (3, 7), (7, 8), *[(8, 9)] * 4]


def test_a_whole_character_of_several_bytes_is_itself() -> None:
    assert texts(list(bare({"Ã©": 0}, decoder=decoders.ByteLevel())("Ã©"))) == ["é"]


def test_a_letter_that_stands_for_no_byte_leaves_the_piece_alone() -> None:
    assert texts(list(bare({"日Ġ": 0}, decoder=decoders.ByteLevel())("日Ġ"))) == ["日Ġ"]


def test_underlines_are_spaces_and_byte_pieces_are_bytes() -> None:
    found = cut(byte_fallback(), "the cat\n日")
    assert [token.piece for token in found] == ["<s>", "▁the", "▁cat", "<0x0A>", "<0xE6>", "<0x97>", "<0xA5>"]
    assert texts(found) == ["<s>", " the", " cat", "\n", "\\xe6", "\\x97", "\\xa5"]
    assert spans(found) == [(0, 0), (0, 3), (3, 7), (7, 8), (8, 9), (8, 9), (8, 9)]


@pytest.mark.parametrize(
    ("part", "piece", "text"),
    [
        (decoders.Metaspace(), "▁the", " the"),
        (decoders.BPEDecoder(suffix="</w>"), "the</w>", "the "),
        (decoders.Sequence([decoders.Replace("_", " "), decoders.Fuse()]), "_the", " the"),
        (decoders.CTC(), "the", "the"),
        (None, "##the", "##the"),
    ],
)
def test_other_decoders_are_undone_piece_by_piece(part: Any, piece: str, text: str) -> None:
    assert texts(list(bare({piece: 0}, decoder=part)(piece))) == [text]


def test_without_a_decoder_the_pre_tokenizer_tells_the_spelling() -> None:
    inner = tokenizers.Tokenizer(models.BPE({"Ġ": 0, "a": 1, "Ġa": 2}, [("Ġ", "a")]))
    inner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.ByteLevel(add_prefix_space=True)])
    assert texts(cut(inner, "a a")) == [" a", " a"]


def test_offsets_count_characters_of_the_text_as_given() -> None:
    found = cut(word_piece(), "CAFÉ 日cat e\u0301x")
    assert texts(found) == ["[CLS]", "c", "a", "f", "e", "日", "cat", "e", "x", "[SEP]"]
    assert spans(found)[5:] == [(5, 6), (6, 9), (10, 11), (12, 13), (13, 13)]


def test_special_tokens_stand_at_the_ends_of_their_texts() -> None:
    found = cut(word_piece(), "the cat", "sat")
    assert texts(found) == ["[CLS]", "the", "cat", "[SEP]", "sat", "[SEP]"]
    assert spans(found) == [(0, 0), (0, 3), (4, 7), (7, 7), (0, 3), (3, 3)]
    assert [token.segment for token in found] == [0, 0, 0, 0, 1, 1]
    assert [token.special for token in found] == [True, False, False, True, False, True]


def test_typed_special_tokens_keep_their_places() -> None:
    found = cut(word_piece(), "the [MASK] [SEP]")
    assert texts(found) == ["[CLS]", "the", "[MASK]", "[SEP]", "[SEP]"]
    assert spans(found) == [(0, 0), (0, 3), (4, 10), (11, 16), (16, 16)]
    assert [token.special for token in found] == [True, False, True, True, True]


def test_a_token_that_takes_the_spaces_around_it_keeps_its_name() -> None:
    inner = byte_level()
    inner.add_special_tokens([tokenizers.AddedToken("<mask>", lstrip=True, rstrip=True)])
    found = cut(inner, "cat <mask> sat")
    assert [(token.piece, token.text, token.start, token.end) for token in found if token.special] == [
        ("<mask>", "<mask>", 3, 11)
    ]


def test_an_added_token_is_kept_verbatim() -> None:
    inner = byte_level()
    inner.add_tokens(["Ġodd"])
    found = cut(inner, "Ġodd")
    assert [(token.text, token.special) for token in found] == [("Ġodd", False)]


def test_no_padding_and_no_truncation_though_the_file_asks_for_both() -> None:
    inner = word_piece()
    assert len(inner.encode("cat").ids) == 48
    assert len(cut(inner, "cat")) == 3
    assert len(cut(inner, "cat " * 60)) == 62


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_an_empty_text_has_only_special_tokens(text: str) -> None:
    assert texts(cut(word_piece(), text)) == ["[CLS]", "[SEP]"]
    assert spans(cut(word_piece(), "")) == [(0, 0), (0, 0)]
    assert cut(byte_level(), "") == []


def test_a_directory_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    with pytest.raises(AttnError) as caught:
        open_tokenizer(tmp_path)
    assert caught.value.problem == f"{tmp_path} has no tokenizer: neither tokenizer.json nor an older file"
    hint = "--tokenizer DIR, the directory of the model that it was trained with"
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b"{", "EOF while parsing an object at line 1 column 1"),
        (b"\xff", "stream did not contain valid UTF-8"),
        (b'{"model": {"type": "Magic"}}', None),
        (b"[" * 100_000, "invalid type: sequence, expected struct Tokenizer at line 1 column 1"),
    ],
)
def test_a_damaged_tokenizer_says_so(tmp_path: Path, content: bytes, problem: str | None) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(content)
    with pytest.raises(AttnError) as caught:
        open_tokenizer(tmp_path)
    start = f"{file} is not a valid tokenizer: "
    assert caught.value.problem.startswith(start)
    assert problem is None or caught.value.problem == start + problem
    assert caught.value.hint == "download tokenizer.json again"


def test_a_vocabulary_without_its_own_unknown_word_says_so() -> None:
    broken = FastTokenizer(tokenizers.Tokenizer(models.WordPiece({"a": 0}, unk_token="[UNK]")))
    with pytest.raises(AttnError) as caught:
        broken("b")
    missing = "WordPiece error: Missing [UNK] token from the vocabulary"
    assert caught.value.problem == f"the text cannot be tokenized: {missing}"
    assert caught.value.hint == "download tokenizer.json again"


def test_a_template_that_contradicts_itself_says_so(tmp_path: Path) -> None:
    state = json.loads(word_piece().to_str())
    state["post_processor"]["special_tokens"]["[CLS]"]["ids"] = [2, 2]  # two numbers of one token
    (tmp_path / "tokenizer.json").write_text(json.dumps(state))
    with pytest.raises(AttnError, match=r"^the text cannot be tokenized: ") as caught:
        open_tokenizer(tmp_path)("a")
    assert caught.value.hint == "download tokenizer.json again"


def test_a_panic_of_the_library_is_an_error_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUST_BACKTRACE", "0")
    state = json.loads(word_piece().to_str())
    del state["post_processor"]["special_tokens"]["[CLS]"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(state))
    with pytest.raises(AttnError) as caught:
        open_tokenizer(tmp_path)("a")
    assert caught.value.problem == "the text cannot be tokenized: no entry found for key"
    assert capfd.readouterr().err == ""
