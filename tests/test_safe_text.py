"""Labels: external text, made harmless and visible."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli import safe_text
from attn_cli.safe_text import condensed, in_order, is_right_to_left, label, printable

CONTROL = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text())
def test_nothing_printable_controls_a_terminal(text: str) -> None:
    found = {unicodedata.category(character) for character in printable(text)}
    assert not found & CONTROL


@given(st.text())
def test_the_only_format_character_left_is_the_joiner(text: str) -> None:
    formats = {c for c in printable(text) if unicodedata.category(c) == "Cf"}
    assert formats <= {"\N{ZERO WIDTH JOINER}"}


@given(st.text())
def test_printable_text_stays_as_it_is(text: str) -> None:
    once = printable(text)
    assert printable(once) == once


@given(st.text())
def test_a_label_is_visible(text: str) -> None:
    shown = label(text)
    assert shown == shown.strip() != ""
    assert not unicodedata.category(shown[0]).startswith("M")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\rd", "a⏎b⇥c␍d"),
        ("abc\u202edef", "abc\\u202edef"),
        ("\ud800", "\\ud800"),
        ("[/bold]", "[/bold]"),
        ("日本", "日本"),
        ("\u3164", "\\u3164"),
    ],
)
def test_what_is_not_seen_is_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_joiner_stays_inside_an_emoji() -> None:
    family = "👩\u200d👩\u200d👧"
    assert printable(family) == family
    assert printable("❤\ufe0f\u200d🔥") == "❤\ufe0f\u200d🔥"


def test_a_joiner_that_joins_nothing_is_spelled_out() -> None:
    assert label("\u200d") == "\\u200d"
    assert label("👩\u200d") == "👩\\u200d"
    assert label("a\u200db") == "a\\u200db"


def test_space_around_a_label_goes() -> None:
    assert label(" cat ") == "cat"
    assert label("\xa0cat\u3000") == "cat"


def test_a_label_of_spaces_shows_how_many() -> None:
    assert label("") == "␣"
    assert label("   ") == "␣␣␣"
    assert label("\xa0\u3000") == "␣␣"


def test_an_accent_alone_stands_on_a_circle() -> None:
    assert label("\u0301") == "◌\u0301"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\U0001f3fd", "\\U0001f3fd"),
        ("a\U0001f3fd", "a\\U0001f3fd"),
        ("\U0001f44d\U0001f3fd", "\U0001f44d\U0001f3fd"),
    ],
)
def test_a_skin_tone_without_a_picture_is_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown  # terminals draw it two columns wide, and Rich counts none


@pytest.mark.parametrize(
    "text", ["\u05d0", "\u0633", "\u0663", "\ufeb3", "ab-\u05d0", "\U00010900", "\U0001e900"]
)
def test_hebrew_arabic_and_arabic_digits_are_written_from_right_to_left(text: str) -> None:
    assert is_right_to_left(text)
    assert in_order(f"0 {text} 0.5") == f"\u200e0 {text}\u200e 0.5"


@pytest.mark.parametrize("text", ["abc", "\u00d7", "\u0915", "\u65e5", "\u0301", "3", "\u2192", "\u05bc"])
def test_other_text_has_no_marks(text: str) -> None:
    assert in_order(f"0 {text} 0.5") == f"0 {text} 0.5"


@pytest.mark.parametrize("vowel", ["\u1161", "\u11a8", "\ud7b0", "\ud7cb"])
def test_a_korean_vowel_or_final_without_a_syllable_stands_on_a_circle(vowel: str) -> None:
    assert label(vowel) == f"\u25cc{vowel}"
    assert label(f"\u1112{vowel}") == f"\u1112{vowel}"


LONG = "x" * 10**6


@pytest.mark.parametrize(
    "sentence",
    [
        LONG,
        f"the type {LONG} is unknown",
        "x y " * 10**5,
        "\x1b" * 10**5,
        "\U000e0001" * 10**5,
        f"{LONG} {LONG}",
    ],
)
def test_a_sentence_has_a_bound_whatever_stands_in_it(sentence: str) -> None:
    short = condensed(printable(condensed(sentence)))
    assert len(short) <= 600
    assert "…" in short


@pytest.mark.parametrize("length", [320, 321])
def test_a_word_is_cut_where_no_path_of_a_cache_is_so_long(length: int) -> None:
    word = "/" + "x" * (length - 2) + "y"
    cut = condensed(f"{word} does not exist")
    assert (cut == f"{word} does not exist") == (length == 320)
    assert cut.startswith("/x")
    assert cut.endswith("y does not exist")


@pytest.mark.parametrize("count", [600, 601])
def test_a_sentence_keeps_its_beginning_and_its_end(count: int) -> None:
    sentence = ("no " + "ab " * 200)[: count - 4] + " end"
    assert (condensed(sentence) == sentence) == (count == 600)
    assert condensed(sentence).startswith("no ab")
    assert condensed(sentence).endswith(" end")


@pytest.mark.parametrize(
    "mark", ["\u034f", "\u17b4", "\u180b", "\ufe00", "\ufe0f", "\U000e0100", "\U000e01ef"]
)
def test_a_mark_that_is_not_drawn_is_spelled_out(mark: str) -> None:
    spelled = mark.encode("unicode_escape").decode()
    assert label(mark) == spelled
    assert label(f"a{mark}") == f"a{spelled}"


@pytest.mark.parametrize("text", ["❤\ufe0f", "1\ufe0f\u20e3", "‼\ufe0f", "↔\ufe0e"])
def test_a_selector_stays_after_what_it_changes(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("mark", ["\u0301", "\u20dd", "\u0e31"])
def test_of_very_many_accents_only_the_first_are_shown(mark: str) -> None:
    assert label("e" + mark * 100_000) == f"e{mark * 10}……"
    assert printable("e" + mark * 100_000) == f"e{mark * 10}…"
    assert printable(f"e{mark * 10}") == f"e{mark * 10}"
    assert printable(f"e{mark * 11}f") == f"e{mark * 10}…f"


def test_a_label_of_a_long_text_is_truncated() -> None:
    assert label("a" * 200) == "a" * 200
    assert label("a" * 1_000_000) == "a" * 200 + "…"


def test_latin_letters_and_signs_stay_as_they_are_whatever_stands_beside_them() -> None:
    plain = [chr(point) for point in range(0x250) if re.fullmatch(safe_text._PLAIN, chr(point))]  # noqa: SLF001
    assert len(plain) == 525
    for letter in plain:
        assert printable(f"{letter}\0") == f"{letter}\\x00"  # the way for all other texts
        assert letter.isprintable()
