"""Additive scores and distances, against a computation of their own in float64."""

from pathlib import Path

import numpy as np
import pytest

from attn_cli.answers.lessons.recurrence import RecurrenceStudy
from attn_cli.core.arrays import to_numpy
from attn_cli.core.multihead import Attention
from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.reading.lessons.recurrence import study
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.reading import Reading, TextRequest, read
from attn_cli.vocabulary import Kind, Step
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.lesson_pages import asked
from tests.support.readings import reading_of

TEXT = "the cat sat on the mat, and the mat sat on the cat"


def operands_of(reading: Reading, layer: int) -> Attention:
    (attention,) = reading.source.attentions(reading.texts, reading.kind, [layer])
    assert isinstance(attention, Attention)
    return attention


@pytest.mark.parametrize("head", [0, 3])
def test_additive_scores_are_v_tanh_of_both_projections(twin: Path, head: int) -> None:
    reading = reading_of(TEXT, str(twin))
    row, attention = study(asked(reading, 1, head)), operands_of(reading, 1)
    queries, keys = (to_numpy(a).astype(float) for a in (attention.operands.queries, attention.operands.keys))
    query, keys = queries[head, -1], keys[attention.kv_head(head)]
    size = len(query)
    drawn = np.random.default_rng(row.seed).normal(0, size**-0.5, (2 * size + 1, size))
    w, u, v = drawn[:size], drawn[size:-1], drawn[-1]
    expected = np.array([v @ np.tanh(w @ query + u @ key) for key in keys])
    np.testing.assert_allclose(row.additive, expected, atol=2e-5)  # float32: 8 sums of 8 products
    visible = list(row.visible)
    powers = np.exp(expected[visible])
    np.testing.assert_allclose(row.additive_weights[visible], powers / powers.sum(), atol=2e-5)


def test_the_weights_are_those_of_the_head(twin: Path) -> None:
    reading = reading_of(TEXT, str(twin))
    steps = operands_of(reading, 1).steps([2], [Step.WEIGHTS])
    np.testing.assert_allclose(study(asked(reading, 1, 2)).weights, steps[Step.WEIGHTS][0, -1], atol=1e-6)


def test_steps_count_the_tokens_between(twins: Path) -> None:
    row = study(asked(reading_of(TEXT, str(twins / "bert")), 0, 0, query=3))
    assert [row.steps(key) for key in (0, 3, 5)] == [3, 0, 2]
    assert row.longest_path == row.keys - 1
    assert row.dot_operations == 2 * 8 * row.keys**2
    assert row.additive_products + row.additive_pairs == 2 * 64 * 2 * row.keys + 4 * 8 * row.keys**2


def test_between_two_texts_the_path_leads_through_the_last_state(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    source = open_source(SourceRequest(str(tmp_path)), {})
    reading = read(source, TextRequest("the cat sat", target="the mat", kind=Kind.CROSS))
    row = study(asked(reading, 0, 0, query=1))
    assert row.steps(row.keys - 1) == 2  # into the decoder, and one step there
    assert row.longest_path == row.keys + row.queries - 1
    assert row.window is None


def _mistral(tmp_path: Path, query: int = -1) -> RecurrenceStudy:
    FAMILIES["mistral"].save(tmp_path)
    return study(asked(reading_of(TEXT, str(tmp_path)), 0, 0, query))


def test_a_window_takes_as_many_layers_as_it_must_reach(tmp_path: Path) -> None:
    row = _mistral(tmp_path)  # a window of 4 reaches 3 back
    assert row.longest_windowed == -(-(row.keys - 1) // 3)
    assert row.visible == tuple(range(row.keys - 4, row.keys))


def test_a_text_of_one_token_has_no_path() -> None:
    row = study(asked(reading_of("cat", "random"), 0, 0))
    assert (row.longest_path, row.longest_windowed, row.steps(0)) == (0, 0, 0)
    assert row.additive_weights.tolist() == [1.0]


def test_parts_of_the_logits_are_named(tmp_path: Path, twins: Path) -> None:
    FAMILIES["gemma2"].save(tmp_path)
    assert study(asked(reading_of(TEXT, str(tmp_path)), 0, 0)).has_softcap
    plain = study(asked(reading_of(TEXT, str(twins / "gpt2")), 0, 0))
    assert (plain.has_softcap, plain.has_bias, plain.has_sink) == (False, False, False)


def test_a_hidden_key_is_not_listed_as_visible(twins: Path) -> None:
    reading = reading_of(TEXT, str(twins / "gpt2"))
    row = study(LessonRequest(reading, (0, 0), 2, 5))
    assert 5 not in row.visible
    assert row.additive_weights[5] == 0
