"""The five steps, compared with a plain loop, known answers, and PyTorch."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from attn_cli.core import masks
from attn_cli.core.arrays import Array, at_least_float32, to_numpy
from attn_cli.core.attention import (
    Operands,
    Trace,
    dots,
    exponentiate,
    masked,
    score,
    soft_capped,
    softmax,
    trace,
)
from attn_cli.core.context import attend
from tests.support import attention_loop as loop
from tests.support.libraries import Convert

LN3 = math.log(3)
Numbers = npt.NDArray[Any]

# float64: a few roundings of numbers up to 100. float32: such a score is good to 100 · 2^-24 · √D,
# and e to that power carries the error on to the weights.
TOLERANCES = {"float64": 1e-12, "float32": 1e-4}

RULES: dict[str, tuple[masks.Rule, Callable[[int, int], bool]]] = {
    "everywhere": (masks.everywhere, lambda _i, _j: True),
    "causal": (masks.causal, lambda i, j: j <= i),
    "sliding": (masks.sliding(2), lambda i, j: i - j < 2),
    "window": (masks.both(masks.causal, masks.sliding(2)), lambda i, j: 0 <= i - j < 2),
}


def with_scores(array: Convert, scores: npt.ArrayLike, **rest: Any) -> Operands:
    """A head per matrix (H, T, S), with these scores, whose context equals the weights."""
    queries = np.asarray(scores, dtype=np.float32)
    each = np.stack([np.eye(queries.shape[-1], dtype=np.float32)] * len(queries))
    return Operands(array(queries), array(each), array(each), scale=1.0, **rest)


def spelled(array: Convert, scores: npt.ArrayLike, **rest: Any) -> Trace:
    return trace(with_scores(array, scores, **rest))


def drawn(rng: np.random.Generator, *shape: int, spread: float = 1.0) -> npt.NDArray[np.float32]:
    return rng.normal(0, spread, shape).astype(np.float32)


@st.composite
def layers(draw: st.DrawFn) -> tuple[str, list[bool], loop.Layer]:
    """A mask rule, the padding, and a layer of any shape with peaked rows."""
    size = st.integers(1, 5)
    kv_heads, group, rows, columns, features = (draw(size) for _ in range(5))
    heads, rng = group * kv_heads, np.random.default_rng(draw(st.integers(0, 999)))
    rule = draw(st.sampled_from(sorted(RULES)))
    real = draw(st.lists(st.booleans(), min_size=columns, max_size=columns))
    layer = loop.Layer(
        queries=rng.normal(0, 6, (heads, rows, features)),
        keys=rng.normal(0, 1, (kv_heads, columns, features)),
        values=rng.normal(0, 1, (kv_heads, columns, features)),
        scale=features**-0.5,
        may_look=lambda i, j: RULES[rule][1](i, j) and real[j],
        bias=rng.normal(0, 2, (heads, rows, columns)) if draw(st.booleans()) else None,
        softcap=4.0 if draw(st.booleans()) else None,
        sink=None
        if (shape := draw(st.sampled_from([None, (heads,), (heads, rows)]))) is None
        else rng.normal(0, 2, shape),
    )
    return rule, real, layer


def operands_of(array: Convert, dtype: str, rule: masks.Rule, layer: loop.Layer) -> Operands:
    def convert(numbers: npt.NDArray[np.float64]) -> Array:
        return array(numbers.astype(dtype))

    bias, sink = layer.bias, layer.sink
    return Operands(
        queries=convert(layer.queries),
        keys=convert(layer.keys),
        values=convert(layer.values),
        scale=layer.scale,
        mask=rule,
        bias=None if bias is None else lambda _i, _j: convert(bias),
        softcap=layer.softcap,
        sink=None if sink is None else convert(sink),
    )


@settings(max_examples=200)
@given(drawn=layers(), dtype=st.sampled_from(sorted(TOLERANCES)))
def test_every_step_equals_that_of_a_plain_loop(
    array: Convert, drawn: tuple[str, list[bool], loop.Layer], dtype: str
) -> None:
    name, real, layer = drawn
    rule = masks.both(RULES[name][0], masks.padding(array(real)))
    found = trace(operands_of(array, dtype, rule, layer))
    pairs = [[layer.may_look(i, j) for j in range(len(real))] for i in range(layer.queries.shape[1])]
    np.testing.assert_array_equal(to_numpy(found.mask), pairs)
    assert (found.bias is None) == (layer.bias is None)
    assert (found.sink is None) == (layer.sink is None)
    of_sink = () if layer.sink is None else ("sink",)
    for step in ("scores", "logits", "weights", "context", *of_sink):
        expected, ours = getattr(loop, step)(layer), to_numpy(getattr(found, step))
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, expected, atol=TOLERANCES[dtype], rtol=TOLERANCES[dtype])


def test_a_score_that_is_ln_3_higher_takes_three_times_the_weight(array: Convert) -> None:
    weights = to_numpy(spelled(array, [[[LN3, 0.0], [0.0, LN3]]]).weights)
    np.testing.assert_allclose(weights, [[[0.75, 0.25], [0.25, 0.75]]], atol=1e-7)  # float32


def test_the_context_mixes_the_values_by_the_weights(array: Convert) -> None:
    operands = with_scores(array, [[[LN3, 0.0]]])
    values = array(np.array([[[4, 0], [8, 100]]], dtype=np.float32))
    mixed = attend(Operands(operands.queries, operands.keys, values, scale=1.0))
    np.testing.assert_allclose(to_numpy(mixed), [[[5, 25]]], rtol=1e-6)  # 0.75·4 + 0.25·8, 0.25·100


def test_the_scores_are_dot_products_times_the_scale(array: Convert) -> None:
    queries, keys = (array(np.array(rows, dtype=np.float32)) for rows in ([[[3, 4]]], [[[1, 2], [10, -5]]]))
    found = trace(Operands(queries, keys, keys, scale=0.5)).scores
    np.testing.assert_array_equal(to_numpy(found), [[[5.5, 5.0]]])


def test_a_masked_key_has_no_logit_and_no_weight_but_a_score(array: Convert) -> None:
    found = spelled(array, [[[1.0, 2.0], [LN3, 0.0]]], mask=masks.causal)
    np.testing.assert_array_equal(to_numpy(found.mask), [[True, False], [True, True]])
    np.testing.assert_array_equal(to_numpy(found.scores)[0, 0], [1, 2])
    np.testing.assert_array_equal(to_numpy(found.logits)[0, 0], [1, -np.inf])
    np.testing.assert_allclose(to_numpy(found.weights), [[[1.0, 0.0], [0.75, 0.25]]], atol=1e-7)  # float32


def test_a_fully_masked_row_is_zeros(array: Convert) -> None:
    found = spelled(array, [[[1, 2]]], mask=masks.padding(array([False, False])))
    np.testing.assert_array_equal(to_numpy(found.weights), [[[0, 0]]])
    np.testing.assert_array_equal(to_numpy(found.context), [[[0, 0]]])


def test_a_fully_masked_row_with_a_sink_is_zeros_too(array: Convert) -> None:
    nowhere = masks.padding(array([False, False]))
    found = spelled(array, [[[1, 2]]], mask=nowhere, sink=array(np.array([-1e5], dtype=np.float32)))
    np.testing.assert_array_equal(to_numpy(found.weights), [[[0, 0]]])
    np.testing.assert_array_equal(to_numpy(found.sink), [[1]])  # the softmax over the sink alone


def test_a_sink_takes_weight_and_gives_no_value(array: Convert) -> None:
    found = spelled(array, [[[0, 0]], [[0, 0]]], sink=array(np.array([0, math.log(2)], dtype=np.float32)))
    weights = to_numpy(found.weights)
    np.testing.assert_allclose(weights, [[[1 / 3] * 2], [[1 / 4] * 2]], rtol=1e-6)  # float32
    np.testing.assert_array_equal(to_numpy(found.context), weights)  # the values are the identity
    np.testing.assert_array_equal(to_numpy(found.logits), [[[0, 0]], [[0, 0]]])


@pytest.mark.parametrize(("score", "sink"), [(0, 1e4), (1e4, 0), (-1e4, -1e4), (1e4, 1e4)])
def test_neither_a_high_score_nor_a_high_sink_overflows(array: Convert, score: float, sink: float) -> None:
    found = spelled(array, [[[score]]], sink=array(np.array([sink], dtype=np.float32)))
    expected = 0.5 if score == sink else float(score > sink)
    np.testing.assert_allclose(to_numpy(found.weights), [[[expected]]], rtol=1e-6)  # float32


def test_a_soft_cap_squeezes_the_logits_and_leaves_the_scores(array: Convert) -> None:
    found = spelled(array, [[[30 * math.atanh(0.5), 1e6, -1e6]]], softcap=30.0)
    np.testing.assert_allclose(to_numpy(found.logits), [[[15, 30, -30]]], rtol=1e-6)  # float32
    assert to_numpy(found.scores)[0, 0, 1] == 1e6


def test_a_bias_is_added_to_the_scores_of_its_head(array: Convert) -> None:
    bias = array(np.array([[[LN3, 0]], [[0, 0]]], dtype=np.float32))
    found = spelled(array, [[[0, 0]], [[0, 0]]], bias=lambda _i, _j: bias)
    np.testing.assert_array_equal(to_numpy(found.bias), to_numpy(bias))
    np.testing.assert_allclose(to_numpy(found.weights), [[[0.75, 0.25]], [[0.5, 0.5]]], atol=1e-7)  # float32


def test_a_bias_is_a_rule_about_positions(array: Convert) -> None:
    found = spelled(array, np.zeros((1, 2, 3)), bias=lambda i, j: (10 * i - j)[None])
    np.testing.assert_array_equal(to_numpy(found.logits), [[[0, -1, -2], [10, 9, 8]]])


def test_the_soft_cap_comes_before_the_bias_and_the_bias_before_the_mask(array: Convert) -> None:
    bias = array(np.array([[[100, np.inf]]], dtype=np.float32))
    only_first = masks.padding(array([True, False]))
    found = spelled(array, [[[1e6, 0]]], softcap=30.0, bias=lambda _i, _j: bias, mask=only_first)
    np.testing.assert_allclose(to_numpy(found.logits), [[[130, -np.inf]]], rtol=1e-6)  # float32


def test_without_a_cap_the_scores_pass_untouched(array: Convert) -> None:
    scores = array([1.0, 2.0])
    assert soft_capped(scores, None) is scores


@pytest.mark.parametrize(("kv_heads", "read"), [(1, [0, 0, 0, 0]), (2, [0, 0, 1, 1]), (4, [0, 1, 2, 3])])
def test_neighbouring_heads_share_a_key_head(array: Convert, kv_heads: int, read: list[int]) -> None:
    keys = np.arange(kv_heads, dtype=np.float32).reshape(kv_heads, 1, 1)
    operands = Operands(array(np.ones((4, 1, 1), dtype=np.float32)), array(keys), array(10 * keys), scale=1.0)
    found = trace(operands)
    assert to_numpy(found.scores).ravel().tolist() == read
    assert to_numpy(found.context).ravel().tolist() == [10 * head for head in read]
    assert [operands.kv_head(head) for head in range(4)] == read
    assert (operands.heads, operands.kv_heads) == (4, kv_heads)


def full(array: Convert, rng: np.random.Generator, *batch: int) -> Operands:
    """A layer with everything: H = 4, G = 2, T = 3, S = 5, D = 8."""
    bias = array(drawn(rng, 4, 3, 5))
    return Operands(
        queries=array(drawn(rng, *batch, 4, 3, 8, spread=5)),
        keys=array(drawn(rng, *batch, 2, 5, 8)),
        values=array(drawn(rng, *batch, 2, 5, 8)),
        scale=8**-0.5,
        mask=masks.both(masks.causal, masks.padding(array([True, True, False, True, True]))),
        bias=lambda _i, _j: bias,
        softcap=20.0,
        sink=array(drawn(rng, 4)),
    )


def test_some_rows_have_the_sinks_of_those_rows(array: Convert, rng: np.random.Generator) -> None:
    whole = replace(full(array, rng), bias=None, sink=array(drawn(rng, 4, 3)))
    part = trace(whole.at([2, 0]).select([3, 1]))
    assert part.sink is not None
    np.testing.assert_allclose(
        to_numpy(part.sink), to_numpy(trace(whole).sink)[[3, 1]][:, [2, 0]], atol=1e-6
    )  # float32


STEPS = ("scores", "bias", "logits", "weights", "context", "sink")


@pytest.mark.parametrize("heads", [[2], [3, 0], [1, 1, 2], [0, 1, 2, 3]])
def test_selected_heads_are_the_same_as_in_the_whole_layer(
    array: Convert, rng: np.random.Generator, heads: list[int]
) -> None:
    operands = full(array, rng)
    whole, part = trace(operands), trace(operands.select(heads))
    np.testing.assert_array_equal(to_numpy(part.mask), to_numpy(whole.mask))
    for step in STEPS:  # a product over fewer rows may be summed in another order
        found, expected = to_numpy(getattr(part, step)), to_numpy(getattr(whole, step))[heads]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_selected_heads_of_a_plain_layer_have_no_bias_and_no_sink(array: Convert) -> None:
    chosen = with_scores(array, [[[0.0, 0.0]], [[LN3, 0.0]]]).select([1])
    assert (chosen.bias, chosen.sink, chosen.heads) == (None, None, 1)


def test_a_batch_equals_its_members_one_by_one(array: Convert, rng: np.random.Generator) -> None:
    batch = full(array, rng, 2, 3)
    found = trace(batch)
    for place in np.ndindex(2, 3):
        queries, keys, values = batch.queries[place], batch.keys[place], batch.values[place]
        one = replace(batch, queries=queries, keys=keys, values=values)
        for step in ("scores", "logits", "weights", "context", "sink"):  # sums may run in another order
            ours = to_numpy(getattr(found, step))[place]
            np.testing.assert_allclose(ours, to_numpy(getattr(trace(one), step)), atol=1e-5)


def test_each_member_of_a_batch_may_have_its_own_padding(array: Convert) -> None:
    queries, keys = (array(np.zeros(shape, dtype=np.float32)) for shape in ((2, 1, 1, 4), (2, 1, 2, 4)))
    real = array([[True, False], [True, True]])  # (B, S)
    found = trace(Operands(queries, keys, keys, scale=1.0, mask=masks.padding(real)))
    np.testing.assert_array_equal(to_numpy(found.weights)[:, 0, 0], [[1, 0], [0.5, 0.5]])


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("is_causal", [False, True])
def test_pytorchs_attention_gives_the_same(
    array: Convert, rng: np.random.Generator, kv_heads: int, *, is_causal: bool
) -> None:
    queries = drawn(rng, 4, 7, 16, spread=6)
    keys, values = drawn(rng, 2, kv_heads, 7, 16)
    q, k, v = (torch.tensor(each)[None] for each in (queries, keys, values))
    theirs = scaled_dot_product_attention(q, k, v, is_causal=is_causal, enable_gqa=True)
    rule = masks.causal if is_causal else masks.everywhere
    found = trace(Operands(array(queries), array(keys), array(values), scale=0.25, mask=rule))
    assert to_numpy(found.weights).max(axis=-1).mean() > 0.5  # peaked: flat rows pass with broken maths
    np.testing.assert_allclose(to_numpy(found.context), theirs[0].numpy(), atol=2e-5)  # scores near 50


def test_pytorchs_attention_agrees_with_mask_and_bias(array: Convert, rng: np.random.Generator) -> None:
    queries, keys, values = drawn(rng, 3, 4, 7, 16, spread=2)
    bias, visible = drawn(rng, 4, 7, 7), rng.random((7, 7)) < 0.6
    visible[3] = False  # a row that may look nowhere: zeros there too
    q, k, v, added = (torch.tensor(each) for each in (queries, keys, values, bias))
    added = added.masked_fill(~torch.tensor(visible), -torch.inf)
    theirs = scaled_dot_product_attention(q, k, v, attn_mask=added, scale=0.5)
    operands = Operands(array(queries), array(keys), array(values), scale=0.5)
    found = attend(replace(operands, mask=lambda _i, _j: array(visible), bias=lambda _i, _j: array(bias)))
    np.testing.assert_allclose(to_numpy(found), theirs.numpy(), atol=2e-5)  # scores near 50


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_softmax_of_half_precision_runs_in_float32(dtype: torch.dtype) -> None:
    logits = (4 * torch.randn(4, 8, 300, generator=torch.Generator().manual_seed(0))).to(dtype)
    found, exact = softmax(logits), torch.softmax(logits.double(), dim=-1)
    assert found.dtype == dtype
    half = torch.finfo(dtype)  # one rounding: half of eps, and below `tiny` half of the smallest step
    torch.testing.assert_close(
        found.double(), exact, rtol=0.51 * half.eps, atol=0.51 * half.smallest_normal * half.eps
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_trace_of_half_precision_stays_in_half_precision(
    rng: np.random.Generator, dtype: torch.dtype
) -> None:
    queries, keys, values = torch.tensor(drawn(rng, 3, 2, 5, 8)).to(dtype)
    operands = Operands(
        queries, keys, values, 0.25, masks.causal, softcap=30.0, sink=torch.zeros(2).to(dtype)
    )
    queries, keys, values, sink = (at_least_float32(each) for each in (queries, keys, values, operands.sink))
    exact = trace(replace(operands, queries=queries, keys=keys, values=values, sink=sink))
    found = trace(operands)
    assert {found.scores.dtype, found.logits.dtype, found.weights.dtype, found.context.dtype} == {dtype}
    reach = 4 * torch.finfo(dtype).eps  # scores up to 2 are off by an eps, and with them the shares
    torch.testing.assert_close(found.weights.float(), exact.weights, rtol=0, atol=reach)


def test_masking_keeps_the_number_format(array: Convert) -> None:
    logits = masked(array(np.array([1, 2], dtype=np.float32)), array([True, False]))
    np.testing.assert_array_equal(to_numpy(logits), np.array([1, -np.inf], dtype=np.float32))
    assert to_numpy(logits).dtype == np.float32


def test_a_score_is_the_dot_product_times_the_scale(array: Convert) -> None:
    queries, keys = array([[[1.0, 2.0]], [[3.0, 4.0]]]), array([[[5.0, 6.0], [7.0, 8.0]]])
    operands = Operands(queries, keys, keys, scale=0.5)
    np.testing.assert_array_equal(to_numpy(dots(operands)), [[[17.0, 23.0]], [[39.0, 53.0]]])
    np.testing.assert_array_equal(to_numpy(score(operands)), to_numpy(dots(operands)) * 0.5)


def test_a_row_is_exponentiated_below_its_largest_logit(array: Convert) -> None:
    found = exponentiate(array(np.asarray([[[1.0, 1.0 + LN3, -np.inf]]])))
    np.testing.assert_allclose(to_numpy(found.largest), [[[1 + LN3]]])
    np.testing.assert_allclose(to_numpy(found.powers), [[[1 / 3, 1, 0]]], rtol=1e-15)
    np.testing.assert_allclose(to_numpy(found.total), [[[4 / 3]]], rtol=1e-15)
    assert found.of_sink is None


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_a_sink_can_be_the_largest_logit_and_is_in_the_total(array: Convert, shape: tuple[int, ...]) -> None:
    found = exponentiate(array(np.asarray([[[0.0, 0.0]]])), array(np.full(shape, LN3)))
    np.testing.assert_allclose(to_numpy(found.largest), [[[LN3]]])
    np.testing.assert_allclose(to_numpy(found.powers), [[[1 / 3, 1 / 3]]], rtol=1e-15)
    np.testing.assert_allclose(to_numpy(found.of_sink), [[[1]]])
    np.testing.assert_allclose(to_numpy(found.total), [[[5 / 3]]], rtol=1e-15)


def test_a_row_that_may_look_nowhere_has_no_powers(array: Convert) -> None:
    found = exponentiate(array(np.full((1, 1, 2), -np.inf)))
    assert [float(each.sum()) for each in (found.largest, found.powers, found.total)] == [0, 0, 0]


def test_half_precision_is_exponentiated_in_float32(array: Convert) -> None:
    found = exponentiate(array(np.zeros((1, 1, 2), dtype=np.float16)))
    assert to_numpy(found.powers).dtype == np.float32


@given(layers())
def test_the_weights_are_powers_over_their_total(case: tuple[str, list[bool], loop.Layer]) -> None:
    operands = operands_of(np.asarray, "float64", masks.padding(np.asarray(case[1])), case[2])
    found = trace(operands)
    row = exponentiate(found.logits, operands.sink)
    empty = row.total == 0
    np.testing.assert_array_equal(
        found.weights, np.where(empty, 0, row.powers / np.where(empty, 1, row.total))
    )
    if row.of_sink is not None:
        np.testing.assert_array_equal(found.sink, (row.of_sink / row.total)[..., 0])
