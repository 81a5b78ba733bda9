"""A layer between words, a block of rows at a time, equals its full matrices merged at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands, trace
from attn_cli.core.hiding import Hiding, as_shown
from attn_cli.core.merging import Groups, WordRows, merged_rows
from attn_cli.core.multihead import Attention
from attn_cli.core.shown_metrics import measure_shown_weights
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import metrics_of_kind
from attn_cli.core.streaming.pooling import Pooled
from attn_cli.core.streaming.row_metrics import RowMetrics, measure_weights
from attn_cli.reading.words import layer as words_layer
from attn_cli.reading.words.layer import WordLayer
from attn_cli.vocabulary import Kind, Pool, Step
from tests.core.streaming.test_stream import EXACT, layer_of
from tests.core.test_hiding import draw_hiding
from tests.core.test_merging import draw_members
from tests.support.libraries import LIBRARIES

Numbers = npt.NDArray[np.floating]


def draw_layer(draw: Any, library: str) -> tuple[WordLayer, WordRows]:
    """A layer between words, and its full matrices."""
    operands, _, _ = layer_of(draw, LIBRARIES[library])
    queries = draw_members(draw, operands.queries.shape[-2])
    same = operands.queries.shape[-2] == operands.keys.shape[-2]
    keys = queries if same else draw_members(draw, operands.keys.shape[-2])
    layer = WordLayer(Attention(None, operands, None), queries, Groups.of(keys))
    return layer, full_rows(operands, queries, keys)


def full_rows(operands: Operands, queries: list[list[int]], keys: list[list[int]]) -> WordRows:
    whole = trace(operands)
    sink = None if whole.sink is None else to_numpy(whole.sink)
    return merged_rows(
        to_numpy(whole.weights), to_numpy(whole.mask), Groups.of(queries), Groups.of(keys), sink
    )


@contextmanager
def in_small_blocks(draw: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words_layer, "_NUMBERS", draw(st.sampled_from([1, 500, 1 << 21])))
        yield


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data())
@settings(max_examples=60)
def test_the_rows_of_some_words_are_those_of_the_full_matrix(library: str, data: st.DataObject) -> None:
    layer, whole = draw_layer(data.draw, library)
    heads, count = list(range(layer.heads)), len(layer.queries)
    rows = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
    steps = layer.at(rows).steps(heads, {Step.WEIGHTS, Step.MASK})
    np.testing.assert_allclose(steps[Step.WEIGHTS], whole.weights[:, rows], EXACT, EXACT)
    np.testing.assert_array_equal(layer.at(rows).mask, whole.mask[rows])
    sink = layer.at(rows).sink(heads)
    if whole.sink is None:
        assert sink is None
    else:
        assert sink is not None
        np.testing.assert_allclose(sink.weights, whole.sink[:, rows], EXACT, EXACT)


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data(), most=st.sampled_from([1, 2, 5, 33, 1024]), way=st.sampled_from(Pool))
@settings(max_examples=60)
def test_pooled_words_are_those_of_the_full_matrix(
    library: str, data: st.DataObject, most: int, way: Pool
) -> None:
    layer, whole = draw_layer(data.draw, library)
    keys = whole.mask.shape[-1]
    hiding = draw_hiding(data.draw, keys) if keys > 1 and data.draw(st.booleans()) else None
    with in_small_blocks(data.draw):
        pooled = layer.pooled(list(range(layer.heads)), most, way, hiding)
    same_pictures(pooled, pooled_at_once(whole, most, way, hiding))


def pooled_at_once(whole: WordRows, most: int, way: Pool, hiding: Hiding | None) -> Pooled:
    if hiding is None:
        return Pooled.of(whole.weights, whole.mask, most, way, whole.sink)
    (weights, shares), others = as_shown(whole.weights, hiding), hiding.others(whole.mask.shape[-1])
    pooled = Pooled.of(weights[..., others], whole.mask[:, others], most, way, whole.sink)
    return pooled.beside(shares, way)


def same_pictures(pooled: Pooled, expected: Pooled) -> None:
    assert pooled.cells == expected.cells
    np.testing.assert_array_equal(pooled.visible, expected.visible)
    np.testing.assert_array_equal(pooled.are_finite, expected.are_finite)
    for name in ("weights", "sink", "hidden", "left", "received"):
        one, other = getattr(pooled, name), getattr(expected, name)
        if other is None:
            assert one is None, name
        else:
            np.testing.assert_allclose(one, other, EXACT, EXACT, err_msg=name)


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data())
@settings(max_examples=60)
def test_metrics_of_words_are_those_of_the_full_matrix(library: str, data: st.DataObject) -> None:
    layer, whole = draw_layer(data.draw, library)
    queries, keys = whole.mask.shape
    ids = np.asarray(np.random.default_rng(keys).integers(0, 4, keys))
    hiding = draw_hiding(data.draw, keys) if keys > 1 and data.draw(st.booleans()) else None
    is_hidden = None if hiding is None else np.isin(np.arange(keys), hiding.keys)
    words = KeyTokens(ids if queries == keys else None, ids == 0, is_hidden)
    metrics = metrics_of_kind(Kind.SELF if queries == keys else Kind.CROSS)
    heads = list(range(layer.heads))
    with in_small_blocks(data.draw):
        measured = layer.measure(heads, metrics, words, None, hiding)
    full = whole.weights, whole.mask, metrics, words
    expected = (
        measure_weights(*full, whole.sink)
        if hiding is None
        else measure_shown_weights(*full, hiding, whole.sink)
    )
    same_metrics(measured, expected)


def same_metrics(measured: RowMetrics, expected: RowMetrics) -> None:
    assert list(measured.values) == list(expected.values)
    for metric, values in expected.values.items():
        np.testing.assert_allclose(measured.values[metric], values, 1e-4, 1e-4, err_msg=metric)
    for metric, rows in expected.eligible.items():
        np.testing.assert_array_equal(measured.eligible[metric], rows, err_msg=metric)
    np.testing.assert_array_equal(measured.visible_keys, expected.visible_keys)
    np.testing.assert_array_equal(measured.are_finite, expected.are_finite)


def test_progress_counts_words() -> None:
    operands = layer_of_ones(6)
    layer = WordLayer(
        Attention(None, operands, None), [[0, 1], [2], [3, 4, 5]], Groups.of([[0], [1, 2, 3, 4, 5]])
    )
    seen = list[tuple[int, int]]()
    words = KeyTokens(None, np.zeros(2, bool))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words_layer, "_NUMBERS", 1)
        layer.measure([0], metrics_of_kind(Kind.CROSS), words, lambda *done: seen.append(done))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def layer_of_ones(tokens: int) -> Operands:
    ones = np.ones((1, tokens, 2), np.float32)
    return Operands(ones, ones, ones, 1.0)


def test_a_logit_that_overflows_leaves_no_weights_of_its_head() -> None:
    """The other heads keep theirs; the caller says which head is not finite."""
    operands = layer_of_ones(3)
    queries = np.concatenate([operands.queries, operands.queries * 3e38])
    two = Operands(queries, operands.keys.repeat(2, 0), operands.values.repeat(2, 0), 1.0)
    with np.errstate(all="ignore"):
        layer = WordLayer(Attention(None, two, None), [[0, 1], [2]], Groups.of([[0], [1, 2]]))
        weights = to_numpy(layer.steps([0, 1], {Step.WEIGHTS})[Step.WEIGHTS])
    np.testing.assert_allclose(weights[0], [[1 / 3, 2 / 3]] * 2, rtol=1e-6)
    assert np.isnan(weights[1]).all()
