"""The page of the lesson on heads: its numbers follow from the numbers printed above them."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from attn_cli.answers.lessons.heads import HeadsStudy
from attn_cli.reading.lessons.heads import study
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.show.explanation.document import Document
from attn_cli.show.explanation.figures import Ledger
from attn_cli.show.explanation.lessons import heads
from attn_cli.show.explanation.plain import as_text
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


def study_of(model: Path | None, place: tuple[int, int], query: int) -> HeadsStudy:
    return study(LessonRequest(reading_for(model, TEXT), place, query, 0))


def page_of(found: HeadsStudy) -> str:
    ledger = Ledger(4)
    made = list(heads.blocks(found, ledger, reading_for(None, TEXT).sides, ("TEXT",)))
    return as_text(Document(made, ledger.settle()), Language.EN).replace("\n", " ")


def test_how_widely_the_wide_head_spreads_is_measured() -> None:
    page = lesson_text("heads", reading_for(None, TEXT), (1, 2), 10)
    found = study_of(None, (1, 2), 10)
    assert found.wide_deviation > 1.05 * found.deviation
    spread = f"a standard deviation of {found.deviation:.2f} (the root of their mean variance); here it is "
    assert f"{spread}{found.wide_deviation:.2f}, because the heads tend to prefer the same keys." in page


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (1.06, "tend to prefer the same keys"),
        (1.04, "agree on some keys about as much as they differ"),
        (0.96, "agree on some keys about as much as they differ"),
        (0.94, "tend to prefer different keys"),
    ],
)
def test_whether_heads_agree_follows_from_the_spread(times: float, said: str) -> None:
    found = study_of(None, (1, 2), 10)
    scores = found.wide_scores * times * found.deviation / found.wide_deviation
    assert f"because the heads {said}" in page_of(replace(found, wide_scores=scores))


def test_shared_keys_are_not_called_free(twins: Path) -> None:
    page = lesson_text("heads", reading_for(twins / "llama", TEXT), (1, 1), 6)
    assert "(each group of 2 heads shares its keys, which are repeated)" in page
    assert "one wide head would need W^K and W^V 2 times as large" in page
    assert "Neither costs more" not in page


def test_one_visible_key_has_no_spread() -> None:
    assert "standard deviation" not in lesson_text("heads", reading_for(None, TEXT), (2, 2), 0)


def test_two_heads_have_one_distance() -> None:
    page = lesson_text("heads", reading_for("random", TEXT, heads=2), (0, 1), 5)
    found = study(LessonRequest(reading_for("random", TEXT, heads=2), (0, 1), 5, 0))
    assert f"The distance between the two heads is {found.distances[0, 1]:.4f}." in page


def test_only_negative_terms_after_an_operator_have_parentheses() -> None:
    page = lesson_text("heads", reading_for(None, TEXT), (1, 2), 10, key=1)
    (line,) = [line for line in page.splitlines() if line.count(" + ") >= 7]
    assert not re.search(r"\(\d", line.partition("=")[0])
    assert re.search(r"\+ \(-\d", line)


def test_one_key_is_in_the_singular() -> None:
    page = lesson_text("heads", reading_for("random", "cat"), (0, 1), 0)
    assert "multiplications for q·k with 1 key: " in page
