"""A layer of which only the softmax was seen, on a long text: some of its rows, and its picture."""

import numpy as np
import torch

from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.models.bridge.captured_layer import Watched
from attn_cli.vocabulary import Metric, Step

LOGITS = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(0)).masked_fill(
    ~torch.ones(5, 5, dtype=torch.bool).tril(), -torch.inf
)
LAYER = Watched(LOGITS, LOGITS.softmax(-1), kv_heads=2, why="it is a test")


def test_some_rows_are_those_of_the_whole() -> None:
    part = LAYER.at([3, 1])
    assert torch.equal(part.mask, LAYER.mask[[3, 1]])
    whole = LAYER.steps([1], set(Step))
    assert list(whole) == [Step.MASK, Step.LOGITS, Step.WEIGHTS]
    for step, values in part.steps([1], set(Step)).items():
        assert torch.equal(values, whole[step][:, [3, 1]])


def test_rows_of_a_layer_that_tells_only_weights_are_theirs() -> None:
    part = Watched(None, LAYER.weights, 2, "it is a test").at([4])
    assert torch.equal(part.weights, LAYER.weights[:, [4]])
    assert part.logits is None


def test_what_it_measures_is_that_of_the_weights_that_were_seen() -> None:
    tokens, told = KeyTokens(np.arange(5), np.zeros(5, dtype=bool)), list[tuple[int, int]]()
    found = LAYER.measure([1], [Metric.LARGEST, Metric.FIRST], tokens, lambda *rows: told.append(rows))
    np.testing.assert_array_equal(found.values[Metric.LARGEST], LAYER.weights[1:].amax(-1))
    np.testing.assert_array_equal(found.values[Metric.FIRST], LAYER.weights[1:, :, 0])
    assert (found.are_finite.tolist(), told) == ([True], [(5, 5)])
    assert found.visible_keys.tolist() == [1, 2, 3, 4, 5]


def test_its_picture_is_that_of_the_weights_that_were_seen() -> None:
    found = LAYER.pooled([1], 3)
    assert found.cells == (2, 2)
    np.testing.assert_allclose(found.weights[0, 0, 0], LAYER.weights[1, :2, :2].mean(), rtol=1e-6)  # float32
    np.testing.assert_array_equal(found.visible, np.tri(3, dtype=bool))
