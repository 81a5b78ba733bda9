"""A layer of which only the softmax was seen, on a long text: some of its rows, and its picture."""

import numpy as np
import torch

from attn_cli.models.bridge.captured_layer import CapturedLayer
from attn_cli.vocabulary import Step

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


def test_rows_of_a_layer_that_tells_only_weights_are_theirs() -> None:
    part = CapturedLayer(None, LAYER.weights, 2, "it is a test").at([4])
    assert torch.equal(part.weights, LAYER.weights[:, [4]])
    assert part.logits is None


def test_its_picture_is_that_of_the_weights_that_were_seen() -> None:
    found = LAYER.pooled([1], 3)
    assert found.cells == (2, 2)
    np.testing.assert_allclose(found.weights[0, 0, 0], LAYER.weights[1, :2, :2].mean(), rtol=1e-6)  # float32
    np.testing.assert_array_equal(found.visible, np.tri(3, dtype=bool))
