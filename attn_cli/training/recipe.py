"""All that decides how a training run ends: two runs of one recipe over one corpus are the same run."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from attn_cli.errors import UsageError

_WARM_UP = 0.02  # of the run


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model's size and how it is trained."""

    layers: int = 4
    heads: int = 6
    width: int = 192
    vocabulary: int = 8192  # at most: a short text yields fewer pieces
    context: int = 512  # T, tokens a row
    steps: int | None = None  # one of the two says when it ends
    minutes: float | None = None
    batch: int = 8  # rows a step
    rate: float = 3e-3  # the largest learning rate
    decay: float = 0.1  # of matrices, a step, times the learning rate
    clip: float = 1.0  # the largest norm of a step's gradient
    repeats: float = 0.0  # the share of rows in which a passage stands twice
    seed: int = 0
    bfloat16: bool = False  # products in bfloat16; weights, norms and softmax stay float32

    def __post_init__(self) -> None:
        if self.width % self.heads:
            problem = f"{self.width} features cannot be shared out over {self.heads} heads"
            raise UsageError(problem, f"--width {math.ceil(self.width / self.heads) * self.heads}")
        if (self.steps is None) == (self.minutes is None):
            raise UsageError("a run ends after --steps or after --minutes", "give one of the two")

    def progress(self, step: int, seconds: float) -> float:
        """How much of the run is over after so many steps and seconds: 0 to 1."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.minutes is not None, "one of the two is given"
        return min(1.0, seconds / (60 * self.minutes))

    def rate_at(self, progress: float) -> float:
        """The learning rate: a straight line up to `rate`, then half a cosine down to 0. arXiv:1608.03983."""
        if progress < _WARM_UP:
            return self.rate * progress / _WARM_UP
        return self.rate * 0.5 * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP)))

    def as_json(self) -> dict[str, Any]:
        """The values by name."""
        return asdict(self)

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Recipe":
        """The inverse of `as_json`."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})
