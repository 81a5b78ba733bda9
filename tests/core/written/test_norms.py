"""What heads write, without large matrices, equals sums over a full matrix of norms."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_cli.core import context
from attn_cli.core.arrays import exact, to_numpy
from attn_cli.core.attention import Operands
from attn_cli.core.hiding import Hiding
from attn_cli.core.merging import Groups, merged_rows
from attn_cli.core.multihead import Attention, Linear
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import metrics_of_kind
from attn_cli.core.streaming.row_metrics import RowMetrics
from attn_cli.core.written import norms as norms_module
from attn_cli.core.written.norms import SAME_ROWS, key_norms, shares_of_rows
from attn_cli.reading.words.layer import WordLayer
from attn_cli.vocabulary import Kind, Metric, Step
from tests.core.streaming.test_stream import layer_of
from tests.core.test_hiding import draw_hiding, exact_trace
from tests.core.test_merging import draw_members
from tests.support.libraries import LIBRARIES

Numbers = npt.NDArray[np.floating]

WIDTH = 24
CLOSE = 2e-4  # logits of up to 50 are rounded by 50 · 2⁻²⁴ in either route, and norms are up to 50


def written_by(draw: Any, library: str) -> tuple[Attention, Numbers, Numbers]:
    """A layer with a random W^O, and the weights and norms (H, T, S) of its heads in float64."""
    operands, _, _ = layer_of(draw, LIBRARIES[library])
    size, heads = int(operands.values.shape[-1]), operands.heads
    weight = np.random.default_rng(size).normal(size=(WIDTH, heads * size))
    output = Linear(LIBRARIES[library](weight.astype(np.float32)))
    weights = to_numpy(exact_trace(operands).weights)
    values = exact(operands.values)
    lengths = [
        [np.linalg.norm(weight[:, head * size : (head + 1) * size] @ value) for value in values[group]]
        for head in range(heads)
        for group in [operands.kv_head(head)]
    ]
    return Attention(None, operands, output), weights, weights * np.array(lengths)[:, None, :]


def expected_of(
    norms: Numbers, weights: Numbers, on: Any, hiding: Hiding | None
) -> tuple[dict[Metric, Numbers], npt.NDArray[np.bool_]]:
    """The metrics of full matrices, and the rows in which there is something to divide by."""
    seen = np.ones(norms.shape[-1], dtype=bool)
    if hiding is not None:
        seen[list(hiding.keys)] = False
    kept, left = norms * seen, (weights * seen).sum(axis=-1)
    total = kept.sum(axis=-1)
    full = np.where(total > 0, total, 1)
    divided = np.where(left > 0, left, 1) if hiding is not None and hiding.is_renormalized else 1
    return {
        Metric.WRITTEN: total / divided,
        Metric.WRITTEN_FIRST: kept[..., 0] / full,
        Metric.WRITTEN_ON: (kept * on).sum(axis=-1) / full,
    }, left > 1e-6


def same(measured: RowMetrics, expected: dict[Metric, Numbers], rows: Any) -> None:
    assert {metric for metric in measured.values if metric.is_written} == set(expected)
    for metric, values in expected.items():
        np.testing.assert_allclose(measured.values[metric][rows], values[rows], CLOSE, CLOSE, err_msg=metric)
        np.testing.assert_array_equal(measured.eligible[metric], measured.eligible[SAME_ROWS[metric]])


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data())
@settings(max_examples=60)
def test_what_is_written_is_the_sum_of_a_full_matrix(library: str, data: st.DataObject) -> None:
    attention, weights, norms = written_by(data.draw, library)
    heads, keys = data.draw(st.permutations(range(attention.heads))), norms.shape[-1]
    hiding = draw_hiding(data.draw, keys) if keys > 1 and data.draw(st.booleans()) else None
    tokens = KeyTokens(None, np.arange(keys) == 0, on=np.arange(keys) % 3 == 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "_LARGE", data.draw(st.sampled_from([1, 500, 1 << 22])))
        measured = attention.measure(heads, metrics_of_kind(Kind.CROSS), tokens, hiding=hiding)
    expected, rows = expected_of(norms[heads], weights[heads], tokens.on, hiding)
    same(measured, expected, rows)


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data())
@settings(max_examples=40)
def test_norms_of_words_are_merged_as_weights_are(library: str, data: st.DataObject) -> None:
    attention, weights, norms = written_by(data.draw, library)
    operands: Operands = attention.operands
    queries = draw_members(data.draw, operands.queries.shape[-2])
    members = draw_members(data.draw, operands.keys.shape[-2])
    groups, heads, mask = Groups.of(members), list(range(attention.heads)), to_numpy(attention.mask)
    layer = WordLayer(attention, queries, groups)
    sink = attention.sink(heads)
    given_sink = None if sink is None else to_numpy(sink.weights)
    merged = [
        merged_rows(each, mask, Groups.of(queries), groups, given_sink).weights for each in (norms, weights)
    ]
    steps = layer.steps(heads, {Step.NORMS, Step.NORM_SHARES})
    np.testing.assert_allclose(steps[Step.NORMS], merged[0], CLOSE, CLOSE)
    np.testing.assert_allclose(steps[Step.NORM_SHARES], shares_of_rows(steps[Step.NORMS]))
    count = groups.count
    hiding = draw_hiding(data.draw, count) if count > 1 and data.draw(st.booleans()) else None
    words = KeyTokens(None, np.arange(count) == 0, on=np.arange(count) % 2 == 1)
    measured = layer.measure(heads, metrics_of_kind(Kind.CROSS), words, None, hiding)
    expected, rows = expected_of(merged[0], merged[1], words.on, hiding)
    same(measured, expected, rows)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("keys", [1, 8, 9, 40])
def test_norms_of_many_values_are_those_of_few(library: str, keys: int) -> None:
    """Beyond D values, W^O is replaced by its R: the lengths are the same, and it is smaller."""
    draw, make = np.random.default_rng(keys), LIBRARIES[library]
    values, weight = draw.normal(size=(2, keys, 8)), draw.normal(size=(2, 20, 8))
    found = key_norms(make(values), [make(each) for each in weight])
    expected = np.linalg.norm(values @ weight.swapaxes(-1, -2), axis=-1)
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-12 if found.dtype == np.float64 else 1e-5)


def test_sums_of_norms_are_as_wide_as_queries_so_that_a_fused_kernel_computes_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PyTorch's kernel for the CPU holds T × S numbers if values are narrower than keys."""
    seen = list[tuple[int, int]]()
    attend = context.attend

    def spied(operands: Operands) -> Any:
        seen.append((operands.queries.shape[-1], operands.values.shape[-1]))
        return attend(operands)

    monkeypatch.setattr(norms_module, "attend", spied)
    queries, values = np.ones((1, 5, 8)), np.ones((1, 5, 6))
    attention = Attention(None, Operands(queries, queries, values, 1.0), Linear(np.ones((4, 6))))
    attention.measure([0], [Metric.ENTROPY, Metric.WRITTEN], KeyTokens(None, np.zeros(5, bool)))
    assert seen == [(8, 8)]


def test_a_row_in_which_nothing_is_written_has_no_shares() -> None:
    assert shares_of_rows(np.array([[0.0, 0.0], [1.0, 3.0]])).tolist() == [[0, 0], [0.25, 0.75]]
