"""Hand-made heads, and a text with repeated tokens."""

import numpy as np
import numpy.typing as npt

from attn_cli.core import masks
from attn_cli.core.attention import Operands
from attn_cli.core.streaming.key_tokens import KeyTokens

IDS = np.array([0, 5, 7, 5, 7, 9, 5, 7])
SPECIAL = np.arange(8) == 0
TOKENS = KeyTokens(IDS, SPECIAL)

REPEATED = KeyTokens(np.array([0, *range(5, 17), *range(5, 17)]), np.arange(25) == 0)
"""A start token and twelve tokens twice: evidence for every pattern."""


def looking_at(cells: npt.NDArray[np.bool_], mask: masks.Rule = masks.causal) -> Operands:
    """A head with uniform weights on the cells (T, S); rows without a cell attend to the first token."""
    chosen = cells.astype(np.float32)
    chosen[chosen.sum(axis=-1) == 0, 0] = 1.0
    keys = np.eye(cells.shape[1], dtype=np.float32)[None]
    return Operands(chosen[None] * 200, keys, keys, 1.0, mask)  # exp(-200) beside 1 is nothing
