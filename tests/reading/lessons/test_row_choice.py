"""The row of a lesson for which none was chosen: it shows what the lesson is about."""

from pathlib import Path

import numpy as np
import pytest

from attn_cli.errors import AttnError
from attn_cli.reading.lessons import row_choice
from attn_cli.reading.lessons.mask import study
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.lessons.row_choice import choose_row, cost_of_rows, spread_of_heads
from attn_cli.reading.steps import ShownLayer, run_layers
from attn_cli.vocabulary import Kind, Lesson, Step
from tests.support.families import TRANSLATORS
from tests.support.lessons import reading_for
from tests.support.readings import reading_of
from tests.support.worlds import attn

TEXT = "The animal didn't cross the street because it was too tired"


def weights_of(row: row_choice.ChosenRow) -> np.ndarray:
    return np.asarray(row.shown.layer.steps([row.head], {Step.WEIGHTS})[Step.WEIGHTS][0][row.query])


@pytest.mark.parametrize("lesson", [Lesson.SCALE, Lesson.GRAPH, Lesson.RECURRENCE])
def test_the_row_has_one_key_that_leads_and_a_few_that_take_part(lesson: Lesson) -> None:
    reading = reading_of(TEXT)
    weights = weights_of(choose_row(reading, lesson))
    assert weights.max() == pytest.approx(0.6, abs=0.05)
    assert 4 <= (weights > 0.01).sum() <= 8


@pytest.mark.parametrize(
    ("row", "cost"),
    [
        ([0.6, 0.2, 0.1, 0.1], 0.0),
        ([0.6, 0.2, 0.19, 0.01], 0.1),  # 0.01 takes no part
        ([0.5, 0.2, 0.2, 0.1], 0.1),
        ([1.0, 0.0, 0.0, 0.0], 0.4 + 0.3),
        ([0.6, *[0.05] * 8], 0.1),
        ([0.6, *[0.05] * 7], 0.0),
    ],
)
def test_a_row_costs_what_it_is_off(row: list[float], cost: float) -> None:
    assert cost_of_rows(np.array([[row]]))[0, 0] == pytest.approx(cost)


def test_heads_differ_by_the_entropy_of_their_mean() -> None:
    same = np.array([[[0.5, 0.5]], [[0.5, 0.5]]])
    apart = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert spread_of_heads(same) == pytest.approx([0.0])
    assert spread_of_heads(apart) == pytest.approx([np.log(2)])


def test_the_query_of_the_heads_lesson_is_the_one_whose_heads_differ_most() -> None:
    reading = reading_of(TEXT)
    row = choose_row(reading, Lesson.HEADS)
    weights = row.shown.layer.steps(range(8), {Step.WEIGHTS})[Step.WEIGHTS].astype(float)
    assert spread_of_heads(weights)[1:].argmax() + 1 == row.query


def test_the_hidden_keys_of_the_mask_lesson_would_take_a_part_of_the_row() -> None:
    reading = reading_of(TEXT)
    row = choose_row(reading, Lesson.MASK)
    found = study(LessonRequest(reading, (row.shown.number, row.head), row.query, 0))
    assert found.query == row.query
    assert 0.2 <= found.open.weights[found.hidden].sum() <= 0.8
    assert found.zeros.weights[found.hidden].sum() > 0.05


def test_the_query_of_the_order_lesson_is_in_the_middle() -> None:
    reading = reading_of(TEXT)
    assert abs(choose_row(reading, Lesson.ORDER).query - 6.5) <= 14 / 6


def test_a_chosen_head_or_query_is_kept() -> None:
    reading = reading_of(TEXT)
    ((number, layer),) = run_layers(reading, [2])
    row = choose_row(reading, Lesson.SCALE, (ShownLayer(reading.kind, number, layer), 3))
    assert (row.shown.number, row.head) == (2, 3)
    assert choose_row(reading, Lesson.SCALE, query=5).query == 5


def test_special_tokens_ask_for_nothing(twins: Path) -> None:
    reading = reading_of(TEXT, str(twins / "bert"))
    assert not reading.queries[choose_row(reading, Lesson.SCALE).query].special


@pytest.mark.parametrize("lesson", Lesson)
def test_cross_attention_and_one_token_have_a_row_too(lesson: Lesson, tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    reading = reading_for(tmp_path, TEXT, Kind.CROSS)
    assert choose_row(reading, lesson).query < len(reading.queries)
    assert choose_row(reading_of("cat", "random"), lesson).query == 0


def test_weights_that_are_not_finite_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_choice, "exact", lambda array: np.full_like(array, np.nan, dtype=float))
    with pytest.raises(AttnError, match="weights of a layer"):
        choose_row(reading_of(TEXT), Lesson.SCALE)


def test_of_a_long_text_the_first_tokens_are_looked_at() -> None:
    assert choose_row(reading_of("a b " * 1500, "random"), Lesson.MASK).query < 512


def test_a_lesson_without_a_head_shows_such_a_row_and_says_which() -> None:
    answer = attn("explain", TEXT, "--lesson", "scale")
    said = (
        'head 1.2 and the query "it" (10) are shown, a row that shows much of this lesson; -l, -H and --query'
    )
    assert answer.err == f"{said} choose another\n"
    assert "Head 1.2 of storybook" in answer.out


def test_a_chosen_row_that_is_saturated_has_a_remark() -> None:
    saturated = ["-l", "0", "-H", "2", "--query", "7", "--lesson", "scale"]
    assert attn("explain", TEXT, *saturated).err == (
        "this row is saturated: without -l, -H and --query, attn chooses one that shows more\n"
    )
    assert not attn("explain", TEXT, "-l", "1", "-H", "2", "--query", "10", "--lesson", "scale").err
