"""The lesson about recurrent networks as it is printed: every number follows from those above it."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.reading.lessons.recurrence import study
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.reading import Reading, TextRequest, read
from attn_cli.show.explanation.lessons.recurrence import blocks
from attn_cli.vocabulary import Kind, Language
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


def test_one_token_has_no_distances() -> None:
    text = printed(reading_of("cat", "random"), 0, 0)
    assert "sum" in text
    assert "How far apart" not in text
    assert "A whole layer" not in text
    assert "0 layers" not in text


def test_it_says_where_attention_and_recurrence_cost_the_same(twins: Path, tmp_path: Path) -> None:
    text = " ".join(printed(reading_of(TEXT, str(twins / "gpt2"))).split())
    found = study(asked(reading_of(TEXT, str(twins / "gpt2")), 1, 1))
    assert f"They are equal at T = d = {found.width} tokens; a longer text costs attention more." in text
    assert "without the projections, as in the paper" in text
    at_width = replace(found, queries=found.width, weights=np.zeros(found.width))
    assert at_width.queries * at_width.keys * at_width.width == at_width.recurrent_operations
    TRANSLATORS["t5"].save(tmp_path)
    source = open_source(SourceRequest(str(tmp_path)), {})
    reading = read(source, TextRequest(TEXT, target="the mat", kind=Kind.CROSS))
    text = " ".join(printed(reading).split())
    width = study(asked(reading, 1, 1)).width
    assert f"They are equal where T·S ÷ (T + S) = d = {width}." in text


def test_the_network_of_bahdanau_is_a_translators_decoder(twins: Path) -> None:
    text = " ".join(printed(reading_of(TEXT, str(twins / "gpt2"))).split())
    assert "at each word that its decoder writes, it looks at all states of the encoder" in text


def test_distances_are_listed_for_the_nearest_the_farthest_and_the_chosen_key(twins: Path) -> None:
    reading = reading_of(TEXT, str(twins / "gpt2"))
    text = page(blocks, study(LessonRequest(reading, (1, 1), 9, 3)), reading)
    rows = table(text[text.index("How far apart") :], "key")
    assert [row[0].split()[0] for row in rows] == ["0", "3", "5", "9"]
