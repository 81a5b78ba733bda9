"""Which edges a graph keeps: the smallest set of the strongest that holds a share of the whole."""

import numpy as np

from attn_cli.answers.effects import KeptShare
from attn_cli.core.arrays import Floats, Indices
from attn_cli.errors import AttnError

_MOST_KEPT = 1 << 18  # a file of this many edges has 60 MB, and no viewer shows as many


def strongest(sizes: Floats, share: float) -> tuple[Indices, KeptShare]:
    """The places of the strongest edges, the strongest first, of `sizes` (N,) above 0.

    They are the fewest whose sum is at least `share` of the sum of all; all of them, if it is 1.

    Raises:
        AttnError: they are too many for a file.
    """
    order = np.argsort(-sizes, kind="stable")
    sums = np.cumsum(sizes[order], dtype=np.float64)
    whole = float(sums[-1]) if len(sums) else 0.0
    is_all = share >= 1 or not len(sums)
    count = len(sums) if is_all else min(len(sums), int(np.searchsorted(sums, share * whole)) + 1)
    if count > _MOST_KEPT:
        problem = (
            f"--keep {share:g} keeps {count:,} of {len(sums):,} edges: a graph has at most {_MOST_KEPT:,}"
        )
        raise AttnError(problem, "a smaller share, or fewer heads: --heads")
    held = float(sums[count - 1]) / whole if count else 1.0
    return order[:count], KeptShare(share, 1.0 if is_all else held, count, len(sums))
