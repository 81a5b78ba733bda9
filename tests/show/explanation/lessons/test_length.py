"""The lesson about N² as it is printed: every number follows from those above it."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.reading.lessons.length import study
from attn_cli.reading.reading import Reading, TextRequest, read
from attn_cli.show.explanation.lessons.length import blocks
from attn_cli.vocabulary import Kind, Language
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.lesson_pages import asked, numbers, page, products, quantity, table
from tests.support.readings import reading_of

TEXT = "the cat sat on the mat, and the mat sat on the cat"


def printed(reading: Reading, layer: int = 0, language: Language = Language.EN) -> str:
    return page(blocks, study(asked(reading, layer, 0)), reading, language)


def test_printed_products_are_right(twin: Path) -> None:
    found = list(products(printed(reading_of(TEXT, str(twin)))))
    assert len(found) >= 7
    for factors, result in found:
        assert math.prod(factors) == result


def test_shares_follow_from_the_printed_operations(twin: Path) -> None:
    text = printed(reading_of(TEXT, str(twin)))
    rows = table(text[text.index("Longer texts: operations") :], "tokens")
    assert len(rows) == 4
    for _, *parts, share in rows:
        quadratic, *others = (quantity(part)[0] for part in parts)
        if share == "> 99.9%":
            assert 100 * quadratic / (quadratic + sum(others)) > 99.94
            continue
        assert float(share.rstrip("%")) == pytest.approx(100 * quadratic / (quadratic + sum(others)), abs=0.1)


def test_seconds_follow_from_the_printed_speed(twins: Path) -> None:
    text = printed(reading_of(TEXT, str(twins / "gpt2")))
    (line,) = (line for line in text.splitlines() if "÷" in line and "per second" in line)
    operations, _, rest = line.strip().partition(" operations ÷ ")
    seconds, _, speed = rest.partition(" = ")
    (count, _), (time, _), (pace, half) = quantity(operations), quantity(seconds), quantity(speed)
    assert abs(count / time - pace) <= 2 * half
    per_pair, layers = (2 * 8 + 5 + 2 * 8) * 4, 3
    section = text[text.index("Seconds on this machine") :]
    for tokens, whole, time_of_whole, pairs, time_of_pairs in table(section, "tokens"):
        count = quantity(tokens)[0]
        assert quantity(whole)[0] == pytest.approx(count * (count + 1) / 2, rel=0.005)
        for number, printed_time in (
            (quantity(whole)[0], time_of_whole),
            (quantity(pairs)[0], time_of_pairs),
        ):
            value, half = quantity(printed_time)
            assert value == pytest.approx(number * per_pair * layers / pace, rel=0.056, abs=2 * half)


@pytest.mark.parametrize("family", ["mistral", "modernbert", "gemma2", "t5"])
def test_both_languages_have_the_same_numbers(family: str, tmp_path: Path) -> None:
    {**FAMILIES, **TRANSLATORS}[family].save(tmp_path)
    reading = reading_of(TEXT, str(tmp_path))
    found = study(asked(reading, 0, 0))
    en, pt = (page(blocks, found, reading, language) for language in Language)
    assert numbers(en) == numbers(pt, Language.PT)


def test_a_grouped_layer_says_how_many_heads_share_keys(twins: Path) -> None:
    text = printed(reading_of(TEXT, str(twins / "llama")))
    assert "llama has 3 layers of 4 heads, which share 2 key/value heads" in " ".join(text.split())


def test_two_texts_have_no_window(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    source = open_source(SourceRequest(str(tmp_path)), {})
    text = printed(read(source, TextRequest(TEXT, target="the mat", kind=Kind.CROSS)))
    assert "Between two texts there is no window." in text
    assert "The causal mask" not in text


def test_a_window_is_said_to_be_the_layers_own(tmp_path: Path) -> None:
    FAMILIES["mistral"].save(tmp_path)
    assert "The window is this layer's own" in printed(reading_of(TEXT, str(tmp_path)))


def test_the_random_layer_is_said_to_have_no_feed_forward_block() -> None:
    assert "(it has no feed-forward block)" in printed(reading_of("a b", "random"))


def test_times_are_said_to_be_calculated_and_have_two_digits(twins: Path) -> None:
    text = printed(reading_of(TEXT, str(twins / "gpt2")))
    flat = " ".join(text.split())
    assert "The times below are calculated from this speed, not measured: expect a factor of 2 to 3" in flat
    for row in table(text[text.index("Seconds on this machine") :], "tokens"):
        for time in (row[2], row[4]):
            number = time.split()[0].replace(".", "").strip("0")
            assert len(number) <= 2


def test_both_times_count_the_pairs_that_the_causal_mask_leaves(twins: Path) -> None:
    causal, whole = (printed(reading_of(TEXT, str(twins / name))) for name in ("gpt2", "bert"))
    said = "They count the T·(T + 1) ÷ 2 pairs that the causal mask leaves."
    assert said in " ".join(causal.split())
    assert said not in " ".join(whole.split())
    first = table(causal[causal.index("Seconds on this machine") :], "tokens")[0]
    assert first[1] == first[3]  # the text is shorter than the window
    squared = table(whole[whole.index("Seconds on this machine") :], "tokens")[0]
    assert quantity(squared[1])[0] == quantity(squared[0])[0] ** 2


@pytest.mark.parametrize(("tokens", "said"), [(999.4, "999.4 tokens"), (1478.3, "1,478 tokens")])
def test_where_costs_cross_a_large_number_has_a_thousands_mark(tokens: float, said: str, twins: Path) -> None:
    reading = reading_of(TEXT, str(twins / "gpt2"))
    found = study(asked(reading, 0, 0))
    assert found.products is not None
    size = round(tokens * found.layer.per_pair / 2) - found.products.projections
    text = page(blocks, replace(found, products=replace(found.products, feed_forward=size)), reading)
    assert said in text


def test_nearly_everything_is_not_said_to_be_everything() -> None:
    text = printed(reading_of("a b", "random"))
    assert "> 99.9%" in text
    assert "100.0%" not in text


def test_a_window_of_one_key_is_in_the_singular(tmp_path: Path) -> None:
    FAMILIES["mistral"].save(tmp_path)
    reading = reading_of(TEXT, str(tmp_path))
    found = study(asked(reading, 0, 0))
    assert found.window is not None
    text = page(blocks, replace(found, window=replace(found.window, tokens=1)), reading)
    assert "a query would look at 1 key at most" in " ".join(text.split())
