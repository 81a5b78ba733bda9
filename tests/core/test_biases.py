"""Position biases: known answers, the functions of transformers, and blocks of a longer text."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.bloom import modeling_bloom
from transformers.models.deberta_v2 import modeling_deberta_v2
from transformers.models.t5 import modeling_t5

from attn_cli.core.arrays import to_numpy
from attn_cli.core.masks import OfRows
from attn_cli.core.multihead import MultiHeadAttention
from attn_cli.core.positions import Buckets, Disentangled, LogarithmicBuckets, RelativeBias, alibi
from attn_cli.vocabulary import Step
from tests.support.libraries import Convert

LENGTH = 300
PLACES = np.arange(LENGTH)
ROWS, COLUMNS = PLACES[:, None], PLACES[None, :]


def test_alibi_of_two_heads_by_hand(array: Convert) -> None:
    like = array(np.zeros(1, np.float32))
    found = to_numpy(alibi(2, like)(array(np.arange(2)[:, None]), array(np.arange(3)[None, :])))
    assert found.tolist() == [[[0, 1 / 16, 2 / 16]], [[0, 1 / 256, 2 / 256]]]  # 2^-4 and 2^-8
    assert [alibi(2, like).slope(head) for head in range(2)] == [1 / 16, 1 / 256]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_alibi_is_the_slope_times_the_position(array: Convert, dtype: str) -> None:
    like = array(np.zeros(1, dtype))
    bias = alibi(12, like)
    found = to_numpy(bias(array(ROWS), array(COLUMNS)))[:, 0]
    exact = np.dtype("float64" if dtype == "float64" else "float32")
    slopes = np.asarray([bias.slope(head) for head in range(12)], dtype=exact)
    expected = slopes[:, None] * PLACES.astype(exact)
    np.testing.assert_array_equal(found, expected.astype(dtype))


@pytest.mark.parametrize("heads", [1, 2, 3, 6, 8, 12, 20, 112])
def test_alibi_equals_that_of_bloom(heads: int) -> None:
    theirs = modeling_bloom.build_alibi_tensor(torch.ones(1, 9), heads, torch.float32).numpy()
    found = alibi(heads, np.zeros(1, np.float32))(np.arange(9)[:, None], np.arange(9)[None, :])
    np.testing.assert_allclose(found, theirs, rtol=2e-6)  # they raise a rounded base to a power


def test_a_bias_that_is_the_same_for_every_query_is_shown_for_each() -> None:
    layer = replace(MultiHeadAttention.random(8, 2), bias=alibi(2, np.zeros(1, np.float32)))
    found = layer.attention(np.ones((3, 8), np.float32)).steps([1], {Step.BIAS})[Step.BIAS]
    assert found.tolist() == [[[0, 1 / 256, 2 / 256]] * 3]


def test_small_distances_have_a_bucket_each_by_hand() -> None:
    found = Buckets(8, farthest=16, both_sides=True).of(np.asarray([[3]]), np.arange(6)[None, :])
    assert found.tolist() == [[2, 2, 1, 0, 5, 6]]  # two of four to a side are exact; 4 is later's first


@pytest.mark.parametrize("both_sides", [True, False])
@pytest.mark.parametrize(("count", "farthest"), [(32, 128), (8, 20), (64, 300)])
def test_buckets_equal_those_of_t5(array: Convert, count: int, farthest: int, both_sides: bool) -> None:
    bucket: Any = modeling_t5.T5Attention._relative_position_bucket  # noqa: SLF001
    theirs = bucket(torch.tensor(COLUMNS - ROWS), both_sides, count, farthest)
    found = Buckets(count, farthest, both_sides=both_sides).of(array(ROWS), array(COLUMNS))
    assert (to_numpy(found) == theirs.numpy()).all()


def test_a_relative_bias_is_the_row_of_its_bucket(array: Convert) -> None:
    table = array(np.arange(8, dtype=np.float32).reshape(4, 2))  # 4 buckets, 2 heads
    buckets = Buckets(4, farthest=8, both_sides=False)
    found = to_numpy(
        RelativeBias(table, buckets)(array(np.asarray([[2]])), array(np.asarray([[0, 1, 2, 3]])))
    )
    assert found.tolist() == [[[4, 2, 0, 0]], [[5, 3, 1, 1]]]


@pytest.mark.parametrize(("count", "farthest"), [(256, 512), (6, 64), (32, 33)])
def test_logarithmic_buckets_equal_those_of_deberta(array: Convert, count: int, farthest: int) -> None:
    theirs = modeling_deberta_v2.build_relative_position(
        torch.zeros(LENGTH, 1), torch.zeros(LENGTH, 1), count, farthest
    )[0]
    found = LogarithmicBuckets(count, farthest, span=count).of(array(ROWS), array(COLUMNS))
    assert (to_numpy(found) == (theirs + count).clamp(0, 2 * count - 1).numpy()).all()


@given(st.integers(1, 9), st.integers(0, 8), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_a_block_of_a_disentangled_bias_equals_that_of_the_whole(
    rows: int, first: int, columns: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    queries, keys = draw.normal(size=(2, 3, 20, 4)).astype(np.float32)
    tables = draw.normal(size=(2, 3, 12, 4)).astype(np.float32)
    bias = Disentangled(LogarithmicBuckets(6, 20, span=6), 0.5, *tables).of(queries, keys)
    whole = bias(np.arange(20)[:, None], np.arange(20)[None, :])
    block = bias(np.arange(first, first + rows)[:, None], np.arange(columns)[None, :])
    np.testing.assert_allclose(block, whole[:, first : first + rows, :columns], atol=1e-5)  # other products


def test_a_disentangled_bias_pair_by_pair() -> None:
    draw = np.random.default_rng(0)
    queries, keys = draw.normal(size=(2, 2, 5, 3))
    of_keys, of_queries = draw.normal(size=(2, 2, 8, 3))
    distances = LogarithmicBuckets(None, 4, span=4)
    found = Disentangled(distances, 0.25, of_keys, of_queries).of(queries, keys)(
        np.arange(5)[:, None], np.arange(5)[None, :]
    )
    for head, i, j in np.ndindex(2, 5, 5):
        row = min(max(i - j + 4, 0), 7)
        expected = queries[head, i] @ of_keys[head, row] + keys[head, j] @ of_queries[head, row]
        assert found[head, i, j] == pytest.approx(0.25 * expected)


def test_the_terms_of_a_disentangled_bias_add_up_to_it(array: Convert) -> None:
    draw = np.random.default_rng(0)
    queries, keys = (array(each) for each in draw.normal(size=(2, 3, 9, 4)).astype(np.float32))
    of_keys, of_queries = (array(each) for each in draw.normal(size=(2, 3, 12, 4)).astype(np.float32))
    places = array(np.arange(9))
    pairs, distances = (places[:, None], places[None, :]), LogarithmicBuckets(6, 20, span=6)
    both = Disentangled(distances, 0.3, of_keys, of_queries).of(queries, keys)
    to_position, to_content = both.terms(*pairs)
    assert to_position is not None
    assert to_content is not None
    np.testing.assert_array_equal(to_numpy(both(*pairs)), to_numpy((to_position + to_content) * 0.3))
    for tables, expected in (((of_keys, None), to_position), ((None, of_queries), to_content)):
        one = Disentangled(distances, 0.3, *tables).of(queries, keys)
        np.testing.assert_array_equal(to_numpy(one(*pairs)), to_numpy(expected * 0.3))
        assert [term is None for term in one.terms(*pairs)] == [table is None for table in tables]


def test_the_terms_of_a_disentangled_bias_pair_by_pair() -> None:
    draw = np.random.default_rng(0)
    queries, keys = draw.normal(size=(2, 1, 5, 3))
    of_keys, of_queries = draw.normal(size=(2, 1, 8, 3))
    bias = Disentangled(LogarithmicBuckets(None, 4, span=4), 0.25, of_keys, of_queries).of(queries, keys)
    to_position, to_content = bias.terms(np.asarray([[3]]), np.asarray([[1]]))
    assert to_position is not None
    assert to_content is not None
    assert to_position.item() == pytest.approx(queries[0, 3] @ of_keys[0, 6])  # 3 - 1 + 4
    assert to_content.item() == pytest.approx(keys[0, 1] @ of_queries[0, 6])


def test_a_bias_of_some_rows_keeps_the_whole() -> None:
    layer = replace(MultiHeadAttention.random(8, 2), bias=alibi(2, np.zeros(1, np.float32)))
    attention = layer.attention(np.ones((4, 8), np.float32)).at([3, 1])
    assert isinstance(attention.operands.bias, OfRows)
    assert attention.operands.bias.whole is layer.bias
    assert attention.layer is layer
