"""A layer with only its softmax recorded, on a long text: some rows, and block averages."""

import numpy as np
import pytest
import torch

from attn_cli.core.attention import Operands, trace
from attn_cli.core.hiding import Hiding
from attn_cli.core.multihead import merged
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.models.bridge.capture import AttentionCall, AttentionRecord, AttentionRecorder, RunningModule
from attn_cli.models.bridge.captured_layer import CapturedLayer, build_layer
from attn_cli.models.source import Layer
from attn_cli.vocabulary import Metric, Step

LOGITS = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(0)).masked_fill(
    ~torch.ones(5, 5, dtype=torch.bool).tril(), -torch.inf
)
LAYER = CapturedLayer(LOGITS, LOGITS.softmax(-1), kv_heads=2, why="it is a test")


def test_some_rows_are_those_of_the_whole() -> None:
    part = LAYER.at([3, 1])
    assert torch.equal(part.mask, LAYER.mask[[3, 1]])
    whole = LAYER.steps([1], set(Step))
    assert list(whole) == [Step.MASK, Step.LOGITS, Step.WEIGHTS]
    for step, values in part.steps([1], set(Step)).items():
        assert torch.equal(values, whole[step][:, [3, 1]])


def test_rows_of_a_layer_with_only_weights_are_theirs() -> None:
    part = CapturedLayer(None, LAYER.weights, 2, "it is a test").at([4])
    assert torch.equal(part.weights, LAYER.weights[:, [4]])
    assert part.logits is None


def test_its_metrics_are_those_of_the_recorded_weights() -> None:
    tokens, told = KeyTokens(np.arange(5), np.zeros(5, dtype=bool)), list[tuple[int, int]]()
    found = LAYER.measure([1], [Metric.LARGEST, Metric.FIRST], tokens, lambda *rows: told.append(rows))
    np.testing.assert_array_equal(found.values[Metric.LARGEST], LAYER.weights[1:].amax(-1))
    np.testing.assert_array_equal(found.values[Metric.FIRST], LAYER.weights[1:, :, 0])
    assert (found.are_finite.tolist(), told) == ([True], [(5, 5)])
    assert found.visible_keys.tolist() == [1, 2, 3, 4, 5]


def test_its_block_averages_are_those_of_the_recorded_weights() -> None:
    found = LAYER.pooled([1], 3)
    assert found.cells == (2, 2)
    np.testing.assert_allclose(found.weights[0, 0, 0], LAYER.weights[1, :2, :2].mean(), rtol=1e-6)  # float32
    np.testing.assert_array_equal(found.visible, np.tri(3, dtype=bool))


def with_sink() -> CapturedLayer:
    """The layer, and a sink whose logit differs by row."""
    logits = torch.randn(2, 5, 1, generator=torch.Generator().manual_seed(1))
    shares = torch.cat([LOGITS, logits], dim=-1).softmax(-1)
    return CapturedLayer(LOGITS, shares[..., :5], 2, "it is a test", logits[..., 0], shares[..., 5])


def test_its_sink_is_counted_in_metrics_and_averaged_in_blocks() -> None:
    layer, tokens = with_sink(), KeyTokens(np.arange(5), np.zeros(5, dtype=bool))
    assert layer.sink_weights is not None
    found = layer.measure([1], [Metric.SINK, Metric.ENTROPY], tokens).values
    np.testing.assert_allclose(found[Metric.SINK], layer.sink_weights[1:], rtol=1e-6)
    full = torch.cat([layer.weights, layer.sink_weights[..., None]], dim=-1)
    np.testing.assert_allclose(found[Metric.ENTROPY], torch.special.entr(full).sum(-1)[1:], rtol=1e-5)
    pooled = layer.pooled([1], 3).sink
    assert pooled is not None
    np.testing.assert_allclose(pooled[0, 0], layer.sink_weights[1, :2].mean(), rtol=1e-6)  # float32


def test_some_rows_have_the_sink_of_those_rows() -> None:
    layer = with_sink()
    part = layer.at([3, 1]).sink([1])
    assert part is not None
    assert layer.sink_logits is not None
    assert part.logits is not None
    assert torch.equal(part.logits, layer.sink_logits[1:, [3, 1]])
    assert LAYER.sink([1]) is None


def test_a_column_beyond_the_keys_of_a_softmax_is_a_sink() -> None:
    """A model whose weights are another formula's, of which only the softmax is shown."""
    vectors, wide = torch.ones(2, 3, 4), torch.tensor([[[0.0, 1.0, 2.0, 3.0]] * 3] * 2)
    shares = wide.softmax(-1)
    call = AttentionCall(vectors, vectors, vectors, (), 1.0, None, None, shares[..., :3], torch.zeros(3, 8))
    record = AttentionRecord(
        (("attention",), 0), (2, 3, 3), RunningModule("attention", None), fits=True, call=call
    )
    record.logits, record.weights = wide, shares
    layer = build_layer(record, 2)
    sink = layer.sink([0, 1])
    assert sink is not None
    assert sink.logits is not None
    assert torch.equal(sink.logits, torch.full((2, 3), 3.0))
    assert torch.equal(sink.weights, shares[..., 3])
    np.testing.assert_allclose(layer.steps([0], [Step.WEIGHTS])[Step.WEIGHTS], shares[:1, :, :3])


def layer_seen(
    dtype: torch.dtype,
    *,
    weight_apart: float = 0.0,
    context_apart: float = 0.0,
    context_times: float = 1.0,
) -> Layer:
    """Two uniform heads of three tokens, and a model whose results differ from them by this much."""
    vectors = torch.ones(2, 3, 4, dtype=dtype)
    values = vectors * context_times
    exact = trace(Operands(vectors, vectors, values, 1.0))
    weights, contexts = exact.weights.clone(), merged(exact.context).clone()
    weights[1, 2, 0] += weight_apart
    contexts[2, 0] += context_apart
    call = AttentionCall(vectors, vectors, values, (), 1.0, None, None, weights, contexts)
    projection = torch.nn.Linear(8, 8, dtype=dtype)
    frame = RunningModule("attention", None)
    record = AttentionRecord((("attention",), 0), (2, 3, 3), frame, fits=True, call=call)
    record.projection = projection
    return build_layer(record, 2)


# Rounding makes less of a difference than the first, and another computation more than the second.
NEAR_AND_FAR = {torch.float32: (1.5e-5, 2.5e-5), torch.float16: (0.017, 0.023), torch.bfloat16: (0.13, 0.17)}


@pytest.mark.parametrize("dtype", NEAR_AND_FAR)
def test_every_step_is_shown_if_our_weights_agree_with_the_models(dtype: torch.dtype) -> None:
    near, far = NEAR_AND_FAR[dtype]
    assert Step.SCORES not in layer_seen(dtype, weight_apart=near).absent
    assert Step.SCORES in layer_seen(dtype, weight_apart=far).absent


@pytest.mark.parametrize("dtype", NEAR_AND_FAR)
def test_the_output_is_shown_if_our_contexts_agree_with_the_models(dtype: torch.dtype) -> None:
    near, far = NEAR_AND_FAR[dtype]
    for times in (1.0, 8.0):  # what is larger is rounded by more
        close = layer_seen(dtype, context_times=times, context_apart=near * times)
        assert Step.OUTPUT not in close.absent
        apart = layer_seen(dtype, context_times=times, context_apart=far * times)
        assert {Step.OUTPUT, Step.NORMS, Step.NORM_SHARES} == set(apart.absent) - set(close.absent)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_large_negative_addend_is_a_mask_and_a_smaller_one_a_bias(dtype: torch.dtype) -> None:
    def seen(*numbers: float) -> tuple[int, bool]:
        added = torch.tensor([[[0, 0, *numbers[-1:]]] * 2 + [[0, *numbers]]]).to(dtype)
        vectors = torch.ones(2, 3, 4, dtype=dtype)
        weights = (vectors @ vectors.mT + added).softmax(-1)
        contexts = merged(weights @ vectors)
        call = AttentionCall(vectors, vectors, vectors, (added,), 1.0, None, None, weights, contexts)
        frame = RunningModule("attention", None)
        layer = build_layer(AttentionRecord((("attention",), 0), (2, 3, 3), frame, fits=True, call=call), 2)
        return int(layer.mask.sum()), Step.BIAS in layer.steps([0], [Step.BIAS])

    assert seen(0, -5_100) == (6, False)  # 4,992 and 5,088 are the neighbours of 5,000 in bfloat16
    assert seen(0, -4_900) == (9, True)
    assert seen(-900, -5_100) == (6, True)  # a mask and a bias, in one tensor
    assert seen(-1_100, -5_100) == (9, True)  # a bias that grows without a gap
    assert seen(-1_100, -65_504) == ((9, True) if dtype != torch.float16 else (6, True))
    assert seen(-1_100, torch.finfo(dtype).min) == (6, True)


def rising(scores: torch.Tensor, mask: torch.Tensor, way: str) -> torch.Tensor:
    """Scores with a mask, as models' code adds it."""
    if way == "subtracted":
        return scores - 1e4 * mask
    if way == "scaled while adding":
        return torch.add(scores, mask, alpha=-1e4)
    if way == "filled in":
        return scores.masked_fill(mask.bool(), -1e4)
    if way == "chosen":
        return torch.where(mask.bool(), torch.tensor(-1e4), scores)
    if way == "added in place, then copied":
        scores += -1e4 * mask
        return scores.contiguous().to(torch.float64).float()
    return torch.baddbmm(-1e4 * mask, scores, torch.eye(5).expand(2, 5, 5))


@pytest.mark.parametrize(
    "way",
    ["subtracted", "scaled while adding", "filled in", "chosen", "added in place, then copied", "multiplied"],
)
@pytest.mark.parametrize("size", [1, 3_000])  # of scores as large as that, too, a mask can be told
def test_a_mask_is_known_by_what_was_added_not_by_the_size_of_the_logits(way: str, size: int) -> None:
    mask = torch.ones(5, 5).triu(1).expand(2, 5, 5)
    watch = AttentionRecorder([(5, 5)], lambda _: True)
    scores = size * torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(1)).tril()
    module = torch.nn.Identity()
    watch.enter("attention", module, (), {})
    with watch:
        rising(scores, mask, way).softmax(-1)
    layer = build_layer(watch.records[0], 2)
    np.testing.assert_array_equal(layer.mask, np.tri(5, dtype=bool))


@pytest.mark.parametrize("is_renormalized", [False, True])
def test_hidden_keys_of_a_recorded_layer_are_no_columns_but_take_their_weight(is_renormalized: bool) -> None:
    layer, hiding = with_sink(), Hiding((0, 3), is_renormalized)
    assert layer.sink_weights is not None
    rows = layer.weights[1][:, [1, 2, 4]].double()
    hidden, left = layer.weights[1][:, [0, 3]].sum(-1), rows.sum(-1, keepdim=True)
    shown = torch.where(left > 0, rows / left, 0) if is_renormalized else rows
    pooled = layer.pooled([1], 3, hiding=hiding)
    assert (pooled.weights.shape, pooled.cells) == ((1, 3, 3), (2, 1))
    assert pooled.hidden is not None
    assert pooled.sink is not None
    np.testing.assert_allclose(pooled.weights[0, 1], shown[2:4].mean(0), rtol=1e-6)  # float32
    np.testing.assert_allclose(pooled.hidden[0, 0], hidden[:2].mean(), rtol=1e-6)
    np.testing.assert_allclose(pooled.sink[0, 0], layer.sink_weights[1, :2].mean(), rtol=1e-6)
    tokens = KeyTokens(np.arange(5), np.zeros(5, dtype=bool))
    found = layer.measure(
        [1], [Metric.HIDDEN, Metric.SINK, Metric.LARGEST, Metric.FIRST], tokens, hiding=hiding
    )
    np.testing.assert_allclose(found.values[Metric.HIDDEN][0], hidden, rtol=1e-6)
    np.testing.assert_allclose(found.values[Metric.SINK][0], layer.sink_weights[1], rtol=1e-6)
    np.testing.assert_allclose(found.values[Metric.LARGEST][0], shown.amax(-1), rtol=1e-6)
    assert not found.eligible[Metric.FIRST].any()
    assert found.visible_keys.tolist() == [0, 1, 2, 2, 3]
