"""The page of the lesson on heads: its numbers follow from the numbers printed above them."""

from pathlib import Path

import pytest

from attn_cli.vocabulary import Language
from tests.support.families import FAMILIES
from tests.support.lessons import check_equations, lesson_text, numbers, reading_for, table

TEXT = "The animal didn't cross the street because it was too tired"


def test_every_head_has_a_line_and_the_wide_one_the_last() -> None:
    rows = table(lesson_text("heads", reading_for(None, TEXT), (2, 2), 10), "head")
    assert [row[0] for row in rows] == [*map(str, range(8)), "one wide"]


@pytest.mark.parametrize("key", [0, 1, 7, 13])
def test_its_equations_close(key: int) -> None:
    assert check_equations(lesson_text("heads", reading_for(None, TEXT), (2, 2), 10, key=key)) == 4


@pytest.mark.parametrize("family", ["gemma2", "bloom", "qwen3", "deberta-v2"])
def test_they_close_in_families_with_more_than_q_k(family: str, tmp_path: Path) -> None:
    FAMILIES[family].save(tmp_path)
    page = lesson_text("heads", reading_for(tmp_path, TEXT), (1, 1), 6)
    assert check_equations(page) == 4
    assert ("What else the layer puts on its scores is kept" in page) == (family != "qwen3")


def test_many_heads_are_summed_up_in_a_line() -> None:
    page = lesson_text("heads", reading_for("random", TEXT, heads=16), (0, 9), 5)
    rows = table(page, "head")
    assert len(rows) == 10
    assert rows[-2][:2] == ["8 more", "(means)"]
    assert "9" in {row[0] for row in rows}
    assert check_equations(page) == 3


def test_both_languages_have_the_same_numbers() -> None:
    pages = {
        language: lesson_text("heads", reading_for(None, TEXT), (2, 2), 10, language=language)
        for language in Language
    }
    found = {language: numbers(page, language) for language, page in pages.items()}
    assert found[Language.EN] == found[Language.PT]


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("language", Language)
def test_it_fits_the_width(width: int, language: Language) -> None:
    page = lesson_text("heads", reading_for(None, TEXT), (2, 2), 10, language=language, width=width)
    assert all(len(line) <= width for line in page.splitlines() if "attn inspect" not in line)


def test_it_ends_with_a_command_for_the_whole_layer() -> None:
    page = lesson_text("heads", reading_for(None, TEXT), (2, 2), 10)
    assert page.splitlines()[-1] == "    attn inspect TEXT -l 2 --rows 10 -s weights"
