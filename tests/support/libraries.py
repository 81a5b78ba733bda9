"""The two array libraries that every test of the arithmetic runs on."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from attn_cli.core.arrays import Array

Convert: TypeAlias = Callable[[npt.ArrayLike], Array]
"""Convert numbers to an array of the library under test, keeping the dtype."""


def to_torch(values: npt.ArrayLike) -> Array:
    return torch.tensor(np.asarray(values))


LIBRARIES: dict[str, Convert] = {"numpy": np.asarray, "torch": to_torch}
