"""Which library an array belongs to, and the few functions missing from the array API standard."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = Any
"""A NumPy or PyTorch array. The array API standard defines functions, but no class for annotations."""

Namespace: TypeAlias = Any
"""The functions of the standard, for one library."""

Booleans: TypeAlias = npt.NDArray[np.bool_]
Exact: TypeAlias = npt.NDArray[np.float64]
Floats: TypeAlias = npt.NDArray[np.floating]
Indices: TypeAlias = npt.NDArray[np.int64]
Integers: TypeAlias = npt.NDArray[np.integer]


def namespace(array: Array) -> Namespace:
    """The functions of the array API standard for `array`'s library.

    NumPy 2 implements the standard itself; `array_api_compat.numpy` is not used because it imports all of
    NumPy (0.2 s).
    """
    if isinstance(array, np.ndarray | np.generic):
        return np
    import array_api_compat  # 0.02 s: needed only for PyTorch

    return array_api_compat.array_namespace(array)


def device_of(array: Array) -> Any:
    """The device of `array`; pass it to `arange` and `asarray` to avoid transfers between devices."""
    return array.device


def is_on_cpu(array: Array) -> bool:
    """Whether `array` is in CPU memory."""
    return str(device_of(array)).startswith("cpu")


def positions(count: int, like: Array) -> Array:
    """(count,) the numbers 0, 1, 2, ... on the device of `like`."""
    return namespace(like).arange(count, device=device_of(like))


def taken(array: Array, indices: Sequence[int], axis: int) -> Array:
    """Select `indices` along `axis`, in the given order; consecutive indices give a view."""
    chosen, xp = list(indices), namespace(array)
    if chosen and chosen == list(range(chosen[0], chosen[0] + len(chosen))):
        within = [slice(None)] * array.ndim
        within[axis] = slice(chosen[0], chosen[0] + len(chosen))
        return array[tuple(within)]
    return xp.take(array, xp.asarray(chosen, device=device_of(array)), axis=axis)


def at_least_float32(array: Array) -> Array:
    """`array` converted to float32 if it is in half precision, else unchanged."""
    xp = namespace(array)
    is_fine = array.dtype in (xp.float32, xp.float64)  # not a set: equal NumPy dtypes have different hashes
    return array if is_fine else xp.astype(array, xp.float32)


def widest_float(like: Array) -> Any:
    """The dtype in which rows are summed up: float64, or float32 on a device without it, as Apple's GPUs."""
    xp = namespace(like)
    return xp.float32 if str(device_of(like)).startswith("mps") else xp.float64


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """`array` as a NumPy array, detached and on the CPU; half precision becomes float32."""
    if isinstance(array, np.ndarray):
        return array
    tensor = array.detach().cpu()
    if tensor.is_floating_point():
        tensor = at_least_float32(tensor)
    plain: np.ndarray[Any, Any] = tensor.numpy()
    return plain


def exact(array: Array) -> Exact:
    """`array` as a NumPy array in float64: for sums and differences of numbers that are computed already."""
    return np.asarray(to_numpy(array), dtype=np.float64)


def erf(x: Array) -> Array:
    """The error function, which both the standard and NumPy lack.

    In float32, a rational approximation over [-4, 4] as in Eigen and XLA (`MathFunctionsImpl.h`), accurate to
    8 units in the last place, 5e-7 (evaluated in float64, 2 units in three times the time); in float64, the
    C library's function, element by element.
    """
    xp = namespace(x)
    if xp is not np:
        return xp.erf(x)
    if x.dtype == np.float64:
        return np.asarray(np.frompyfunc(math.erf, 1, 1)(x), dtype=np.float64)
    x = np.clip(x, np.float32(-4), np.float32(4))
    square = x * x
    return x * (_polynomial(square, _ERF_NUMERATOR) / _polynomial(square, _ERF_DENOMINATOR))


_ERF_NUMERATOR = (
    -2.72614225801306e-10,
    2.77068142495902e-08,
    -2.10102402082508e-06,
    -5.69250639462346e-05,
    -7.34990630326855e-04,
    -2.95459980854025e-03,
    -1.60960333262415e-02,
)
_ERF_DENOMINATOR = (
    -1.45660718464996e-05,
    -2.13374055278905e-04,
    -1.68282697438203e-03,
    -7.37332916720468e-03,
    -1.42647390514189e-02,
)


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Horner's rule, highest power first."""
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total *= x
        total += np.float32(coefficient)
    return total


def constant(array: Array) -> Array:
    """`array` detached from the autograd graph; NumPy arrays are returned as they are."""
    return array if isinstance(array, np.ndarray | np.generic) else array.detach()
