"""Which tokens form a word: those that share its characters, whatever the tokenizer."""

from pathlib import Path

import pytest

from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.models.tokens.open import open_tokenizer
from attn_cli.reading.reading import TextRequest, read
from attn_cli.reading.token_selection.text_side import TextSide
from attn_cli.reading.words.forming import form_words
from attn_cli.reading.words.reading import in_words
from attn_cli.reading.words.words import WordSide
from tests.support.hostile import HOSTILE
from tests.support.own_words import SCRIPTS, words_by_hand
from tests.support.readings import reading_of
from tests.support.sides import side_of, side_of_pieces
from tests.support.tokenizer_kinds import KINDS
from tests.support.twins import minilm


def members(side: TextSide) -> list[list[int]]:
    return [list(word.positions) for word in form_words(side)]


def texts(side: TextSide) -> list[str]:
    return [word.text for word in form_words(side)]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for each kind of tokenizer."""
    directory = tmp_path_factory.mktemp("tokenizers")
    for kind, fill in KINDS.items():
        (directory / kind).mkdir()
        fill(directory / kind)
    return directory


@pytest.mark.parametrize("kind", KINDS)
def test_words_are_the_same_as_those_found_by_hand(kind: str, tokenizers: Path) -> None:
    tokenizer = open_tokenizer(tokenizers / kind)
    for text in SCRIPTS:
        side = TextSide(tokenizer(text), (text,))
        assert members(side) == words_by_hand(side), text


@pytest.mark.parametrize("text", SCRIPTS)
def test_words_of_real_models_are_the_same_as_those_found_by_hand(text: str) -> None:
    for model in ("storybook", str(minilm())):
        side = reading_of(text, model).key_side
        assert members(side) == words_by_hand(side), model


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama", "t5", "xlm-roberta", "llama, byte-level"])
def test_every_token_of_any_text_is_in_one_word(kind: str, tokenizers: Path) -> None:
    tokenizer = open_tokenizer(tokenizers / kind)
    for text in HOSTILE:
        tokens = tokenizer(text)
        words = form_words(TextSide(tokens, (text,)))
        positions = [position for word in words for position in word.positions]
        assert sorted(positions) == list(range(len(tokens))), text
        assert all(text[word.start : word.end] == word.text for word in words if word.end > word.start)
        firsts = [word.positions[0] for word in words]
        assert firsts == sorted(firsts)


def test_pieces_of_a_word_are_one_and_signs_stand_alone() -> None:
    side = side_of_pieces("py", "jam", "as", ",", " state", "-", "of", " don", "'", "t", ".")
    assert texts(side) == ["pyjamas", ",", "state", "-", "of", "don't", "."]


def test_special_tokens_stand_alone_even_beside_letters() -> None:
    side = side_of_pieces("the", " cat", begin=["[CLS]"], end=["[SEP]"])
    assert (texts(side), members(side)[0]) == (["[CLS]", "the", "cat", "[SEP]"], [0])


def test_a_token_for_an_unknown_letter_is_a_part_of_its_word(tokenizers: Path) -> None:
    tokens = open_tokenizer(tokenizers / "t5")("naïve it")
    assert [token.text for token in tokens if token.special] == ["<unk>", "</s>"]
    assert texts(TextSide(tokens, ("naïve it",))) == ["naïve", "it", "</s>"]


def test_a_space_of_its_own_belongs_to_the_word_after_it() -> None:
    assert members(side_of_pieces("in", " ", "19", "84")) == [[0], [1, 2, 3]]
    assert members(side_of_pieces("in", " ", " 19", "84")) == [[0], [1], [2, 3]]
    assert members(side_of_pieces("in", "  ", "19")) == [[0], [1], [2]]
    assert members(side_of_pieces("in", "\n", "19", " ")) == [[0], [1], [2], [3]]


def test_words_that_share_a_token_are_one() -> None:
    side = side_of_pieces('"', "the", " cat", '."', " x", "-y", "z")
    words = form_words(side)
    assert [word.text for word in words] == ['"', "the", "cat", '."', "x", "-yz"]
    assert [word.text for word in words if word.is_joined] == ['."', "-yz"]


def test_white_space_of_several_lines_is_said_to_share_nothing() -> None:
    assert not any(word.is_joined for word in form_words(side_of_pieces("a", "\n\n", "b")))


def test_words_never_span_two_texts() -> None:
    source = open_source(SourceRequest(str(minilm())), {})
    reading = read(source, TextRequest("the un", "happy cat"))
    words = form_words(reading.key_side)
    assert [word.text for word in words] == ["[CLS]", "the", "un", "[SEP]", "happy", "cat", "[SEP]"]


def test_equal_words_have_equal_ids_wherever_they_stand() -> None:
    side = side_of_pieces("the", " cat", " the", " The", " th", "e")
    ids = [word.id for word in WordSide.of(form_words(side)).words]
    assert ids[0] == ids[2] == ids[4]
    assert len({ids[0], ids[1], ids[3]}) == 3


def test_a_word_has_the_position_of_its_first_token_and_knows_its_tokens() -> None:
    words = WordSide.of(form_words(side_of_pieces("the", " py", "jam", "as", " cat")))
    assert [word.position for word in words.words] == [0, 1, 4]
    assert (words.containing([2]), words.containing([0, 3, 4])) == ((1,), (0, 1, 2))
    assert (list(words.cut_by([2])), list(words.cut_by([1, 2, 3]))) == ([1], [])


def test_the_random_layer_has_words_of_its_own() -> None:
    reading = in_words(reading_of("It's the cat.", "random"))
    assert [word.text for word in reading.keys] == ["It's", "the", "cat", "."]
    assert texts(side_of("a.b")) == ["a.b"]


def test_landmarks_of_pictures_are_words_at_the_positions_of_their_first_tokens() -> None:
    reading = in_words(reading_of("The unbelievable cat. It's tired", "storybook"))
    landmarks = reading.sides_of_pictures.landmarks
    assert landmarks is not None
    rows, columns = landmarks
    assert rows == columns
    assert rows.places == tuple(word.position for word in reading.keys)
    assert rows.words == ("<s>", "The", "unbelievable", "cat", ".", "It's", "tired")
