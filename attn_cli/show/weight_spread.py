"""Decides whether a picture of weights shows more on a log scale: long rows, or one key with most."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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
    resting = sum(map(rests_on_one_key, heads))
    unseen = sum(map(_rests_out_of_sight, heads))
    if 2 * (resting + unseen) <= len(heads):
        return ""
    counts = {"one key takes": resting, "keys out of sight take": unseen}
    said = [f"{who} most of the weight{_of(count, len(heads))}" for who, count in counts.items() if count]
    return ", and ".join(said)


def rests_on_one_key(head: Head) -> bool:
    """Whether a key in sight, or a learned sink, takes more than half of the rows with a choice."""
    weights, rows = _weights(head), _choosing(head)
    if not rows.any():
        return False
    taken = float(weights[rows].mean(axis=0).max(initial=0.0))
    of_sink = 0.0 if head.sink is None else float(np.mean(head.sink.weight[rows]))
    return max(taken, of_sink) > _MOST


def _rests_out_of_sight(head: Head) -> bool:
    """Whether keys that are hidden, or not in the window, take more than half of these rows."""
    weights, rows = _weights(head), _choosing(head)
    if not rows.any() or rests_on_one_key(head):
        return False
    seen = weights[rows].sum(axis=1)
    seen = seen if head.sink is None else seen + head.sink.weight[rows]
    return float(np.mean(seen)) < 1 - _MOST


def _weights(head: Head) -> npt.NDArray[np.float64]:
    return np.asarray(head.steps[Step.WEIGHTS], dtype=np.float64)


def _choosing(head: Head) -> npt.NDArray[np.bool_]:
    """(R,) the rows that may look at enough of the keys in sight."""
    if head.mask is None:
        return np.full(len(head.queries), len(head.keys) >= _FEWEST)
    return np.asarray(head.mask.sum(axis=1) >= _FEWEST)


def _of(count: int, heads: int) -> str:
    return "" if heads == 1 else f" in {count} of {heads} heads"
