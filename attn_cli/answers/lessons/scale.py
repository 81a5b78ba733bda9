"""Why are scores divided by √d_k? A row with several scales, and random vectors of several sizes."""

import math
from collections.abc import Sequence

from attn_cli.answers.lessons.row import SoftmaxRow
from attn_cli.core.arrays import Exact
from attn_cli.record import record

RANDOM_QUERIES = 500
RANDOM_KEYS = 16  # of each query
SEED = 0


@record(frozen=True, slots=True, eq=False)
class Scaling:
    """The row with one scale."""

    factor: float  # of q·k
    is_of_model: bool
    is_root: bool  # whether the factor is 1/√d_k
    row: SoftmaxRow


@record(frozen=True, slots=True)
class Saturation:
    """How saturated rows are on average."""

    entropy: float  # nats
    sensitivity: float  # 1 - Σ p², the trace of the softmax's Jacobian


@record(frozen=True, slots=True)
class RandomVectors:
    """Queries and keys whose components are drawn from N(0, 1)."""

    size: int  # d_k
    deviation: float  # the standard deviation of q·k
    plain: Saturation  # without a scale
    scaled: Saturation  # with 1/√d_k


@record(frozen=True, slots=True, eq=False)
class ScaleStudy:
    """The row of a query with several scales; S keys."""

    model: str
    place: tuple[int, int]
    query: int
    size: int  # d_k
    scale: float  # the model's own
    visible: Sequence[int]  # the keys that the query may look at
    dots: Exact  # (S,) q·k
    bias: Exact | None  # (S,) what the model adds for the position, whatever the scale
    softcap: float | None
    scalings: Sequence[Scaling]  # without a scale, the model's own, 1/√d_k; each factor once
    pairs: int  # of a query and a key that it may look at
    deviation: float  # the standard deviation of q·k over these pairs
    random: Sequence[RandomVectors]

    @property
    def has_scale(self) -> bool:
        """Whether the model scales its scores."""
        return self.scale != 1

    @property
    def is_monotone(self) -> bool:
        """Whether a smaller scale cannot lower 1 - Σ p²: a logit is q·k times the scale and nothing else."""
        has_sink = self.scalings[0].row.sink is not None
        return self.bias is None and self.softcap is None and not has_sink

    @property
    def root(self) -> float:
        """1/√d_k."""
        return 1 / math.sqrt(self.size)
