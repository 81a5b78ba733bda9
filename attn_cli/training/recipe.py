"""Everything that determines the outcome of a training run: the recipe and the text files."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from attn_cli.errors import UsageError
from attn_cli.record import record
from attn_cli.vocabulary import DType

_LENGTHS = ((0.0, 8), (0.3, 4), (0.5, 2), (0.7, 1))
"""From each fraction of a run on, the minimum length of a row, as a divisor of the context."""

_WARM_UP = 0.02  # of the run
_LEAST = 0.01  # of the peak learning rate, so that the first step has an effect
_SHORTEST = 16  # tokens per row

_MINUTES = 10.0  # the default
_BRIEF = 3.0  # minutes: up to this duration a small model shows more than a large one

_USUAL: dict[str, Any] = {
    "layers": 4,
    "heads": 8,
    "width": 256,
    "vocabulary": 8192,
    "context": 256,
    "batch": 8,
    "rate": 3e-3,
    "repeats": 0.0,
}
_FOR_A_BRIEF_RUN: dict[str, Any] = {
    "layers": 2,  # an induction head reads what a previous-token head in the layer below has written
    "heads": 4,
    "width": 64,
    "vocabulary": 300,  # little more than bytes: a few pages yield many tokens, and are not soon memorised
    "context": 64,
    "batch": 8,
    "rate": 5e-3,
    "repeats": 0.75,
}


@record(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A model's size and how it is trained.

    Raises:
        UsageError: the width is not divisible by the heads, a number is not finite, or not exactly one of
            `steps` and `minutes` is given.
    """

    layers: int
    heads: int
    width: int
    vocabulary: int  # maximum number of pieces: a short text yields fewer
    context: int  # T, tokens that the model can read
    batch: int  # rows of T tokens per step
    rate: float  # the peak learning rate
    repeats: float  # the fraction of rows in which a passage is repeated
    seed: int
    products: DType  # float32 or bfloat16; weights, norms and softmax are float32
    steps: int | None = None
    minutes: float | None = None
    is_brief: bool = (
        False  # Muon, and an initialisation for narrow models: heads form after thousands of rows
    )

    def __post_init__(self) -> None:
        for name, value in (("--minutes", self.minutes), ("--rate", self.rate), ("--repeats", self.repeats)):
            if value is not None and not math.isfinite(value):
                raise UsageError(f"{name} {value} is not a finite number", f"{name} 0.5, for example")
        if self.width % self.heads:
            problem = f"{self.width} features cannot be divided evenly among {self.heads} heads"
            raise UsageError(problem, f"--width {math.ceil(self.width / self.heads) * self.heads}")
        if (self.steps is None) == (self.minutes is None):
            raise UsageError("a run ends after --steps or after --minutes, not both", "give only one of them")

    def share(self, step: int, seconds: float, reserved: float = 0.0) -> float:
        """The completed fraction of the run after this many steps and seconds: 0 to 1.

        `reserved` seconds of the minutes are for the work before and after the steps.
        """
        if self.steps is not None:
            return min(1.0, step / self.steps)
        return min(1.0, seconds / self.training_seconds(reserved))

    def training_seconds(self, reserved: float) -> float:
        """The part of the minutes left for the steps: at least half."""
        assert self.minutes is not None, "the run has a time limit"
        return 60 * self.minutes - min(reserved, 30 * self.minutes)

    def rows_at(self, share: float) -> tuple[int, int]:
        """The number of rows of a step and of tokens per row; their product is always `batch` × `context`.

        Rows start at an eighth of the context and double three times: among few tokens neither weights nor
        gradients are near 0, and heads learn sooner what to attend to (Press et al. 2021,
        arXiv:2012.15832). On the bundled model's text, with 4.3 million parameters, short rows and sharper
        queries and keys gave an induction head a score of 0.5 over 63 tokens after 4 million tokens of
        training; without them it was 0.03 after 3 million.
        """
        part = next(part for begin, part in reversed(_LENGTHS) if share >= begin)
        least = min(self.context, max(self.context // part, _SHORTEST))
        length = next(size for size in range(least, self.context + 1) if self.context % size == 0)
        return self.batch * (self.context // length), length

    def first_at(self, share: float, step: int) -> int:
        """The position of the first token of a step's rows: short rows are placed anywhere in the context.

        If it were always 0, the other positions would be new to every head when the rows become longer, and
        heads would be lost: the score of an induction head fell from 0.85 to 0.31.
        """
        _, length = self.rows_at(share)
        return int(np.random.default_rng([self.seed, 2, step]).integers(self.context - length + 1))

    def rate_at(self, share: float) -> float:
        """The learning rate: linear warm-up to `rate`, then cosine decay to 0. arXiv:1608.03983."""
        if share < _WARM_UP:
            return self.rate * max(share / _WARM_UP, _LEAST)
        return self.rate * 0.5 * (1 + math.cos(math.pi * (share - _WARM_UP) / (1 - _WARM_UP)))


@record(frozen=True, slots=True)
class TrainingRequest:
    """The text files to train on, a held-out file, and the recipe."""

    files: tuple[Path, ...]
    held_out: Path | None  # None: the end of the files is held out
    recipe: Recipe
    store: DType = DType.FLOAT32  # of the weights in the model's file


def completed(given: dict[str, Any], *, is_brief: bool | None = None) -> Recipe:
    """The recipe with the given values, and defaults for those that are None or missing.

    `is_brief`: whether the run is a brief one; None: its minutes say so.

    Raises:
        UsageError: the values are inconsistent.
    """
    said = {name: value for name, value in given.items() if value is not None}
    minutes = said.get("minutes", None if "steps" in said else _MINUTES)
    if is_brief is None:
        is_brief = minutes is not None and minutes <= _BRIEF
    defaults = _FOR_A_BRIEF_RUN if is_brief else _USUAL
    return Recipe(**(defaults | {"minutes": minutes} | said), is_brief=is_brief)
