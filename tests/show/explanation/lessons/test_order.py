"""The page of the lesson on order: its numbers follow from the numbers printed above them."""

from dataclasses import replace
from pathlib import Path

import pytest

from attn_cli.reading.lessons.order import study
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.show.explanation.document import Document
from attn_cli.show.explanation.figures import Ledger
from attn_cli.show.explanation.lessons import order
from attn_cli.show.explanation.plain import as_text
from attn_cli.vocabulary import Kind, Language
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.lessons import check_equations, lesson_text, numbers, reading_for, table

TEXT = "The animal didn't cross the street because it was too tired"


def test_without_order_both_columns_are_the_same() -> None:
    rows = table(lesson_text("order", reading_for(None, TEXT), (2, 2), 10), "key")
    keys = [row for row in rows if row[0] not in {"rounding", "sum"}]
    assert all(row[-4] == row[-3] for row in keys)
    assert any(row[-2] != row[-1] for row in keys)


@pytest.mark.parametrize("query", [0, 5, 13])
@pytest.mark.parametrize("head", range(8))
def test_its_equations_close(head: int, query: int) -> None:
    assert check_equations(lesson_text("order", reading_for(None, TEXT), (1, head), query)) == 2


@pytest.mark.parametrize(
    ("family", "told"),
    [
        ("bloom", "ALiBi's bias by distance, causal mask"),
        ("mistral", "rotary positions (RoPE), causal mask, window of the mask"),
        ("mpnet", "learned position embeddings, learned bias by distance"),
        ("deberta-v2", "DeBERTa's distance embeddings"),
    ],
)
def test_it_says_what_tells_the_order(family: str, told: str, tmp_path: Path) -> None:
    FAMILIES[family].save(tmp_path)
    page = lesson_text("order", reading_for(tmp_path / ".", TEXT), (1, 1), 4)
    assert f"is told by: {told}." in page
    assert check_equations(page) == 2


@pytest.mark.parametrize(
    ("difference", "printed"),
    [(0.0, "0.0000"), (0.0123, "0.0123"), (5.4e-7, "0.00000054"), (3.2e-12, "0.000000000")],
)
def test_what_rounding_leaves_is_printed_with_two_digits(difference: float, printed: str) -> None:
    reading = reading_for(None, "the cat sat")
    found = study(LessonRequest(reading, (0, 0), 1, 0))
    found = replace(found, without=replace(found.without, difference=difference))
    ledger = Ledger(4)
    blocks = list(order.blocks(found, ledger, reading.sides, ("TEXT",)))
    page = as_text(Document(blocks, ledger.settle()), Language.EN)
    (line,) = [line for line in page.splitlines() if line.startswith("nothing tells the order")]
    assert line.split()[-1] == printed


def test_cross_attention_reverses_the_other_text(tmp_path: Path) -> None:
    TRANSLATORS["marian"].save(tmp_path)
    page = lesson_text("order", reading_for(tmp_path, TEXT, Kind.CROSS), (1, 1), 2)
    assert "The lesson reverses the text that" in page
    assert "is told by: sinusoidal position embeddings." in page


def test_both_languages_have_the_same_numbers() -> None:
    pages = {
        language: lesson_text("order", reading_for(None, TEXT), (2, 2), 10, language=language)
        for language in Language
    }
    found = {language: numbers(page, language, "2.2 ", "2203.16634") for language, page in pages.items()}
    assert found[Language.EN] == found[Language.PT]


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("language", Language)
def test_it_fits_the_width(width: int, language: Language) -> None:
    page = lesson_text("order", reading_for(None, TEXT), (2, 2), 10, language=language, width=width)
    assert all(len(line) <= width for line in page.splitlines() if "attn explain" not in line)


def test_equal_tokens_have_equal_weights_without_order() -> None:
    page = lesson_text("order", reading_for(None, "see the cat and the mat"), (1, 1), 3)
    assert 'Equal tokens have equal weights then: "the" (3) and "the" (6).' in page
    rows = {row[0]: row for row in table(page, "key")}
    assert rows["3 the"][-4] == rows["6 the"][-4]
    assert "Equal tokens" not in lesson_text("order", reading_for(None, "the cat sat"), (1, 1), 3)


def test_the_words_of_the_field_are_said() -> None:
    page = lesson_text("order", reading_for(None, TEXT), (2, 2), 10)
    assert "attention alone is permutation equivariant; to it the tokens are a multiset" in page
    assert "A causal mask alone is enough to learn positions (Haviv et al. 2022, arXiv:2203.16634)." in page
    assert "so without them it is used outside its training." in page


def test_an_encoder_is_not_told_by_a_causal_mask(twins: Path) -> None:
    assert "Haviv" not in lesson_text("order", reading_for(twins / "bert", TEXT), (1, 1), 4)


def test_no_difference_leaves_no_rounding_to_explain() -> None:
    reading = reading_for(None, "the cat sat")
    found = study(LessonRequest(reading, (0, 0), 1, 0))
    for difference, is_said in ((0.0, False), (1e-7, True)):
        changed = replace(found, without=replace(found.without, difference=difference))
        ledger = Ledger(4)
        blocks = list(order.blocks(changed, ledger, reading.sides, ("TEXT",)))
        page = as_text(Document(blocks, ledger.settle()), Language.EN)
        assert ("What is left in the first line is rounding" in page) == is_said


def test_positions_add_up_where_one_block_of_tokens_is_reversed() -> None:
    page = lesson_text("order", reading_for(None, TEXT), (2, 2), 10)
    assert "moves so that the old and the new position add up to 14: 14 - " in page
    found = study(LessonRequest(reading_for(None, TEXT), (2, 2), 10, 0))
    assert replace(found, places=[0, 2, 1, 4, 3]).mirrored is None
