"""Everything that determines how a training run turns out, apart from the corpus."""

import math

import numpy as np

from attn_cli.errors import UsageError
from attn_cli.record import record
from attn_cli.vocabulary import DType

_LENGTHS = ((0.0, 8), (0.3, 4), (0.5, 2), (0.7, 1))
"""From each share of a run on, the part of the context that a row has at least."""

_WARM_UP = 0.02  # of the run
_LEAST = 0.01  # of the largest rate: the first step learns something too
_SHORTEST = 16  # tokens a row


@record(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A model's size and how it is trained.

    Raises:
        UsageError: the heads cannot share the width, a number is none, or not one of `steps` and
            `minutes` is given.
    """

    layers: int
    heads: int
    width: int
    vocabulary: int  # pieces at most: a short text yields fewer
    context: int  # T, tokens that the model can read
    batch: int  # rows of T tokens a step
    rate: float  # the largest learning rate
    repeats: float  # the share of rows in which a passage stands twice
    seed: int
    products: DType  # float32 or bfloat16; weights, norms and softmax are float32
    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("--minutes", self.minutes), ("--rate", self.rate), ("--repeats", self.repeats)):
            if value is not None and not math.isfinite(value):
                raise UsageError(f"{name} {value} is no number", f"{name} 0.5, for example")
        if self.width % self.heads:
            problem = f"{self.width} features cannot be divided evenly among {self.heads} heads"
            raise UsageError(problem, f"--width {math.ceil(self.width / self.heads) * self.heads}")
        if (self.steps is None) == (self.minutes is None):
            raise UsageError("a run ends after --steps or after --minutes", "give one of the two")

    def share(self, step: int, seconds: float) -> float:
        """How much of the run is over after so many steps and seconds: 0 to 1."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.minutes is not None, "one of the two is given"
        return min(1.0, seconds / (60 * self.minutes))

    def rows_at(self, share: float) -> tuple[int, int]:
        """How many rows a step has, and of how many tokens each: together always `batch` × `context`.

        Rows begin with an eighth of the context and double three times: among few tokens no weight is
        near 0, nor its gradient, and heads find sooner what to look at (Press et al. 2021,
        arXiv:2012.15832). Seen on the embedded model's text, 4.3 million parameters: with short rows and
        sharper queries and keys an induction head scored 0.5 over 63 tokens after 4 million tokens of
        training, without either 0.03 after 3 million.
        """
        part = next(part for begin, part in reversed(_LENGTHS) if share >= begin)
        least = min(self.context, max(self.context // part, _SHORTEST))
        length = next(size for size in range(least, self.context + 1) if self.context % size == 0)
        return self.batch * (self.context // length), length

    def first_at(self, share: float, step: int) -> int:
        """The position of the first token of a step's rows: short ones stand anywhere in the context.

        Were it always 0, the rest would be new to every head when the rows become long, and what they
        had learned would go: an induction head fell from 0.85 to 0.31.
        """
        _, length = self.rows_at(share)
        return int(np.random.default_rng([self.seed, 2, step]).integers(self.context - length + 1))

    def rate_at(self, share: float) -> float:
        """The learning rate: a straight line up to `rate`, then half a cosine down to 0. arXiv:1608.03983."""
        if share < _WARM_UP:
            return self.rate * max(share / _WARM_UP, _LEAST)
        return self.rate * 0.5 * (1 + math.cos(math.pi * (share - _WARM_UP) / (1 - _WARM_UP)))
