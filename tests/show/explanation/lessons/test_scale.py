"""The page of the lesson on the scale: its numbers follow from the numbers printed above them."""

import json
import math
import re
from pathlib import Path

import pytest

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
    for logits, column, scale in ((1, 2, "no scale"), (3, 4, "÷ √32")):
        scores = [float(row[logits]) for row in rows]
        powers = [math.exp(score - max(scores)) for score in scores]
        for row, power in zip(rows, powers, strict=True):
            assert abs(power / sum(powers) - float(row[column])) <= unit(row[column])
        entropy = -sum(p * math.log(p) for p in (float(row[column]) for row in rows) if p > 0)
        said, spread, largest, gradient = summary[scale]
        assert abs(entropy - float(said)) <= unit(said)
        assert abs(math.exp(float(said)) - float(spread)) <= unit(spread)
        assert abs(float(largest) * (1 - float(largest)) - float(gradient)) <= unit(gradient)
    for row, dot in zip(rows, dots, strict=True):
        assert abs(dot / math.sqrt(32) - float(row[3])) <= unit(row[3])


@pytest.mark.parametrize("query", [0, 5, 13])
@pytest.mark.parametrize("head", range(8))
def test_its_equations_close(head: int, query: int) -> None:
    assert check_equations(lesson_text("scale", reading_for(None, TEXT), (1, head), query)) >= 3


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


def test_a_soft_cap_has_the_decimals_that_the_logits_need(tmp_path: Path) -> None:
    FAMILIES["gemma2"].save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"attn_logit_softcapping": 2.625}))
    page = lesson_text("scale", reading_for(tmp_path, TEXT), (1, 1), 10)
    (printed,) = re.findall(r"soft cap c = ([\d.]+)\.$", page, re.MULTILINE)
    cap = float(printed)
    for row in (row for row in table(page, "key") if re.match(r"\d", row[0])):
        assert abs(cap * math.tanh(float(row[1]) / cap) - float(row[2])) <= unit(row[2])
