"""Norms: known answers, PyTorch's own, and the statistics that they are made of."""

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm, rms_norm

from attn_cli.core.arrays import to_numpy
from attn_cli.core.layers import LayerNorm, RmsNorm
from tests.support.libraries import Convert

SIZE = 12
EXACT = 1e-12  # float64


def test_a_layer_norm_by_hand(array: Convert) -> None:
    norm = LayerNorm(array(np.array([1.0, 10.0])), array(np.array([0.5, 0.0])), epsilon=0.0)
    x = array(np.array([[1.0, 5.0]]))
    found = norm.statistics(x)
    assert to_numpy(found.mean).tolist() == [[3]]
    assert to_numpy(found.divisor).tolist() == [[2]]  # both are 2 from the mean
    assert to_numpy(norm(x)).tolist() == [[-0.5, 10]]


def test_an_rms_norm_by_hand(array: Convert) -> None:
    norm = RmsNorm(array(np.array([1.0, 10.0])), epsilon=0.5)
    x = array(np.array([[1.0, 4.0]]))
    found = norm.statistics(x)
    assert found.mean is None
    assert to_numpy(found.divisor).tolist() == [[3]]  # √(17 / 2 + 0.5)
    np.testing.assert_allclose(to_numpy(norm(x)), [[1 / 3, 40 / 3]], rtol=EXACT)


def test_norms_are_those_of_pytorch(array: Convert, rng: np.random.Generator) -> None:
    x, gain, shift = rng.normal(3, 2, (2, 5, SIZE)), rng.normal(size=SIZE), rng.normal(size=SIZE)
    theirs = layer_norm(torch.tensor(x), (SIZE,), torch.tensor(gain), torch.tensor(shift), 1e-3)
    found = LayerNorm(array(gain), array(shift), 1e-3)(array(x))
    np.testing.assert_allclose(to_numpy(found), theirs.numpy(), rtol=EXACT, atol=EXACT)
    theirs = rms_norm(torch.tensor(x), (SIZE,), torch.tensor(gain), 1e-3)
    found = RmsNorm(array(gain), 1e-3)(array(x))
    np.testing.assert_allclose(to_numpy(found), theirs.numpy(), rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("kind", ["layer", "layer, no shift", "rms"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_statistics_give_the_normed_vectors_bit_for_bit(
    array: Convert, rng: np.random.Generator, kind: str, dtype: str
) -> None:
    x, gain, shift = (array(rng.normal(1, 2, shape).astype(dtype)) for shape in ((7, SIZE), SIZE, SIZE))
    with_shift = shift if kind == "layer" else None
    norm = RmsNorm(gain, 1e-6) if kind == "rms" else LayerNorm(gain, with_shift, 1e-6)
    statistics = norm.statistics(x)
    assert statistics.divisor.shape == (7, 1)
    centred = x if statistics.mean is None else x - statistics.mean
    scaled = centred / statistics.divisor * gain
    expected = scaled if with_shift is None else scaled + with_shift
    np.testing.assert_array_equal(to_numpy(norm(x)), to_numpy(expected))


def test_statistics_of_half_precision_are_float32(array: Convert) -> None:
    x, gain = array(np.full((1, 4), 300, dtype=np.float16)), array(np.ones(4, dtype=np.float16))
    found = RmsNorm(gain, 0.0)
    assert to_numpy(found.statistics(x).divisor).tolist() == [[300]]  # its square is no float16
    assert to_numpy(LayerNorm(gain, None, 1.0).statistics(x).divisor).dtype == np.float32
    assert found(x).dtype == x.dtype


def test_an_rms_norm_returns_the_dtype_of_its_gain(array: Convert) -> None:
    x = array(np.ones((1, 4), dtype=np.float32))
    assert to_numpy(RmsNorm(array(np.ones(4, dtype=np.float64)), 0.0)(x)).dtype == np.float64
    narrow = RmsNorm(array(np.ones(4, dtype=np.float16)), 0.0)(x)  # T5's stream in float16
    assert narrow.dtype == array(np.ones(1, dtype=np.float16)).dtype
