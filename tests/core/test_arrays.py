"""The few functions that the array API standard lacks."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from attn_cli.core.arrays import at_least_float32, device_of, erf, namespace, positions, to_numpy
from tests.support.libraries import Convert


def test_numpy_follows_the_standard_by_itself() -> None:
    assert namespace(np.zeros(1)) is np
    assert namespace(np.float32(1)) is np


def test_numpy_costs_no_import_of_the_compatibility_layer() -> None:
    code = (
        "import sys, numpy; from attn_cli.core.multihead import MultiHeadAttention as M; "
        "M.random(4, 2)(numpy.ones((2, 4), dtype='float32')); "
        "print([name for name in ('torch', 'array_api_compat') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_pytorch_gets_the_functions_of_the_standard() -> None:
    assert namespace(torch.zeros(1)).__name__ == "array_api_compat.torch"


def test_positions_count_from_zero_on_the_device_of_the_array(array: Convert) -> None:
    found = positions(3, array([1.0]))
    assert to_numpy(found).tolist() == [0, 1, 2]
    assert positions(3, torch.empty(1, device="meta")).device == torch.device("meta")
    assert device_of(torch.empty(1, device="meta")) == torch.device("meta")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float32_and_float64_are_unchanged(array: Convert, dtype: type[np.floating]) -> None:
    x = array(np.ones(2, dtype=dtype))
    assert at_least_float32(x) is x


def test_half_precision_becomes_float32(array: Convert) -> None:
    assert to_numpy(at_least_float32(array(np.ones(2, dtype=np.float16)))).dtype == np.float32
    assert at_least_float32(torch.ones(2, dtype=torch.bfloat16)).dtype == torch.float32


def test_numpy_stays_as_it_is() -> None:
    x = np.ones(2)
    assert to_numpy(x) is x


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.bfloat16, np.float32),
        (torch.float16, np.float32),
        (torch.float32, np.float32),
        (torch.float64, np.float64),
        (torch.bool, np.bool_),
        (torch.int64, np.int64),
    ],
)
def test_a_tensor_becomes_numpy_in_a_format_that_numpy_has(dtype: torch.dtype, expected: type) -> None:
    found = to_numpy(torch.tensor([0, 1], dtype=dtype))
    assert (found.tolist(), found.dtype) == ([0, 1], expected)


def test_a_tensor_leaves_its_graph() -> None:
    assert to_numpy(torch.ones(2, requires_grad=True) * 3).tolist() == [3, 3]


def expected_erf(x: np.ndarray) -> np.ndarray:
    return np.array([math.erf(one) for one in x.tolist()])


def test_erf_of_float32_is_the_c_library_s_to_eight_units_in_the_last_place() -> None:
    small = np.geomspace(1e-38, 1, 20_000, dtype=np.float32)
    x = np.concatenate([np.linspace(-5, 5, 80_001, dtype=np.float32), small, -small])
    found, expected = erf(x), expected_erf(x)
    assert found.dtype == np.float32
    units = np.abs(found - expected) / np.spacing(np.abs(expected).astype(np.float32))
    assert units.max() < 8  # what the docstring says; 7.95 over every seventh float32
    assert np.abs(found - expected).max() < 5e-7


def test_erf_of_float64_is_the_c_library_s() -> None:
    x = np.linspace(-6, 6, 1001)
    np.testing.assert_array_equal(erf(x), expected_erf(x))
    assert erf(x).dtype == np.float64


def test_erf_of_a_tensor_is_pytorch_s() -> None:
    x = torch.linspace(-6, 6, 1001, dtype=torch.float64)
    np.testing.assert_allclose(erf(x).numpy(), expected_erf(x.numpy()), rtol=1e-15)  # float64


def test_erf_goes_from_minus_one_to_one_and_leaves_its_argument_alone(array: Convert) -> None:
    x = array(np.array([[-np.inf, -9, 0], [0.5, 9, np.inf]], dtype=np.float32))
    before = to_numpy(x).copy()
    expected = [[-1.0, -1.0, 0.0], [0.5204999, 1.0, 1.0]]
    np.testing.assert_allclose(to_numpy(erf(x)), expected, atol=5e-7)  # what the docstring says
    np.testing.assert_array_equal(to_numpy(x), before)


def test_erf_of_nan_is_nan(array: Convert) -> None:
    assert np.isnan(to_numpy(erf(array(np.array([np.nan], dtype=np.float32))))).all()
