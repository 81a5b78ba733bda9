"""Weights and metrics from one pass equal those of two."""

import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.metrics import metrics_of_kind
from attn_cli.models.source import Texts
from attn_cli.vocabulary import Kind, Pool
from tests.support.sinks import random_layer, with_sink

METRICS = tuple(metric for metric in metrics_of_kind(Kind.SELF) if not metric.is_written)
TEXT = " ".join("abcabcdabefg")
SINK: npt.NDArray[np.float64] = np.array([1.0, -1.0])
ROUNDING = 3e-6  # of float32 sums in another order


@pytest.mark.parametrize("sink", [None, SINK])
@pytest.mark.parametrize("most", [12, 4])
def test_one_pass_has_the_weights_and_the_metrics_of_two(
    sink: npt.NDArray[np.float64] | None, most: int
) -> None:
    source = random_layer()
    tokens = source.tokens(TEXT, None)
    (plain,) = source.attentions(Texts(tokens), Kind.SELF, [0])
    layer = with_sink(plain, sink)
    keys = KeyTokens(np.array([token.id for token in tokens]))
    measured, pooled = layer.measured_and_pooled(METRICS, keys, most, Pool.MAX)
    alone, apart = layer.measure(range(2), METRICS, keys), layer.pooled(range(2), most, Pool.MAX)
    assert pooled.cells == (12 // most, 12 // most)
    assert np.abs(pooled.weights - apart.weights).max() <= ROUNDING
    assert np.array_equal(pooled.visible, apart.visible)
    assert (pooled.sink is None) is (sink is None)
    assert measured.values.keys() == alone.values.keys()
    for metric, values in measured.values.items():
        assert np.abs(values - alone.values[metric]).max() <= ROUNDING
    if most == len(tokens):
        assert np.abs(pooled.weights - layer.trace().weights).max() <= ROUNDING
        assert np.array_equal(pooled.visible, np.tril(np.ones((12, 12), dtype=bool)))
