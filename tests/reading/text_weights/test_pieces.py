"""A text in pieces: every character once, every token once, no character cut."""

from pathlib import Path

import pytest

from attn_cli.answers.shaded_text import Piece
from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.reading.reading import TextRequest, read
from attn_cli.reading.text_weights.pieces import pieces_of
from attn_cli.reading.token_selection.text_side import TextSide
from tests.support.hostile import HOSTILE
from tests.support.readings import reading_of
from tests.support.sides import side_of_pieces


def texts(pieces: tuple[Piece, ...]) -> list[str]:
    """What the tokens of each piece stand for."""
    return [piece.text for piece in pieces if piece.tokens]


@pytest.mark.parametrize("model", ["storybook", "bert", "llama", "random"])
def test_the_pieces_are_the_text_and_every_token_is_in_one(model: str, twins: Path) -> None:
    name = model if model in {"storybook", "random"} else str(twins / model)
    source = open_source(SourceRequest(name), {}, weights=False)
    for text in HOSTILE:
        side = TextSide(source.tokens(text, None), (text,))
        pieces = pieces_of(side)
        assert "".join(piece.text for piece in pieces if not piece.is_mark) == text
        positions = [position for piece in pieces for position in piece.tokens]
        assert sorted(positions) == [token.position for token in side.tokens], text


def test_the_bytes_of_an_emoji_are_one_piece() -> None:
    pieces = pieces_of(reading_of("a 👩‍👩‍👧 b", "storybook").key_side)
    assert texts(pieces)[-2:] == ["👩‍👩‍👧", "b"]


def test_a_letter_and_its_accents_are_one_piece() -> None:
    pieces = pieces_of(side_of_pieces("cafe", "\u0301", " s"))
    assert pieces == (Piece("cafe\u0301", (0, 1)), Piece(" "), Piece("s", (2,)))


def test_a_flag_is_one_piece_and_two_flags_are_two() -> None:
    assert texts(pieces_of(side_of_pieces(*"🇧🇷🇫🇷"))) == ["🇧🇷", "🇫🇷"]


def test_the_space_before_a_word_belongs_to_no_token() -> None:
    assert pieces_of(side_of_pieces("the", " cat")) == (Piece("the", (0,)), Piece(" "), Piece("cat", (1,)))


def test_a_token_of_white_space_has_a_piece_of_its_own() -> None:
    pieces = pieces_of(side_of_pieces("the", "\n\n", "  ", "cat"))
    assert texts(pieces) == ["the", "\n\n", "  ", "cat"]


def test_pieces_of_a_word_stay_apart() -> None:
    assert texts(pieces_of(side_of_pieces("py", "jam", "as"))) == ["py", "jam", "as"]


def test_tokens_without_text_are_marks_where_they_stand() -> None:
    pieces = pieces_of(side_of_pieces("the", begin=["[CLS]"], end=["[SEP]"]))
    assert pieces == (Piece("[CLS]", (0,), True), Piece("the", (1,)), Piece("[SEP]", (2,), True))


def test_marks_that_the_tokenizer_drops_belong_to_their_letter(twins: Path) -> None:
    (piece,) = [
        piece
        for piece in pieces_of(reading_of("cafe\u0301", str(twins / "bert")).key_side)
        if "\u0301" in piece.text
    ]
    assert piece.text.endswith("e\u0301")
    assert piece.tokens


def test_the_second_text_of_a_pair_begins_a_line(twins: Path) -> None:
    source = open_source(SourceRequest(str(twins / "bert")), {}, weights=False)
    side = read(source, TextRequest("the cat", "the mat")).key_side
    written = "".join(piece.text for piece in pieces_of(side) if not piece.is_mark)
    assert written == "the cat\nthe mat"
