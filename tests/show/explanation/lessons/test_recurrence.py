"""The lesson about recurrent networks as it is printed: every number follows from those above it."""

import math
from pathlib import Path

import pytest

from attn_cli.reading.lessons.recurrence import study
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.reading import Reading
from attn_cli.show.explanation.lessons.recurrence import blocks
from attn_cli.vocabulary import Language
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.lesson_pages import asked, numbers, page, products, table, whole
from tests.support.readings import reading_of

TEXT = "the cat sat on the mat, and the mat sat on the cat"
UNIT = 1e-4


def printed(reading: Reading, layer: int = 1, head: int = 1) -> str:
    return page(blocks, study(asked(reading, layer, head)), reading)


def test_the_additive_score_is_the_sum_of_its_printed_products(twin: Path) -> None:
    rows = table(printed(reading_of(TEXT, str(twin))), "feature")
    total = 0.0
    for name, *cells in rows:
        if name == "e":
            assert float(cells[0]) == pytest.approx(total, abs=1e-9)
            return
        total += float(cells[-1])
        if len(cells) == 4:
            a, b, v, product = map(float, cells)
            assert v * math.tanh(a + b) == pytest.approx(product, abs=UNIT)
    pytest.fail("the table has no sum")


def test_both_rows_of_weights_add_up(twin: Path) -> None:
    rows = table(printed(reading_of(TEXT, str(twin))), "key ")
    sums = [0.0, 0.0]
    for row in rows:
        if row[0] == "sum":
            assert [float(cell) for cell in row[1:]] == pytest.approx(sums, abs=1e-9)
            return
        if row[0] != "rounding":
            cells = row[1:] if len(row) == 3 else [row[2], row[4]]
            sums = [total + float(cell) for total, cell in zip(sums, cells, strict=True)]
        elif len(row) == 3:
            sums = [total + float(cell) for total, cell in zip(sums, row[1:], strict=True)]
        else:
            return  # one of two remainders: the text does not say of which column
    pytest.fail("the table has no sum")


def test_the_faded_signal_is_a_power_of_the_steps(twin: Path) -> None:
    text = printed(reading_of(TEXT, str(twin)))
    rows = table(text[text.index("How far apart") :], "key")
    assert rows
    for _, steps, in_attention, faded, _ in rows:
        assert in_attention == "1"
        assert float(faded) == pytest.approx(0.9 ** whole(steps), abs=0.5001 * UNIT)


def test_printed_operations_are_right(twin: Path) -> None:
    text = printed(reading_of(TEXT, str(twin)))
    factors, result = next(products(text[text.index("q·k: ") :]))
    assert math.prod(factors) == result


@pytest.mark.parametrize("family", ["mistral", "modernbert", "gemma2", "bloom", "t5"])
def test_both_languages_have_the_same_numbers(family: str, tmp_path: Path) -> None:
    {**FAMILIES, **TRANSLATORS}[family].save(tmp_path)
    reading = reading_of(TEXT, str(tmp_path))
    found = study(asked(reading, 1, 1))
    en, pt = (page(blocks, found, reading, language) for language in Language)
    assert numbers(en) == numbers(pt, Language.PT)


@pytest.mark.parametrize(
    ("family", "said"),
    [("gemma2", "q·k × scale, soft-capped."), ("bloom", "q·k × scale, plus a position bias.")],
)
def test_what_the_logits_contain_is_said(family: str, said: str, tmp_path: Path) -> None:
    FAMILIES[family].save(tmp_path)
    assert said in printed(reading_of(TEXT, str(tmp_path)))


def test_a_hidden_key_is_named(twins: Path) -> None:
    reading = reading_of(TEXT, str(twins / "gpt2"))
    text = page(blocks, study(LessonRequest(reading, (0, 0), 2, 5)), reading)
    assert "The mask hides key" in text


def test_the_window_divides_the_longest_path(tmp_path: Path) -> None:
    FAMILIES["mistral"].save(tmp_path)
    reading = reading_of(TEXT, str(tmp_path))
    longest = len(reading.keys) - 1
    text = " ".join(printed(reading).split())
    assert f"so {longest} back takes {longest} ÷ 3, rounded up: {-(-longest // 3)} layers." in text


def test_one_token_is_a_lesson_too() -> None:
    text = printed(reading_of("cat", "random"), 0, 0)
    assert "sum" in text
