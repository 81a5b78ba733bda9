"""Metrics of hand-made heads, from operands and from full matrices, and the rows that count."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.core import masks
from attn_cli.core.arrays import Array, namespace, to_numpy
from attn_cli.core.attention import Operands, trace
from attn_cli.core.streaming import eligible_rows, logits, metrics, row_metrics, summary
from attn_cli.core.streaming.formulas import Coefficients, WeightedSum
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import DEFINITIONS, Definition, metrics_of_kind
from attn_cli.core.streaming.row_metrics import RowMetrics, measure_operands, measure_weights
from attn_cli.vocabulary import Kind, Metric
from tests.support.full_matrices import named_cells
from tests.support.libraries import LIBRARIES
from tests.support.made_heads import IDS, TOKENS, looking_at

EVERY = tuple(Metric)
NOT_HERE = {Metric.RECEIVED, Metric.SINK, Metric.HIDDEN, Metric.ON}  # not of rows; of sinks and chosen keys
NOT_HERE |= {metric for metric in Metric if metric.is_written or metric.is_effect}  # not of weights alone


def test_a_token_beyond_the_window_is_eligible_in_no_row() -> None:
    window = masks.both(masks.causal, masks.sliding(2))
    found = measure_operands(looking_at(np.eye(8, dtype=bool), window), EVERY, TOKENS).eligible
    assert np.flatnonzero(found[Metric.FIRST]).tolist() == [0, 1]
    assert not found[Metric.DUPLICATE].any()  # copies are at least two tokens back
    assert np.flatnonzero(found[Metric.INDUCTION]).tolist() == [
        3,
        4,
    ]  # what followed is the token right before


def test_the_token_after_an_adjacent_copy_is_the_row_itself() -> None:
    tokens = KeyTokens(np.array([3, 3, 3]))
    found = measure_operands(looking_at(np.eye(3, dtype=bool)), EVERY, tokens).eligible
    assert np.flatnonzero(found[Metric.INDUCTION]).tolist() == [2]


RULES: dict[str, masks.Rule] = {
    "everywhere": masks.everywhere,
    "causal": masks.causal,
    "window": masks.both(masks.causal, masks.sliding(3)),
    "matrix": lambda queries, keys: np.tril(np.ones((300, 300), dtype=bool))[queries, keys],
    "padding": masks.both(masks.causal, masks.padding(np.arange(300) != 4)),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=9),
    st.integers(0, 99),
    st.integers(1, 30),
    st.sampled_from([None, -2.0, 5.0]),
)
def test_two_routes_give_the_same_metrics(
    rule: masks.Rule, ids: list[int], seed: int, times: int, sink: float | None
) -> None:
    text, draw = np.array(ids * times)[:270], np.random.default_rng(seed)
    tokens = KeyTokens(text, draw.random(text.size) < 0.3, on=draw.random(text.size) < 0.1)
    queries, keys = draw.normal(0, 2, (2, 2, text.size, 4))
    operands = Operands(queries, keys, keys, 1.0, rule, sink=None if sink is None else np.full(2, sink))
    if draw.random() < 0.5:
        rows = np.flatnonzero(draw.random(text.size) < draw.choice([0.1, 0.9]))
        rows = rows if rows.size else np.array([text.size - 1])
        operands, tokens = operands.at(rows.tolist()), replace(tokens, rows=rows)
    steps = trace(operands)
    of_matrices = measure_weights(steps.weights, steps.mask, EVERY, tokens, steps.sink)
    assert (Metric.SINK in of_matrices.values) == (sink is not None)
    same(measure_operands(operands, EVERY, tokens), of_matrices)


def same(found: RowMetrics, expected: RowMetrics) -> None:
    assert list(found.values) == list(expected.values)
    np.testing.assert_array_equal(found.visible_keys, expected.visible_keys)
    for metric, values in expected.values.items():
        np.testing.assert_allclose(found.values[metric], values, atol=1e-9)  # float64, distances up to 270
        if metric is not Metric.RECEIVED:
            np.testing.assert_array_equal(found.eligible[metric], expected.eligible[metric], metric)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_a_row_is_eligible_if_it_has_a_cell_of_the_metric(ids: list[int]) -> None:
    tokens = KeyTokens(np.array(ids), np.array(ids) == 0)
    mask = np.tril(np.ones((len(ids), len(ids)), dtype=bool))
    found = measure_weights(mask[None].astype(float), mask, EVERY, tokens).eligible
    for metric, cells in named_cells(tokens, *mask.shape).items():
        np.testing.assert_array_equal(found[metric], (cells & mask).any(axis=-1), metric)


def test_nan_is_reported_for_each_head() -> None:
    queries = np.zeros((3, 8, 8), dtype=np.float32)
    queries[1, 5] = np.nan
    keys = np.eye(8, dtype=np.float32)[None]
    with np.errstate(invalid="ignore"):
        found = measure_operands(Operands(queries, keys, keys, 1.0, masks.causal), EVERY, TOKENS)
    assert found.are_finite.tolist() == [True, False, True]


def test_an_overflowing_score_is_reported_although_its_row_is_finite() -> None:
    queries, keys = np.zeros((1, 8, 8), dtype=np.float32), np.eye(8, dtype=np.float32)[None]
    queries[0, 5, 1], keys[0, 1, 1] = -1e30, 1e30
    with np.errstate(over="ignore", invalid="ignore"):
        found = measure_operands(Operands(queries, keys, keys, 1.0, masks.causal), EVERY, TOKENS)
    assert found.are_finite.tolist() == [False]


def test_fully_masked_rows_are_not_eligible() -> None:
    nowhere = masks.padding(np.zeros(8, dtype=bool))
    measured = measure_operands(looking_at(np.eye(8, dtype=bool), nowhere), EVERY, TOKENS)
    assert list(measured.eligible) == [metric for metric in Metric if metric not in NOT_HERE]
    assert not any(rows.any() for rows in measured.eligible.values())


def test_special_tokens_count_on_both_sides() -> None:
    tokens = KeyTokens(IDS, np.arange(8) == 5)
    found = measure_operands(looking_at(np.eye(8, dtype=bool), masks.nearby(1)), EVERY, tokens).eligible
    assert np.flatnonzero(found[Metric.SPECIAL]).tolist() == [4, 5, 6]


def test_every_metric_is_defined() -> None:
    assert set(DEFINITIONS) == set(Metric)


def test_metrics_of_positions_are_not_measured_in_cross_attention() -> None:
    both = {Metric.ENTROPY, Metric.LARGEST, Metric.FIRST, Metric.SPECIAL, Metric.RECEIVED}
    both |= {Metric.SINK, Metric.HIDDEN, Metric.ON, Metric.WRITTEN, Metric.WRITTEN_FIRST, Metric.WRITTEN_ON}
    assert set(metrics_of_kind(Kind.CROSS)) == both
    assert metrics_of_kind(Kind.SELF) == tuple(metric for metric in EVERY if not metric.is_effect)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_metric_is_one_entry(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any entry works on every route: here Σ α_ij (i + 2j), for rows that may attend to token 2."""

    def coefficients(_: KeyTokens, rows: range, columns: range, like: Array) -> Coefficients:
        keys = namespace(like).arange(columns.start, columns.stop, dtype=like.dtype)
        return Coefficients(2 * keys + rows.start, slope=1)

    entry = Definition(WeightedSum(coefficients), lambda _, rows: (np.full_like(rows, 2),))
    for module in (metrics, row_metrics, eligible_rows, logits, summary):
        monkeypatch.setattr(module, "DEFINITIONS", {**DEFINITIONS, Metric.DISTANCE: entry})
    q = LIBRARIES[library](np.random.default_rng(0).normal(0, 1, (2, 40, 4)).astype(np.float32))
    operands = Operands(q, q, q, 1.0, masks.causal)
    weights, mask = (to_numpy(step) for step in (trace(operands).weights, trace(operands).mask))
    expected = (weights * (np.arange(40)[:, None] + 2 * np.arange(40))).sum(axis=-1)
    for measured in (
        measure_operands(operands, [Metric.DISTANCE], KeyTokens()),
        measure_weights(weights, mask, [Metric.DISTANCE], KeyTokens()),
    ):
        np.testing.assert_allclose(
            measured.values[Metric.DISTANCE], expected, rtol=1e-5
        )  # sums of 40 float32
        assert measured.eligible[Metric.DISTANCE].tolist() == [row >= 2 for row in range(40)]
