"""Choosing the next token from its logits: the likeliest one, or one that is drawn."""

from typing import Protocol

import numpy as np

from attn_cli.core.arrays import Exact, Floats
from attn_cli.record import record


@record(frozen=True, slots=True)
class Sampling:
    """How a token is drawn; transformers' order: first the temperature, then the nucleus."""

    temperature: float = 1.0
    top_p: float = 1.0  # the share of probability that the tokens drawn from have: arXiv:1904.09751
    seed: int = 0

    def chooser(self) -> "Chooser":
        """What draws one token after the other, the same ones for the same seed and logits."""
        numbers = np.random.default_rng(self.seed)

        def draw(logits: Floats) -> int:
            reached = np.cumsum(probabilities(logits, self))
            return int(np.searchsorted(reached, numbers.random() * reached[-1], side="right"))

        return draw


class Chooser(Protocol):
    """Chooses the next token."""

    def __call__(self, logits: Floats) -> int:
        """The id of the token, from the logits (V,) of all tokens."""


def likeliest(logits: Floats) -> int:
    """The token with the largest logit; of equal ones the first."""
    return int(np.argmax(logits))


def probabilities(logits: Floats, sampling: Sampling) -> Exact:
    """(V,) the probabilities that tokens are drawn with: of logits / temperature, within the nucleus.

    The nucleus is the fewest tokens, from the likeliest on, that together have a probability of `top_p`.
    """
    scores = np.asarray(logits, dtype=np.float64)
    with np.errstate(over="ignore"):  # by a very low temperature: exp(-inf) is 0
        powers = np.exp((scores - scores.max()) / sampling.temperature)
    chances: Exact = powers / powers.sum()
    if sampling.top_p < 1.0:
        order = np.argsort(chances, kind="stable")
        outside = np.cumsum(chances[order]) <= 1 - sampling.top_p
        outside[-1] = False
        chances[order[outside]] = 0
        chances /= chances.sum()
    return chances
