"""The lesson on heads: each number against one of our own in float64."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attn_cli.answers.lessons.heads import HeadsStudy
from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands, trace
from attn_cli.errors import UsageError
from attn_cli.reading.lessons.heads import study, wide_head
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.lessons.row import attention_of
from tests.support.families import FAMILIES
from tests.support.readings import reading_of

TEXT = "the cat sat on the mat and the cat"
_FLOAT32 = 1e-5  # scores of 20


def request(model: Path, **words: object) -> LessonRequest:
    return LessonRequest(reading_of(TEXT, str(model), **words), (1, 1), 4, 2)


def softmax(logits: np.ndarray) -> np.ndarray:
    """In float64."""
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())


def keys_of_heads(layer: Operands) -> np.ndarray:
    """(H, S, D) the keys as each head reads them."""
    return np.stack([to_numpy(layer.keys)[layer.kv_head(head)] for head in range(layer.heads)]).astype(float)


def distance(p: np.ndarray, q: np.ndarray) -> float:
    """The square root of the Jensen-Shannon divergence in bits."""
    middle = (p + q) / 2
    terms = [(one * np.log2(one / middle))[one > 0].sum() for one in (p, q)]
    return float(max(0.0, sum(terms) / 2) ** 0.5)


def test_the_wide_head_compares_the_vectors_of_all_heads_side_by_side(twin: Path) -> None:
    found, layer = study(request(twin)), attention_of(request(twin)).operands
    q = np.concatenate(to_numpy(layer.queries)[:, 4].astype(float))
    k = np.concatenate(list(keys_of_heads(layer)), axis=-1)
    wanted = k @ q / np.sqrt(found.heads * found.size)
    assert found.wide_scores == pytest.approx(wanted, abs=_FLOAT32)
    visible = found.wide.weights > 0
    assert found.wide.weights[visible] == pytest.approx(softmax(wanted[visible]), abs=_FLOAT32)


def test_its_score_is_the_sum_of_the_scores_over_the_root_of_h(twin: Path) -> None:
    found = study(request(twin))
    assert found.wide_scores == pytest.approx(found.scores.sum(axis=0) / found.heads**0.5, abs=_FLOAT32)


def test_scores_spread_as_the_standard_deviations_over_visible_keys_say(twin: Path) -> None:
    found = study(request(twin))
    visible = found.wide.weights > 0
    variances = [np.var(row[visible]) for row in found.scores]
    assert found.deviation == pytest.approx(np.sqrt(np.mean(variances)))
    assert found.wide_deviation == pytest.approx(np.std(found.wide_scores[visible]))


def test_scores_of_equal_heads_spread_by_the_root_of_h_more(twins: Path) -> None:
    found = study(request(twins / "bert"))
    same = np.repeat(found.scores[:1], found.heads, axis=0)
    wide = same.sum(axis=0) / found.heads**0.5
    equal = replace(found, scores=same, wide_scores=wide)
    assert equal.wide_deviation == pytest.approx(equal.deviation * found.heads**0.5)


def test_each_row_is_that_of_its_head(twin: Path) -> None:
    found, traced = study(request(twin)), trace(attention_of(request(twin)).operands)
    for head, row in enumerate(found.rows):
        assert row.weights == pytest.approx(to_numpy(traced.weights)[head, 4], abs=1e-6)


def test_distances_are_those_of_the_rows(twins: Path) -> None:
    found = study(request(twins / "bert"))
    rows = [*(row.weights for row in found.rows), found.wide.weights]
    for one in range(len(rows)):
        for other in range(len(rows)):
            assert found.distances[one, other] == pytest.approx(distance(rows[one], rows[other]), abs=1e-6)


def check_mean_bias(found: HeadsStudy, bias: np.ndarray) -> None:
    visible = found.wide.weights > 0
    assert found.wide.logits[visible] == pytest.approx((found.wide_scores + bias)[visible], abs=1e-4)


@pytest.mark.parametrize("family", ["bloom", "mpnet", "deberta-v2"])
def test_a_position_bias_is_the_mean_of_the_heads(tmp_path: Path, family: str) -> None:
    FAMILIES[family].save(tmp_path)
    found = study(request(tmp_path))
    traced = trace(attention_of(request(tmp_path)).operands)
    bias = np.broadcast_to(to_numpy(traced.bias), traced.scores.shape)
    assert found.has_bias
    check_mean_bias(found, bias[:, 4].astype(float).mean(axis=0))


def test_a_soft_cap_stays(tmp_path: Path) -> None:
    FAMILIES["gemma2"].save(tmp_path)
    found = study(request(tmp_path))
    assert found.softcap is not None
    visible = found.wide.weights > 0
    capped = found.softcap * np.tanh(found.wide_scores / found.softcap)
    assert found.wide.logits[visible] == pytest.approx(capped[visible], abs=1e-4)


def test_learned_sinks_are_averaged(twins: Path) -> None:
    layer = attention_of(request(twins / "gpt2")).operands
    sinks = np.array([1.0, 2.0, 3.0, 6.0], dtype=np.float32)
    assert wide_head(replace(layer, sink=sinks)).sink == pytest.approx([3.0])


def test_grouped_queries_read_the_keys_of_their_group(twins: Path) -> None:
    asked = request(twins / "llama")
    found = study(asked)
    assert (found.heads, attention_of(asked).operands.kv_heads) == (4, 2)
    assert found.wide_scores == pytest.approx(found.scores.sum(axis=0) / 2, abs=_FLOAT32)


def test_a_layer_of_one_head_has_nothing_to_compare() -> None:
    reading = reading_of(TEXT, "random", heads=1)
    with pytest.raises(UsageError, match="compares the heads of a layer, and layer 0 has one") as error:
        study(LessonRequest(reading, (0, 0), 2, 0))
    assert error.value.hint == "another model, or -m random --head-count 4"
