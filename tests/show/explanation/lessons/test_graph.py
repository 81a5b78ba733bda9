"""The lesson about graphs as it is printed: every number follows from those above it."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.reading.lessons.graph import study
from attn_cli.reading.reading import Reading, TextRequest, read
from attn_cli.show.explanation.document import Document
from attn_cli.show.explanation.figures import Ledger
from attn_cli.show.explanation.lessons.graph import blocks
from attn_cli.show.explanation.markdown import as_markdown
from attn_cli.vocabulary import Kind, Language
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.lesson_pages import asked, numbers, page, table
from tests.support.readings import reading_of
from tests.support.sinks import Sinks

TEXT = "the cat sat on the mat, and the mat sat on the cat"
UNIT = 1e-4


def printed(reading: Reading, layer: int = 1, head: int = 1) -> str:
    return page(blocks, study(asked(reading, layer, head)), reading)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_messages_add_up_to_the_context(twin: Path) -> None:
    total = 0.0
    for name, *cells in table(printed(reading_of(TEXT, str(twin))), "from key"):
        if name == "context":
            assert float(cells[0]) == pytest.approx(total, abs=1e-9)
            return
        total += float(cells[-1])
        if len(cells) == 3:
            weight, value, message = map(float, cells)
            assert weight * value == pytest.approx(message, abs=UNIT)
    pytest.fail("the table has no sum")


def test_what_is_sent_adds_up_to_the_number_of_queries(twin: Path) -> None:
    reading, total = reading_of(TEXT, str(twin)), 0.0
    for name, *cells in table(printed(reading), "token "):
        if name == "sum":
            assert float(cells[0]) == pytest.approx(total, abs=1e-9)
            assert float(cells[0]) == pytest.approx(len(reading.queries), abs=UNIT)
            return
        total += float(cells[0])
    pytest.fail("the table has no sum")


def test_the_row_is_as_spread_out_as_its_entropy_says(twin: Path) -> None:
    matched = re.search(r"e\^H = e\^([\d.]+) = ([\d.]+)", printed(reading_of(TEXT, str(twin))))
    assert matched is not None
    assert math.exp(float(matched[1])) == pytest.approx(float(matched[2]), abs=0.01)


def test_edges_are_counted_by_the_formula(twins: Path) -> None:
    causal, whole = reading_of(TEXT, str(twins / "gpt2")), reading_of(TEXT, str(twins / "bert"))
    count = len(causal.keys)
    assert f"T·(T + 1) ÷ 2 = {count} × {count + 1} ÷ 2 = {count * (count + 1) // 2}" in printed(causal)
    count = len(whole.keys)
    assert f"T·S = {count} × {count} = {count * count}" in printed(whole)


def test_a_window_explains_missing_edges(tmp_path: Path) -> None:
    FAMILIES["mistral"].save(tmp_path)
    reading = reading_of(TEXT, str(tmp_path))
    tokens = len(reading.keys)
    edges, text = sum(min(4, i + 1) for i in range(tokens)), flat(printed(reading))
    assert (
        f"{edges} of the {tokens**2} pairs are edges, because a window hides keys more than 3 back." in text
    )
    assert "k layers reach k·3 tokens: 3 × 3 = 9." in text


@pytest.mark.parametrize("family", ["mistral", "modernbert", "gemma2", "bloom", "t5"])
def test_both_languages_have_the_same_numbers(family: str, tmp_path: Path) -> None:
    {**FAMILIES, **TRANSLATORS}[family].save(tmp_path)
    reading = reading_of(TEXT, str(tmp_path))
    found = study(asked(reading, 1, 1))
    en, pt = (page(blocks, found, reading, language) for language in Language)
    assert numbers(en) == numbers(pt, Language.PT)


def test_the_sink_is_named() -> None:
    reading = read(Sinks(np.array([1.0, 2.0])), TextRequest("a b c d"))
    text = flat(printed(reading, 0, 1))
    assert "A learned sink takes" in text
    assert "it sends nothing." in text


def test_between_two_texts_there_are_no_hops(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    source = open_source(SourceRequest(str(tmp_path)), {})
    text = flat(printed(read(source, TextRequest("the cat", target="the mat", kind=Kind.CROSS))))
    assert "no second hop follows them" in text
    assert "The strongest edges: " in text


def test_a_long_text_says_what_was_compared() -> None:
    text = flat(printed(reading_of("a b " * 600, "random"), 0, 0))
    assert "only the edges of this query were compared, and who sends most is left out." in text
    assert "Who sends, who receives" not in text


def test_one_token_is_a_lesson_too() -> None:
    assert "T·S = 1 × 1 = 1" in printed(reading_of("cat", "random"), 0, 0)


def test_no_difference_has_no_rounding_to_explain(twins: Path) -> None:
    reading = reading_of(TEXT, str(twins / "gpt2"))
    found = study(asked(reading, 1, 1))
    assert found.output is not None
    equal = [replace(one, difference=0.0) for one in (found.context, found.output)]
    text = flat(page(blocks, replace(found, context=equal[0], output=equal[1]), reading))
    assert "are exactly the layer's own." in text
    assert "give exactly the layer's output." in text
    assert "What is left is rounding" not in text
    assert "at most 0" not in text
    text = flat(page(blocks, replace(found, context=equal[0]), reading))
    assert "What is left is rounding." in text


def test_it_says_how_many_queries_see_a_token(twins: Path) -> None:
    reading = reading_of(TEXT, str(twins / "gpt2"))
    text = printed(reading)
    for name, *cells in table(text, "token "):
        if name[0].isdigit() and "other" not in name:
            assert int(cells[1]) == len(reading.keys) - int(name.split()[0])
    assert "Early tokens are seen by more queries and so can send more." in flat(text)
    assert "Early tokens" not in flat(printed(reading_of(TEXT, str(twins / "bert"))))


def test_the_entropy_of_a_row_with_keys_that_are_not_listed_is_that_of_the_whole_row(twins: Path) -> None:
    said = "(of the whole row, also of the keys that are not listed)"
    assert said in flat(printed(reading_of(TEXT, str(twins / "gpt2"))))
    assert said not in flat(printed(reading_of("the cat", str(twins / "gpt2"))))


def test_the_number_of_edges_is_a_formula_in_markdown(twins: Path) -> None:
    for name, formula in (("gpt2", r"$$\frac{T (T + 1)}{2} = \frac{"), ("bert", r"$$T S = ")):
        reading = reading_of(TEXT, str(twins / name))
        ledger = Ledger(4)
        made = list(blocks(study(asked(reading, 1, 1)), ledger, reading.sides, ("TEXT",)))
        assert formula in as_markdown(Document(made, ledger.settle()), Language.EN)
