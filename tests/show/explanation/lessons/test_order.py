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
    found = {language: numbers(page, language, "2.2 ") for language, page in pages.items()}
    assert found[Language.EN] == found[Language.PT]


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("language", Language)
def test_it_fits_the_width(width: int, language: Language) -> None:
    page = lesson_text("order", reading_for(None, TEXT), (2, 2), 10, language=language, width=width)
    assert all(len(line) <= width for line in page.splitlines() if "attn explain" not in line)
