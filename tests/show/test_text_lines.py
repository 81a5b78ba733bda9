"""Lines of a text: broken where a reader would, as wide as they may be, with every character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from attn_cli.show.text_lines import ShownPiece, safe, wrapped
from tests.support.hostile import HOSTILE


def lines(*pieces: str | ShownPiece, width: int = 20) -> list[str]:
    shown = [piece if isinstance(piece, ShownPiece) else ShownPiece(piece) for piece in pieces]
    return ["".join(run.text for run in line) for line in wrapped(shown, width, cell_len)]


def test_a_line_ends_between_words_and_not_between_tokens() -> None:
    assert lines("the ", "un", "believ", "able", " cat", width=12) == ["the", "unbelievable", "cat"]


def test_lines_of_the_text_and_its_indents_are_kept() -> None:
    assert lines("def f():\n    return 1\n\nend") == ["def f():", "    return 1", "", "end"]
    assert lines("a\r\n\tb\rc") == ["a", "    b", "c"]


def test_chinese_and_japanese_break_anywhere_but_before_punctuation() -> None:
    assert lines("日本語の、文章", width=8) == ["日本語", "の、文章"]


def test_thai_breaks_between_tokens() -> None:
    assert lines("ภาษา", "ไทย", width=5) == ["ภาษา", "ไทย"]
    assert lines("ab", "cd", width=3) == ["abc", "d"]


def test_a_word_that_is_too_long_is_broken_between_characters() -> None:
    assert lines("a" * 9, width=4) == ["aaaa", "aaaa", "a"]
    assert lines("e\u0301" * 3, width=2) == ["e\u0301e\u0301", "e\u0301"]


def test_tokens_without_text_are_set_apart() -> None:
    mark = ShownPiece("[CLS]", is_mark=True)
    assert lines(mark, "the", mark, mark, " cat", width=40) == ["[CLS] the [CLS] [CLS] cat"]


def test_white_space_with_a_weight_is_seen() -> None:
    seen = ShownPiece("\n", is_visible=True, after="[.4]")
    assert lines("a", seen, ShownPiece("  ", is_visible=True), "b") == ["a⏎[.4]", "␣␣b"]


def test_a_number_stays_with_its_word() -> None:
    number = ShownPiece("日", before="{", after="}[.42]")
    assert lines("本", number, width=9) == ["本", "{日}[.42]"]


def test_control_characters_are_spelled_out_and_joiners_in_words_are_not() -> None:
    assert safe("\x1b[31m\u202e") == "\\x1b[31m\\u202e"
    assert safe("\u0645\u06cc\u200c\u062e") == "\u0645\u06cc\u200c\u062e"
    assert safe("\u200ca\u200c") == "\\u200ca\\u200c"


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("width", [7, 30])
def test_no_line_is_too_wide_or_has_a_control_character(text: str, width: int) -> None:
    for line in lines(text, width=width):
        assert cell_len(line) <= width
        assert (
            line.isprintable() or "\u200c" in line or "\u200d" in line or "\u3000" in line or "\xa0" in line
        )


@given(st.lists(st.text(alphabet="ab 日、\n"), max_size=8), st.integers(2, 12))
def test_every_character_is_on_a_line_in_order(pieces: list[str], width: int) -> None:
    written = "".join(lines(*pieces, width=width))
    assert written.replace(" ", "") == "".join(pieces).replace(" ", "").replace("\n", "")
    assert all(cell_len(line) <= width for line in lines(*pieces, width=width))
