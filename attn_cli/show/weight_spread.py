"""Decides whether a picture of weights shows more on a log scale: long rows, or one key with most."""

from collections.abc import Sequence

import numpy as np

from attn_cli.grid import Head
from attn_cli.vocabulary import Step

LONG = 256
"""Keys: in a longer row even weight of all keys is below 0.004, which no linear scale tells from 0."""

_MOST = 0.5  # of the weight
_FEWEST = 4  # keys that a row may look at: among fewer, one often has most of the weight


def reason_for_log(heads: Sequence[Head]) -> str:
    """Why a log scale shows more of these heads; empty if a linear one does."""
    if max(len(head.keys) * head.cells[1] for head in heads) > LONG:
        return "the text is long"
    count = sum(map(rests_on_one_key, heads))
    if 2 * count <= len(heads):
        return ""
    of_heads = "" if len(heads) == 1 else f" in {count} of {len(heads)} heads"
    return f"one key takes most of the weight{of_heads}"


def rests_on_one_key(head: Head) -> bool:
    """Whether one key, or a learned sink, takes more than half of the weight of the rows with a choice."""
    weights = np.asarray(head.steps[Step.WEIGHTS], dtype=np.float64)
    visible = np.ones(weights.shape, dtype=bool) if head.mask is None else head.mask
    rows = visible.sum(axis=1) >= _FEWEST
    if not rows.any():
        return False
    taken = float(weights[rows].mean(axis=0).max(initial=0.0))
    of_sink = 0.0 if head.sink is None else float(np.mean(head.sink.weight[rows]))
    return max(taken, of_sink) > _MOST
