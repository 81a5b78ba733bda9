"""Rows of a layer equal those of the whole; its block averages are the means of its matrices."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn_cli.core import masks
from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands, trace
from attn_cli.core.multihead import MultiHeadAttention
from attn_cli.core.streaming.pooling import Pooled, pool
from attn_cli.vocabulary import Pool, Step
from tests.core.streaming.test_stream import EXACT, layer_of
from tests.support.libraries import LIBRARIES, Convert


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data())
@settings(max_examples=60)
def test_a_few_queries_give_the_rows_of_all_queries(library: str, data: st.DataObject) -> None:
    operands, _, _ = layer_of(data.draw, LIBRARIES[library])
    places = st.integers(0, operands.queries.shape[1] - 1)
    rows = data.draw(st.lists(places, min_size=1, max_size=9, unique=True))
    part, whole = trace(operands.at(rows)), trace(operands)
    np.testing.assert_array_equal(to_numpy(part.mask), to_numpy(whole.mask)[rows])
    assert (part.bias is None) == (whole.bias is None)
    for step in ("scores", "logits", "weights", "context"):
        ours, all_of_them = (to_numpy(getattr(each, step)) for each in (part, whole))
        np.testing.assert_allclose(ours, all_of_them[:, rows], EXACT, EXACT, err_msg=step)


@pytest.mark.parametrize("library", LIBRARIES)
@given(data=st.data(), most=st.sampled_from([1, 2, 5, 33, 1024]), way=st.sampled_from(Pool))
@settings(max_examples=60)
def test_blocks_are_the_means_or_the_largest_of_the_matrices(
    library: str, data: st.DataObject, most: int, way: Pool
) -> None:
    operands, _, _ = layer_of(data.draw, LIBRARIES[library])
    whole = trace(operands)
    found = pool(operands, most, way)
    sink = None if whole.sink is None else to_numpy(whole.sink)
    expected = Pooled.of(to_numpy(whole.weights), to_numpy(whole.mask), most, way, sink)
    assert found.cells == expected.cells
    assert max(found.weights.shape[1:]) <= most
    np.testing.assert_allclose(found.weights, expected.weights, EXACT, EXACT)
    np.testing.assert_array_equal(found.visible, expected.visible)
    np.testing.assert_array_equal(found.are_finite, expected.are_finite)
    if expected.sink is not None:
        assert found.sink is not None
        np.testing.assert_allclose(found.sink, expected.sink, EXACT, EXACT)


def test_a_block_at_the_edge_is_the_mean_of_what_is_left(array: Convert) -> None:
    weights = to_numpy(array(np.arange(9, dtype=np.float32).reshape(1, 3, 3)))
    found = Pooled.of(weights, np.tri(3, dtype=bool), 2)
    assert found.cells == (2, 2)
    np.testing.assert_array_equal(found.weights, [[[2, 3.5], [6.5, 8]]])
    np.testing.assert_array_equal(found.visible, [[True, False], [True, True]])


def test_a_block_may_be_the_largest_of_its_weights(array: Convert) -> None:
    weights = to_numpy(array(np.arange(9, dtype=np.float32).reshape(1, 3, 3)))
    found = Pooled.of(weights, np.tri(3, dtype=bool), 2, Pool.MAX, weights[:, :, 0])
    np.testing.assert_array_equal(found.weights, [[[4, 5], [7, 8]]])
    np.testing.assert_array_equal(found.sink, [[3, 6]])


def test_overflowing_logits_differ_from_fully_masked_rows(array: Convert) -> None:
    queries = np.array([[[1.0], [1.0]], [[np.inf], [1.0]]], dtype=np.float32)
    keys = np.ones((2, 2, 1), dtype=np.float32)
    nowhere: Any = lambda i, j: (i > 0) & (j >= 0)  # noqa: E731  a rule is a function
    operands = Operands(array(queries), array(keys), array(keys), 1.0)
    with np.errstate(invalid="ignore"):
        assert pool(operands, 1).are_finite.tolist() == [True, False]
        masked = Operands(operands.queries, operands.keys, operands.values, 1.0, nowhere)
        assert pool(masked, 1).are_finite.tolist() == [True, True]


def test_a_layer_at_some_rows_has_their_input_and_all_keys() -> None:
    layer = MultiHeadAttention.random(8, 2, mask=masks.causal)
    x = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    whole = layer.attention(x).steps([1], set(Step))
    part = layer.attention(x).at([4, 1]).steps([1], set(Step))
    for step, expected in whole.items():
        kept = expected if step.is_of_keys else expected[:, [4, 1]]
        np.testing.assert_allclose(
            part[step], kept, atol=1e-6, err_msg=step
        )  # float32, another order of sums
