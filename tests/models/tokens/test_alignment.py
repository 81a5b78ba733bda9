"""The places of pieces in a text: known answers."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.models.tokens.alignment import align_pieces


def shown(text: str, *pieces: str) -> list[str]:
    return [text[start:end] for start, end in align_pieces(text, pieces)]


def test_pieces_have_the_places_of_their_letters() -> None:
    assert align_pieces("the cat", [" the", " c", "at"]) == [(0, 3), (4, 5), (5, 7)]


def test_a_repeated_piece_is_found_in_its_turn() -> None:
    assert align_pieces("ab ab ab", ["ab", " ab", " ab"]) == [(0, 2), (3, 5), (6, 8)]


@pytest.mark.parametrize(
    ("text", "pieces", "expected"),
    [
        ("CAFÉ ok", ("cafe", " ok"), ["CAF", "ok"]),  # an accent that was stripped is no letter of the piece
        ("Cafe\u0301 ok", ("Caf", "é", " ok"), ["Caf", "e\u0301", "ok"]),
        ("ﬁn", ("f", "in"), ["ﬁ", "ﬁn"]),  # one character, two letters
        ("a † b", ("a", " -", " b"), ["a", "†", "b"]),  # a mark that the tokenizer replaced
        ("日🙂 x", ("日", "<unk>", " x"), ["日", "🙂", "x"]),
        ("é x", ("\ufffd", "\ufffd", " ", "x"), ["é", "é", " ", "x"]),  # the bytes of a character
    ],
)
def test_normalised_and_unknown_pieces_have_the_characters_they_stand_for(
    text: str, pieces: tuple[str, ...], expected: list[str]
) -> None:
    assert shown(text, *pieces) == expected


def test_a_piece_of_spaces_alone_has_the_spaces_after_the_piece_before() -> None:
    assert align_pieces("a  日", [" ", "a", " ", "日"]) == [(0, 0), (0, 1), (1, 3), (3, 4)]


def test_a_line_break_and_the_pictures_of_an_emoji_have_places_of_their_own() -> None:
    assert align_pieces("a\nb", ["a", "b"]) == [(0, 1), (2, 3)]
    assert align_pieces("👩\N{ZERO WIDTH JOINER}🔬", ["👩", "🔬"]) == [(0, 1), (2, 3)]


def test_pieces_of_another_text_share_all_of_it() -> None:
    assert align_pieces(" xyz ", ["1", "2"]) == [(1, 4), (1, 4)]


def test_a_piece_between_two_halves_of_a_ligature_has_no_later_place_than_the_second() -> None:
    assert align_pieces("ﬀ", ["F", "", "F"]) == [(0, 1), (0, 0), (0, 1)]


def test_no_pieces_have_no_places() -> None:
    assert align_pieces("a", []) == []


@given(st.text(max_size=20), st.lists(st.text(max_size=5), max_size=8))
def test_whatever_the_pieces_their_places_lie_in_the_text_in_order(text: str, pieces: list[str]) -> None:
    found = align_pieces(text, pieces)
    assert all(0 <= start <= end <= len(text) for start, end in found)
    assert [start for start, _ in found] == sorted(start for start, _ in found)
    assert len(found) == len(pieces)


LONG = "the cat sat on a river and looked at nothing gently "


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        (LONG.replace("c", "c\x01") * 1000, LONG),  # the tokenizer drops control characters
        (LONG.replace("e", "é") * 1000, LONG),  # or accents
        (LONG * 1000, "xyz" * 10),  # or what it gives has nothing of the text
        ("ab" * 20_000, "ba" * 10),
    ],
)
def test_a_long_text_that_the_tokenizer_changed_is_aligned_in_linear_time(text: str, piece: str) -> None:
    before = time.process_time()
    spans = align_pieces(text, [piece] * 1000)
    assert len(spans) == 1000
    assert time.process_time() - before < 30


def test_pieces_of_a_long_text_have_the_places_of_their_letters_after_characters_that_were_dropped() -> None:
    text = "river \x01 cat \x02\x03 nothing " * 100
    spans = align_pieces(text, ["river", " cat", " nothing"] * 100)
    assert {text[start:end].strip() for start, end in spans} == {"river", "cat", "nothing"}
    assert [start for start, _ in spans[-3:]] == [text.rindex(word) for word in ("river", "cat", "nothing")]


def test_pieces_of_a_long_text_have_their_places_after_a_long_part_that_is_unknown() -> None:
    text = LONG * 10 + "日本" * 2000 + " gently" + LONG * 10
    spans = align_pieces(text, [LONG] * 10 + ["<unk>", " gently"] + [LONG] * 10)
    assert spans[11] == (text.index(" gently" + LONG) + 1, text.index(" gently" + LONG) + 7)
