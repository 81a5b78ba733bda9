"""Words are those of Unicode (UAX #29), as the `regex` package finds them, with three differences."""

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.reading.token_selection import boundaries
from attn_cli.reading.token_selection.boundaries import words_of

DIFFERENT = regex.compile(
    r"[:_\p{M}\p{Cf}\s\p{No}\p{So}\p{Sk}\p{Nl}]"
)  # and white space: a run is one word there
# `regex` cuts words at apostrophes before the vowels of Latin, as French might: here are none.
SCRIPTS = "bcñ'.,;-\"3 9()\u0416ия\u05d0\u05d1\u05f4שلا،١٢漢字カタナーひら각ไทยक\u0e33Ω"  # noqa: RUF001


def split(text: str) -> list[str]:
    """The characters of each word."""
    words: list[str] = []
    for character, number in zip(text, words_of(text), strict=True):
        words[number:] = ["".join(words[number:]) + character]
    return words


def split_by_unicode(text: str) -> list[str]:
    return [word for word in regex.split(r"\b", text, flags=regex.WORD | regex.V1) if word]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("don't it’s rock'n'roll", ["don't", " ", "it’s", " ", "rock'n'roll"]),
        ("state-of-the-art", ["state", "-", "of", "-", "the", "-", "art"]),
        ("3.14 1,000.5 1'000", ["3.14", " ", "1,000.5", " ", "1'000"]),
        ("e.g. U.S.A. example.org", ["e.g", ".", " ", "U.S.A", ".", " ", "example.org"]),
        ('"Yes."', ['"', "Yes", ".", '"']),
        (
            "it. The 3.a a.3 a,b",
            ["it", ".", " ", "The", " ", "3", ".", "a", " ", "a", ".", "3", " ", "a", ",", "b"],
        ),
        ("漢字かなカタカナ", ["漢", "字", "か", "な", "カタカナ"]),
        ("ラーメン", ["ラーメン"]),
        ("ไทย", ["ไ", "ท", "ย"]),
        ("हिन्दी में", ["हिन्दी", " ", "में"]),
        ("می‌خواهم", ["می‌خواهم"]),
        ("צה\"ל ג'ירפה ג' צ\"", ['צה"ל', " ", "ג'ירפה", " ", "ג'", " ", "צ", '"']),
        ("한국어는", ["한국어는"]),
        ("e\u0301'a na\u0308ive", ["e\u0301'a", " ", "na\u0308ive"]),
        ("👩‍🚀🇩🇪🇫🇷👍🏽", ["👩‍🚀", "🇩🇪", "🇫🇷", "👍🏽"]),
        ("snake_case x1y", ["snake_case", " ", "x1y"]),
        ("\r\n", ["\r\n"]),
    ],
)
def test_words_are_those_of_unicode(text: str, words: list[str]) -> None:
    assert split(text) == words == split_by_unicode(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("TODO:fix", ["TODO", ":", "fix"]),
        ("_it_", ["_", "it", "_"]),
        ("m²", ["m²"]),
        ("\n\n  x", ["\n", "\n", " ", " ", "x"]),
    ],
)
def test_words_differ_from_those_of_unicode_in_colons_underscores_and_white_space(
    text: str, words: list[str]
) -> None:
    assert split(text) == words != split_by_unicode(text)


@given(st.text(SCRIPTS, max_size=30))
def test_words_of_any_text_of_these_scripts_are_those_of_unicode(text: str) -> None:
    without = DIFFERENT.sub("x", text)
    assert split(without) == split_by_unicode(without)


@pytest.mark.parametrize("character", ["_", "\N{REGIONAL INDICATOR SYMBOL LETTER A}"])
def test_a_long_run_is_measured_once_and_not_at_each_of_its_places(character: str) -> None:
    text = f"a{character * 5000}b"
    before = boundaries._runs.cache_info().misses  # noqa: SLF001
    assert words_of(text)[-1] == (0 if character == "_" else 2501)
    assert boundaries._runs.cache_info().misses == before + 1  # noqa: SLF001
