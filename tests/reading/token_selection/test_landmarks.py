"""Which words a long text is labelled with: those that begin sentences, then other words, then the rest."""

from collections.abc import Iterator

import pytest

from attn_cli.grid import Landmarks, Rank
from attn_cli.models.tokens.token import Token
from attn_cli.reading.token_selection.landmarks import landmarks_of
from attn_cli.reading.token_selection.text_side import TextSide


def split(*pieces: str) -> tuple[Token, ...]:
    """Tokens that are these pieces of a text, one after the other."""

    def tokens() -> Iterator[Token]:
        start = 0
        for place, piece in enumerate(pieces):
            yield Token(place, place, piece, piece, start, start + len(piece), special=False, segment=0)
            start += len(piece)

    return tuple(tokens())


def named(*pieces: str) -> list[tuple[str, Rank]]:
    landmarks = landmarks_of(TextSide(split(*pieces), ("".join(pieces),)))
    return list(zip(landmarks.words, landmarks.ranks, strict=True))


def test_a_word_is_named_in_full_where_it_begins() -> None:
    assert named("An", " unbelie", "v", "able", " story") == [
        ("An", Rank.SENTENCE),
        ("unbelievable", Rank.WORD),
        ("v", Rank.PIECE),
        ("able", Rank.PIECE),
        ("story", Rank.WORD),
    ]


@pytest.mark.parametrize("end", [".", "!", "?", "…", '."', "。", ".\n\n", ". «"])
def test_a_sentence_begins_after_the_end_of_one(end: str) -> None:
    assert named("He", " came", end, " She")[-1] == ("She", Rank.SENTENCE)


@pytest.mark.parametrize("mark", [",", ";", ":", " -", "\n"])
def test_a_comma_begins_no_sentence(mark: str) -> None:
    assert named("He", " came", mark, " then")[-1] == ("then", Rank.WORD)
    assert named("He", " came", mark, " then")[-2][1] is Rank.MARK


def test_an_empty_line_begins_a_sentence() -> None:
    assert named("Chapter", " one", "\n\n", "Alice")[-1] == ("Alice", Rank.SENTENCE)


def test_special_tokens_and_spaces_are_no_words() -> None:
    special = Token(0, 0, "[CLS]", "[CLS]", 0, 0, special=True, segment=0)
    found = landmarks_of(TextSide((special, *split("It", " ", "is")), ("It is",)))
    assert found.ranks == (Rank.MARK, Rank.SENTENCE, Rank.MARK, Rank.WORD)
    assert found.words[0] == "[CLS]"


def test_in_scripts_without_spaces_every_token_begins_a_word() -> None:
    assert [rank for _, rank in named("猫", "が", "座", "。")] == [
        Rank.SENTENCE,
        Rank.WORD,
        Rank.WORD,
        Rank.MARK,
    ]


def test_a_pair_of_texts_has_the_words_of_both() -> None:
    first, second = split("One", "."), split("Two", " words")
    second = tuple(Token(t.position + 2, t.id, t.piece, t.text, t.start, t.end, False, 1) for t in second)
    found = landmarks_of(TextSide((*first, *second), ("One.", "Two words")))
    assert found.words == ("One", ".", "Two", "words")
    assert found.ranks[2] is Rank.SENTENCE


def test_of_a_block_the_best_word_is_named_and_of_equals_the_first() -> None:
    ranks = (Rank.PIECE, Rank.WORD, Rank.WORD, Rank.MARK, Rank.SENTENCE)
    landmarks = Landmarks((0, 1, 2, 3, 4), tuple("abcde"), ranks)
    assert landmarks.best([0, 3], 5) == Landmarks((1, 4), ("b", "e"), (Rank.WORD, Rank.SENTENCE))
