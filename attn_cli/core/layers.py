"""The other parts of a transformer block: norms and activations."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from attn_cli.core.arrays import Array, at_least_float32, erf, namespace
from attn_cli.record import record


@record(frozen=True, slots=True, eq=False)
class NormStatistics:
    """What a norm takes from each vector: norm(x) = (x - mean) / divisor · gain + shift."""

    mean: Array | None  # (..., 1); None: nothing is subtracted
    divisor: Array  # (..., 1)


@record(frozen=True, slots=True, eq=False)
class LayerNorm:
    """Vectors normalised to mean 0 and variance 1, times `gain`, plus `shift`. arXiv:1607.06450."""

    gain: Array  # (M,)
    shift: Array | None  # (M,)
    epsilon: float

    def __call__(self, x: Array) -> Array:
        """(..., M) the normalised vectors."""
        centred, found = self._centred(x)
        scaled = namespace(x).astype(centred / found.divisor, x.dtype, copy=False) * self.gain
        return scaled if self.shift is None else scaled + self.shift

    def statistics(self, x: Array) -> NormStatistics:
        """The mean of each vector (..., M), and √(variance + ε); in float32 or better."""
        return self._centred(x)[1]

    def _centred(self, x: Array) -> tuple[Array, NormStatistics]:
        xp, exact = namespace(x), at_least_float32(x)
        mean = xp.mean(exact, axis=-1, keepdims=True)
        centred = exact - mean
        variance = xp.mean(centred * centred, axis=-1, keepdims=True)
        return centred, NormStatistics(mean, xp.sqrt(variance + self.epsilon))


@record(frozen=True, slots=True, eq=False)
class RmsNorm:
    """Vectors normalised to mean square 1, times `gain`. arXiv:1910.07467."""

    gain: Array  # (M,) with the 1 that Gemma's files leave out
    epsilon: float

    def __call__(self, x: Array) -> Array:
        """(..., M) the normalised vectors, in the dtype of the gain.

        With T5 in float16, `x` is float32 (`modeling_t5.py` casts likewise).
        """
        xp, exact = namespace(x), at_least_float32(x)
        scaled = xp.astype(exact / self._divisor(exact), x.dtype, copy=False) * self.gain
        return xp.astype(scaled, self.gain.dtype, copy=False)

    def statistics(self, x: Array) -> NormStatistics:
        """√(mean square + ε) of each vector (..., M); in float32 or better."""
        return NormStatistics(None, self._divisor(at_least_float32(x)))

    def _divisor(self, exact: Array) -> Array:
        xp = namespace(exact)
        return xp.sqrt(xp.mean(exact * exact, axis=-1, keepdims=True) + self.epsilon)


def gelu(x: Array) -> Array:
    """x · Φ(x), with the normal distribution function Φ. Hendrycks and Gimpel 2016, arXiv:1606.08415."""
    return x * 0.5 * (1 + erf(x * math.sqrt(0.5)))


def gelu_tanh(x: Array) -> Array:
    """The tanh approximation of GELU, from the same paper."""
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
    return 0.5 * x * (1 + namespace(x).tanh(inner))


def bloom_gelu(x: Array) -> Array:
    """The same with the constant rounded to eight digits (`modeling_bloom.py`)."""
    return 0.5 * x * (1 + namespace(x).tanh(0.79788456 * x * (1 + 0.044715 * x * x)))


def quick_gelu(x: Array) -> Array:
    """x · σ(1.702 x), the sigmoid approximation of GELU, from the same paper."""
    return x * sigmoid(1.702 * x)


def silu(x: Array) -> Array:
    """x · σ(x). Elfwing et al. 2017, arXiv:1702.03118."""
    return x * sigmoid(x)


def sigmoid(x: Array) -> Array:
    """σ(x) = 1 / (1 + e^-x), computed with tanh, which never overflows."""
    return 0.5 * (1 + namespace(x).tanh(0.5 * x))


def relu(x: Array) -> Array:
    """max(x, 0)."""
    xp = namespace(x)
    return xp.where(x > 0, x, xp.zeros_like(x))


ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {  # the names of Hugging Face's `activations.py`
        "gelu": gelu,
        "gelu_python": gelu,
        "gelu_accurate": gelu_tanh,
        "gelu_python_tanh": gelu_tanh,
        "gelu_new": gelu_tanh,
        "gelu_fast": gelu_tanh,
        "bloom_gelu": bloom_gelu,
        "gelu_pytorch_tanh": gelu_tanh,
        "quick_gelu": quick_gelu,
        "relu": relu,
        "silu": silu,
        "swish": silu,
        "tanh": lambda x: namespace(x).tanh(x),
    }
)
