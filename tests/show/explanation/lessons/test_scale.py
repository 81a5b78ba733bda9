"""The page of the lesson on the scale: its numbers follow from the numbers printed above them."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attn_cli.answers.lessons.row import SoftmaxRow
from attn_cli.answers.lessons.scale import ScaleStudy
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.lessons.scale import study
from attn_cli.reading.reading import Reading
from attn_cli.show.explanation.document import Document
from attn_cli.show.explanation.figures import Ledger
from attn_cli.show.explanation.lessons import scale
from attn_cli.show.explanation.plain import as_text
from attn_cli.vocabulary import Kind, Language
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.lessons import check_equations, decimals_of, lesson_text, numbers, reading_for, table

TEXT = "The animal didn't cross the street because it was too tired"


def unit(number: str) -> float:
    """One unit of the last printed digit, with room for the conversion to binary."""
    return float(1.0001 * 10.0 ** -decimals_of(number))


def test_every_weight_and_entropy_follows_from_the_printed_products() -> None:
    page = lesson_text("scale", reading_for(None, TEXT), (2, 4), 10)
    rows = [row for row in table(page, "key") if re.match(r"\d", row[0])]
    summary = {row[0]: row[1:] for row in table(page, "scale")}
    dots = [float(row[1]) for row in rows]
    for logits, column, name in ((1, 2, "no scale"), (3, 4, "÷ √32")):
        scores = [float(row[logits]) for row in rows]
        powers = [math.exp(score - max(scores)) for score in scores]
        for row, power in zip(rows, powers, strict=True):
            assert abs(power / sum(powers) - float(row[column])) <= unit(row[column])
        entropy = -sum(p * math.log(p) for p in (float(row[column]) for row in rows) if p > 0)
        said, spread, largest, sensitivity = summary[name]
        assert abs(entropy - float(said)) <= unit(said)
        assert abs(math.exp(float(said)) - float(spread)) <= unit(spread)
        trace = 1 - sum(float(row[column]) ** 2 for row in rows)
        assert abs(trace - float(sensitivity)) <= unit(sensitivity)
        assert float(largest) == max(float(row[column]) for row in rows)
    for row, dot in zip(rows, dots, strict=True):
        assert abs(dot / math.sqrt(32) - float(row[3])) <= unit(row[3])


@pytest.mark.parametrize("query", [0, 5, 13])
@pytest.mark.parametrize("head", range(8))
def test_its_equations_close(head: int, query: int) -> None:
    assert check_equations(lesson_text("scale", reading_for(None, TEXT), (1, head), query)) == 2 + (query > 0)


@pytest.mark.parametrize("family", ["gemma2", "bloom", "gpt_neo", "granite", "deberta-v2", "qwen3"])
def test_they_close_in_families_with_more_than_q_k(family: str, tmp_path: Path) -> None:
    FAMILIES[family].save(tmp_path)
    assert check_equations(lesson_text("scale", reading_for(tmp_path, TEXT), (1, 1), 6)) >= 3


def test_they_close_in_cross_attention(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    assert check_equations(lesson_text("scale", reading_for(tmp_path, TEXT, Kind.CROSS), (1, 1), 2)) >= 3


def test_a_model_without_a_scale_says_so(tmp_path: Path) -> None:
    FAMILIES["gpt_neo"].save(tmp_path)
    page = lesson_text("scale", reading_for(tmp_path, TEXT), (1, 1), 6)
    assert "This model does not do so: it has no scale. The lesson shows what 1/√d_k would change." in page


def test_both_languages_have_the_same_numbers() -> None:
    pages = {
        language: lesson_text("scale", reading_for(None, TEXT), (2, 2), 10, language=language)
        for language in Language
    }
    found = {language: numbers(page, language, "2.2 ") for language, page in pages.items()}
    assert found[Language.EN] == found[Language.PT]
    assert len(found[Language.EN]) > 50


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("language", Language)
def test_it_fits_the_width(width: int, language: Language) -> None:
    page = lesson_text("scale", reading_for(None, TEXT), (2, 2), 10, language=language, width=width)
    assert all(len(line) <= width for line in page.splitlines() if "attn explain" not in line)


def test_it_ends_with_a_command_for_the_same_row() -> None:
    page = lesson_text("scale", reading_for(None, TEXT), (2, 4), 10)
    assert page.splitlines()[-1] == "    attn explain TEXT -l 2 -H 4 --query 10"


def page_of(found: ScaleStudy, reading: Reading) -> str:
    ledger = Ledger(4)
    made = list(scale.blocks(found, ledger, reading.sides, ("TEXT",)))
    return " ".join(as_text(Document(made, ledger.settle()), Language.EN).split())


def scaled_study(*weights: float) -> tuple[ScaleStudy, Reading]:
    """The row of a text of three tokens: without the scale, and with these weights."""
    reading = reading_for("random", "the cat sat")
    found = study(LessonRequest(reading, (0, 0), 1, 0))
    plain, own = found.scalings
    saturated = SoftmaxRow(plain.row.logits, np.array([1.0, 0.0, 0.0]))
    row = SoftmaxRow(own.row.logits, np.array(weights))
    return replace(found, scalings=[replace(plain, row=saturated), replace(own, row=row)]), reading


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ((0.9997, 0.0002, 0.0001), "Here the scale raises 1 - Σp² from 0.000 to 0.001."),
        ((0.9999, 0.0001, 0.0), "This row shows nothing of it"),
        ((0.5, 0.3, 0.2), "Here the scale raises 1 - Σp² from 0.000 to 0.620."),
    ],
)
def test_a_row_that_shows_nothing_says_so(weights: tuple[float, ...], said: str) -> None:
    assert said in page_of(*scaled_study(*weights))


def test_an_equal_row_that_is_not_saturated_says_only_that() -> None:
    found, reading = scaled_study(0.5, 0.3, 0.2)
    plain, own = found.scalings
    same = replace(found, scalings=[replace(plain, row=own.row), own])
    said = "To the digits printed, 1 - Σp² is the same with the scale and without: 0.620."
    assert said in page_of(same, reading)


def test_without_a_scale_it_says_what_one_would_do(tmp_path: Path) -> None:
    FAMILIES["gpt_neo"].save(tmp_path)
    page = lesson_text("scale", reading_for(tmp_path, TEXT), (1, 1), 6)
    assert "Here 1/√d_k would raise 1 - Σp² from" in page
    assert "T5 has the factor in the initial values of W^Q" in page


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (1.11, "its softmax is sharper"),
        (1.09, "about what the assumption says"),
        (0.91, "about what the assumption says"),
        (0.89, "its softmax is flatter"),
    ],
)
def test_what_follows_from_the_spread_of_the_head_is_said(times: float, said: str) -> None:
    found, reading = scaled_study(0.5, 0.3, 0.2)
    assert said in page_of(replace(found, deviation=times * found.size**0.5), reading)


def test_the_spread_is_compared_with_the_root() -> None:
    page = lesson_text("scale", reading_for(None, TEXT), (2, 4), 10)
    matched = re.search(r"deviation ([\d.]+), and √32 = ([\d.]+): ([\d.]+) times as much", page)
    assert matched is not None
    assert float(matched[1]) / float(matched[2]) == pytest.approx(float(matched[3]), abs=0.1)


def test_only_a_smaller_scale_alone_is_said_never_to_lower_it(tmp_path: Path) -> None:
    FAMILIES["bloom"].save(tmp_path)
    said = "A smaller scale never lowers it."
    assert said in lesson_text("scale", reading_for(None, TEXT), (2, 4), 10)
    assert said not in lesson_text("scale", reading_for(tmp_path, TEXT), (1, 1), 6)


def test_a_soft_cap_has_the_decimals_that_the_logits_need(tmp_path: Path) -> None:
    FAMILIES["gemma2"].save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"attn_logit_softcapping": 2.625}))
    page = lesson_text("scale", reading_for(tmp_path, TEXT), (1, 1), 10)
    (printed,) = re.findall(r"soft cap c = ([\d.]+)\.$", page, re.MULTILINE)
    cap = float(printed)
    for row in (row for row in table(page, "key") if re.match(r"\d", row[0])):
        assert abs(cap * math.tanh(float(row[1]) / cap) - float(row[2])) <= unit(row[2])
