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
    def sensitivity(self) -> float:
        """The trace of the Jacobian of the softmax: 1 - Σ p²."""
        return sensitivity_of(self.shares)


def entropy_of(shares: Exact) -> float:
    """-Σ p ln p in nats; shares of 0 add nothing."""
    seen = shares[shares > 0]
    return float(-(seen * np.log(seen)).sum()) + 0.0


def sensitivity_of(shares: Exact) -> float:
    """The trace of diag(p) - ppᵀ, the Jacobian of the softmax with respect to its logits: 1 - Σ p².

    It is how far small changes of the logits move their own weights, added up over the keys: 0 if one key has
    all the weight, 1 - 1/S if S keys have the same. If a logit is a score times a scale and nothing else, a
    smaller scale never lowers it: p² prefers keys with larger scores than p does.
    """
    return float((shares * (1 - shares)).sum())
