"""The interval that has the mean of all documents of a kind, as far as those that were measured tell."""

import math
from functools import cache
from statistics import NormalDist

import numpy as np

from attn_cli.core.arrays import Floats

CONFIDENCE = 0.95
_NODES = 400
_STEPS = 60  # of bisection: to the last bit


@cache
def student_quantile(degrees: int, part: float = (1 + CONFIDENCE) / 2) -> float:
    """The number that Student's t with so many degrees of freedom does not exceed with probability `part`.

    By bisection of its distribution: with n degrees it is 1/2 + c ∫ cos^(n - 1) from 0 to arctan(t / √n),
    c = Γ((n + 1) / 2) / (√π Γ(n / 2)).
    """
    nodes, weights = _rule()
    constant = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(math.pi)

    def probability(angle: float) -> float:
        angles = angle / 2 * (nodes + 1)
        powers = np.exp((degrees - 1) * np.log(np.cos(angles)))
        return 0.5 + constant * angle / 2 * float(weights @ powers)

    low, high = 0.0, math.pi / 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if probability(middle) < part else (low, middle)
    return math.sqrt(degrees) * math.tan((low + high) / 2)


@cache
def _rule() -> tuple[Floats, Floats]:
    """The nodes and weights of Gauss and Legendre, from -1 to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


def wilson_interval(shown: int, documents: int) -> tuple[float, float]:
    """The interval of a share (Wilson 1927): of `documents`, `shown` show it."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share = shown / documents
    spread = z * math.sqrt(share * (1 - share) / documents + (z / (2 * documents)) ** 2)
    low, high = (share + z * z / (2 * documents) + sign * spread for sign in (-1, 1))
    scale = 1 + z * z / documents  # at either end rounding leaves a trace
    return 0.0 if shown == 0 else low / scale, 1.0 if shown == documents else high / scale
