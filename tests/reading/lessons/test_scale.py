"""The lesson on the scale: each number against one of our own in float64."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.answers.lessons.row import SoftmaxRow, sensitivity_of
from attn_cli.core.arrays import to_numpy
from attn_cli.errors import UsageError
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.lessons.row import attention_of
from attn_cli.reading.lessons.scale import SIZES, study
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.readings import reading_of
from tests.support.sinks import Sinks
from tests.support.twins import RECIPES

TEXT = "the cat sat on the mat"
_FLOAT32 = 2e-5  # our softmax of float32 logits that reach 50


def softmax(logits: np.ndarray) -> np.ndarray:
    """In float64."""
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())


def request(model: Path | None = None, *, query: int = 3, **words: object) -> LessonRequest:
    reading = reading_of(TEXT, None if model is None else str(model), **words)
    return LessonRequest(reading, (1, 2) if model else (2, 2), query, 0)


def test_q_k_and_the_weights_of_each_scale_are_those_of_the_vectors(twin: Path) -> None:
    found = study(request(twin))
    layer = attention_of(request(twin)).operands
    q = to_numpy(layer.queries)[2, 3].astype(float)
    k = to_numpy(layer.keys)[layer.kv_head(2)].astype(float)
    assert found.dots == pytest.approx(k @ q, abs=_FLOAT32 * 10)
    visible = list(found.visible)
    for scaling in found.scalings:
        wanted = softmax((k @ q)[visible] * scaling.factor)
        assert scaling.row.weights[visible] == pytest.approx(wanted, abs=_FLOAT32)
        assert scaling.row.entropy == pytest.approx(-(wanted * np.log(wanted)).sum(), abs=1e-4)


def test_a_model_that_divides_by_the_root_has_two_scales() -> None:
    found = study(request())
    assert [(one.is_of_model, one.is_root) for one in found.scalings] == [(False, False), (True, True)]
    assert found.scalings[1].factor == pytest.approx(1 / 32**0.5)


def test_a_model_without_a_scale_is_shown_beside_the_root(tmp_path: Path) -> None:
    FAMILIES["gpt_neo"].save(tmp_path)
    found = study(request(tmp_path))
    assert [(one.factor, one.is_of_model, one.is_root) for one in found.scalings] == [
        (1.0, True, False),
        (8**-0.5, False, True),
    ]


def test_a_scale_of_its_own_is_shown_beside_none_and_the_root(tmp_path: Path) -> None:
    RECIPES["gpt2, by layer"].save(tmp_path)
    found = study(request(tmp_path))
    assert [one.factor for one in found.scalings] == pytest.approx([1.0, 8**-0.5 / 2, 8**-0.5])


@pytest.mark.parametrize(("off", "scales"), [(3e-8, 2), (1e-4, 3)])
def test_a_root_that_was_rounded_to_float32_is_the_root(
    off: float, scales: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    attention = attention_of(request())
    operands = replace(attention.operands, scale=32**-0.5 * (1 + off))
    changed = replace(attention, operands=operands)
    monkeypatch.setattr("attn_cli.reading.lessons.scale.attention_of", lambda _request: changed)
    assert len(study(request()).scalings) == scales


def test_the_soft_cap_stays_with_every_scale(tmp_path: Path) -> None:
    FAMILIES["gemma2"].save(tmp_path)
    found = study(request(tmp_path))
    assert found.softcap is not None
    visible = list(found.visible)
    for scaling in found.scalings:
        capped = found.softcap * np.tanh(found.dots[visible] * scaling.factor / found.softcap)
        assert scaling.row.logits[visible] == pytest.approx(capped, abs=1e-4)


def test_the_bias_stays_with_every_scale(tmp_path: Path) -> None:
    FAMILIES["bloom"].save(tmp_path)
    found = study(request(tmp_path))
    assert found.bias is not None
    assert np.ptp(found.bias) > 0
    visible = list(found.visible)
    for scaling in found.scalings:
        biased = (found.dots * scaling.factor + found.bias)[visible]
        assert scaling.row.logits[visible] == pytest.approx(biased, abs=1e-4)


def jacobian(p: np.ndarray) -> np.ndarray:
    return np.asarray(np.diag(p) - np.outer(p, p))


def test_the_sensitivity_is_the_trace_of_the_jacobian() -> None:
    draw = np.random.default_rng(0)
    for spread in (0.1, 1.0, 5.0, 20.0):
        p = softmax(spread * draw.standard_normal(7))
        assert sensitivity_of(p) == pytest.approx(np.trace(jacobian(p)))
        assert sensitivity_of(p) == pytest.approx(1 - (p**2).sum())


def test_the_sensitivity_is_how_far_the_logits_move_their_weights() -> None:
    logits, step = np.array([1.0, 0.2, -0.5]), 1e-6
    moved = [(softmax(logits + step * unit) - softmax(logits)) @ unit / step for unit in np.eye(3)]
    assert SoftmaxRow(logits, softmax(logits)).sensitivity == pytest.approx(sum(moved), rel=1e-5)


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=8), st.floats(0.05, 1))
def test_a_smaller_scale_never_lowers_the_sensitivity(scores: list[float], scale: float) -> None:
    logits = np.array(scores)
    assert sensitivity_of(softmax(scale * logits)) >= sensitivity_of(softmax(logits)) - 1e-12


def test_with_a_bias_a_smaller_scale_can_lower_it(tmp_path: Path) -> None:
    scores, bias = np.array([2.0, 0.0]), np.array([-2.0, 0.0])
    assert sensitivity_of(softmax(scores + bias)) > sensitivity_of(softmax(scores / 4 + bias))
    FAMILIES["bloom"].save(tmp_path)
    assert not study(request(tmp_path)).is_monotone
    assert study(request()).is_monotone


def test_the_spread_of_random_products_is_the_root_of_their_number() -> None:
    found = study(request())
    assert tuple(one.size for one in found.random) == SIZES
    for one in found.random:
        assert one.deviation == pytest.approx(one.size**0.5, rel=0.03)  # 8,000 products
    assert found.random[-1].plain.sensitivity < found.random[0].plain.sensitivity / 8
    assert found.random[-1].scaled.sensitivity == pytest.approx(0.87, abs=0.02)
    assert found.random[-1].scaled.entropy == pytest.approx(found.random[0].scaled.entropy, rel=0.05)


def test_the_spread_of_the_head_is_over_the_pairs_that_the_mask_allows(twin: Path) -> None:
    found = study(request(twin))
    attention = attention_of(request(twin))
    layer, mask = attention.operands, to_numpy(attention.mask)
    q = to_numpy(layer.queries)[2].astype(float)
    dots = (q @ to_numpy(layer.keys)[layer.kv_head(2)].astype(float).T)[mask]
    assert found.pairs == mask.sum()
    assert found.deviation == pytest.approx(dots.std(), rel=1e-5)


def test_one_key_has_weight_one_with_every_scale() -> None:
    found = study(request(query=0))
    for scaling in found.scalings:
        assert (scaling.row.largest, scaling.row.entropy, scaling.row.sensitivity) == (1.0, 0.0, 0.0)


def test_a_learned_sink_is_one_more_key() -> None:
    sinks: Any = Sinks(np.array([1.5, 0.0]))
    reading = replace(request().reading, source=sinks)
    found = study(LessonRequest(reading, (0, 0), 2, 0))
    for scaling in found.scalings:
        assert scaling.row.sink_logit == 1.5
        logits = np.append(scaling.row.logits[list(found.visible)], 1.5)
        assert scaling.row.sink == pytest.approx(softmax(logits)[-1], abs=_FLOAT32)


def test_cross_attention_has_scales_too(tmp_path: Path) -> None:
    from attn_cli.models.open import open_source
    from attn_cli.models.source import SourceRequest
    from attn_cli.reading.reading import TextRequest, read
    from attn_cli.vocabulary import Kind

    TRANSLATORS["t5"].save(tmp_path)
    source = open_source(SourceRequest(str(tmp_path)), {})
    reading = read(source, TextRequest(TEXT, target="a cat", kind=Kind.CROSS))
    found = study(LessonRequest(reading, (1, 1), 0, 0))
    assert found.visible == list(range(len(reading.keys)))
    assert [one.is_of_model for one in found.scalings] == [True, False]


def test_a_query_that_sees_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attn_cli.reading.lessons.row.visible_keys", lambda _row: np.zeros(4, dtype=bool))
    with pytest.raises(UsageError, match="query 3 may look at no key in layer 2: its row is zeros") as error:
        study(request())
    assert error.value.hint == "--query with another token"
