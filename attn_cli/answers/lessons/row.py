"""One row of a head: the softmax over its keys."""

import numpy as np

from attn_cli.core.arrays import Exact
from attn_cli.record import record


@record(frozen=True, slots=True, eq=False)
class SoftmaxRow:
    """The softmax of one row: S keys, and a learned sink if the head has one."""

    logits: Exact  # (S,) -inf where the query may not look
    weights: Exact  # (S,)
    sink_logit: float | None = None
    sink: float | None = None  # the weight of the sink

    @property
    def shares(self) -> Exact:
        """(S,) or (S + 1,) the weights, and the sink's: they sum to 1 if the query may look anywhere."""
        return self.weights if self.sink is None else np.append(self.weights, self.sink)

    @property
    def entropy(self) -> float:
        """-Σ p ln p in nats; a learned sink is one more key."""
        return entropy_of(self.shares)

    @property
    def largest(self) -> float:
        """The largest share."""
        return float(self.shares.max())

    @property
    def gradient(self) -> float:
        """The largest absolute entry of the Jacobian of the softmax."""
        return largest_gradient(self.shares)


def entropy_of(shares: Exact) -> float:
    """-Σ p ln p in nats; shares of 0 add nothing."""
    seen = shares[shares > 0]
    return float(-(seen * np.log(seen)).sum()) + 0.0


def largest_gradient(shares: Exact) -> float:
    """The largest absolute entry of diag(p) - ppᵀ, the Jacobian of the softmax.

    It is p(1 - p) of the largest share p: no other share can be nearer to ½, and |-p_i p_j| is at most
    p_i(1 - p_i), because p_j is at most 1 - p_i.
    """
    largest = float(shares.max())
    return largest * (1 - largest)
