"""The page of the lesson on the mask: its numbers follow from the numbers printed above them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attn_cli.answers.lessons.mask import MaskStudy
from attn_cli.answers.lessons.row import SoftmaxRow
from attn_cli.reading.lessons.mask import study
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.show.explanation.document import Document, Equation
from attn_cli.show.explanation.figures import Ledger
from attn_cli.show.explanation.lessons import mask
from attn_cli.show.explanation.plain import as_text
from attn_cli.vocabulary import Kind, Language
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.lessons import check_equations, lesson_text, numbers, reading_for, table

TEXT = "The animal didn't cross the street because it was too tired"


def test_each_column_adds_up_to_its_sum() -> None:
    page = lesson_text("mask", reading_for(None, TEXT), (2, 4), 10)
    rows = {row[0]: row[-4:] for row in table(page, "key") if row[0] not in {"rounding", "hidden keys"}}
    totals = rows.pop("sum")
    for column, total in enumerate(totals):
        summed = sum(float(row[column]) for row in rows.values())
        assert summed == pytest.approx(float(total), abs=2e-4)  # less the rounding, which has a line


def test_hidden_keys_have_no_weight_with_infinity_and_equal_weights_with_zero() -> None:
    page = lesson_text("mask", reading_for(None, TEXT), (2, 4), 10)
    hidden = [row for row in table(page, "key") if "later" in row]
    assert len(hidden) == 3
    assert {row[-3] for row in hidden} == {"0.0000"}
    assert len({row[-2] for row in hidden}) == 1


@pytest.mark.parametrize("query", [0, 5, 13])
@pytest.mark.parametrize("head", range(8))
def test_its_equations_close(head: int, query: int) -> None:
    assert check_equations(lesson_text("mask", reading_for(None, TEXT), (1, head), query)) == 3


@pytest.mark.parametrize("family", ["gemma2", "bloom", "mistral", "deberta-v2", "modernbert"])
def test_they_close_in_every_kind_of_mask(family: str, tmp_path: Path) -> None:
    FAMILIES[family].save(tmp_path)
    assert check_equations(lesson_text("mask", reading_for(tmp_path, TEXT), (1, 1), 6)) == 3


def test_a_what_if_says_that_it_is_one(twins: Path) -> None:
    page = lesson_text("mask", reading_for(twins / "bert", TEXT), (1, 1), 6)
    said = "Head 1.1 of bert may look at every token. As a what-if, the lesson puts the causal mask of a "
    assert f"{said}language model on its scores." in page
    assert page.splitlines()[-1] == "    attn explain TEXT -l 1 -H 1 --query 6 --causal --lesson mask"


def test_cross_attention_imagines_padding(tmp_path: Path) -> None:
    TRANSLATORS["bart"].save(tmp_path)
    page = lesson_text("mask", reading_for(tmp_path, TEXT, Kind.CROSS), (1, 1), 2)
    assert "hides the last tokens as if they were padding" in page
    assert re.search(r"the padding mask hides \d+", page)


def test_an_imagined_padding_mask_is_not_said_to_be_in_the_models_row(tmp_path: Path) -> None:
    TRANSLATORS["bart"].save(tmp_path)
    page = lesson_text("mask", reading_for(tmp_path, TEXT, Kind.CROSS), (1, 1), 2)
    assert "Every step of this row, as the model computes it (without the imagined mask):" in page
    assert "the mask included" not in page


def page_of(found: MaskStudy, language: Language = Language.EN) -> str:
    ledger = Ledger(4)
    made = list(mask.blocks(found, ledger, reading_for("random", "the cat sat").sides, ("TEXT",)))
    return " ".join(as_text(Document(made, ledger.settle()), language).split())


def small_study(*logits: float, hidden: Sequence[bool] = (False, False, True)) -> MaskStudy:
    """A causal row of three keys with these logits."""
    found = study(LessonRequest(reading_for("random", "the cat sat", is_causal=True), (0, 0), 1, 0))
    bare, is_hidden = np.array(logits), np.array(hidden)

    def row(values: np.ndarray) -> SoftmaxRow:
        powers = np.exp(values - values.max())
        return SoftmaxRow(values, powers / powers.sum())

    return replace(
        found,
        hidden=is_hidden,
        open=row(bare),
        masked=row(np.where(is_hidden, -np.inf, bare)),
        zeros=row(np.where(is_hidden, 0.0, bare)),
    )


@pytest.mark.parametrize(("largest", "hides"), [(4.5, False), (4.7, True)])
def test_a_logit_of_0_that_happens_to_hide_is_explained_by_the_largest_logit(
    largest: float, *, hides: bool
) -> None:
    page = page_of(small_study(largest, -9.0, 5.0))
    assert ("A logit of 0 hides nothing" in page) != hides
    said = f"the largest logit is {largest:.4f}, and a hidden key gets only e^(-{largest:.4f}) of its weight"
    assert (f"Here it happens to hide, because {said}" in page) == hides
    assert ("1 of 3 keys would take about 1/3 of the row" in page) == hides


def test_a_large_sink_hides_a_logit_of_0_too() -> None:
    found = small_study(1.0, -9.0, 0.5)
    sink = replace(found.zeros, weights=np.array([2e-4, 0.0, 1e-4]), sink_logit=9.5, sink=0.9997)
    page = page_of(replace(found, zeros=sink, masked=replace(found.masked, sink_logit=9.5, sink=0.9998)))
    assert "the largest logit is 9.5000" in page


def test_zeroed_weights_that_sum_to_1_are_not_said_to_sum_to_it_only() -> None:
    page = page_of(small_study(3.0, 2.0, -12.0))
    assert "sum to 1.0000 only" not in page
    assert "Weights zeroed after the softmax change little here" in page


def test_one_hidden_key_is_in_the_singular() -> None:
    found = small_study(1.0, 0.5, 0.7)
    for language, said in (
        (Language.EN, "the hidden key would take"),
        (Language.PT, "a chave escondida ficaria com"),
    ):
        assert page_of(found, language).count(said) == 2


def test_it_says_why_a_mask_trains_all_predictions_at_once() -> None:
    page = lesson_text("mask", reading_for(None, TEXT), (2, 4), 10)
    assert "one pass over a text trains the predictions of all its tokens at once" in page
    assert "so the sum is smaller, the other weights grow, and the row still sums to 1." in page


@pytest.mark.parametrize(("visible", "equations"), [(1e-5, 3), (1e-7, 1)])
def test_where_hidden_keys_leave_nothing_there_is_nothing_to_divide_by(
    visible: float, equations: int
) -> None:
    reading = reading_for("random", "the cat sat", is_causal=True)
    found = study(LessonRequest(reading, (0, 0), 0, 0))
    logits = np.array([np.log(visible / (1 - visible)), 0.0, -np.inf])
    open_row = SoftmaxRow(logits, np.array([visible, 1 - visible, 0.0]))
    blocks = list(mask.blocks(replace(found, open=open_row), Ledger(4), reading.sides, ("TEXT",)))
    assert len([block for block in blocks if isinstance(block, Equation)]) == equations


def test_both_languages_have_the_same_numbers() -> None:
    pages = {
        language: lesson_text("mask", reading_for(None, TEXT), (2, 2), 10, language=language)
        for language in Language
    }
    found = {language: numbers(page, language, "2.2 ") for language, page in pages.items()}
    assert found[Language.EN] == found[Language.PT]


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("language", Language)
def test_it_fits_the_width(width: int, language: Language) -> None:
    page = lesson_text("mask", reading_for(None, TEXT), (2, 2), 10, language=language, width=width)
    assert all(len(line) <= width for line in page.splitlines() if "attn explain" not in line)
