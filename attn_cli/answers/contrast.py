"""The difference of two scores of one query, by what wrote it into the residual stream."""

from enum import StrEnum

from attn_cli.core.decomposition import Component
from attn_cli.record import record
from attn_cli.vocabulary import Kind

__all__ = [
    "BiasTerm",
    "BiasType",
    "Component",
    "ContrastSide",
    "Contribution",
    "KeyContrast",
    "PairOfKeys",
]


@record(frozen=True, slots=True)
class Contribution:
    """What one component adds to the scores of the two keys."""

    component: Component
    to_key: float
    to_other: float

    @property
    def value(self) -> float:
        """What it adds to the difference."""
        return self.to_key - self.to_other


@record(frozen=True, slots=True)
class ContrastSide:
    """The difference of the scores, split by what wrote the keys' streams, or the query's."""

    contributions: tuple[Contribution, ...]  # the constant last
    remainder: float  # the difference less the sum of the contributions: rounding

    @property
    def total(self) -> float:
        """The sum of the contributions."""
        return sum(each.value for each in self.contributions)

    @property
    def by_size(self) -> list[Contribution]:
        """The contributions, the largest first, whatever their sign."""
        return sorted(self.contributions, key=lambda each: -abs(each.value))


@record(frozen=True, slots=True)
class PairOfKeys:
    """A number for each of the two keys."""

    key: float
    other: float

    @property
    def difference(self) -> float:
        """The key's less the other's."""
        return self.key - self.other


class BiasType(StrEnum):
    """What is added to a score for the positions of query and key."""

    POSITION = "position"  # by distance or position alone: T5, MPNet, ALiBi
    CONTENT_TO_POSITION = "content_to_position"  # the query with the distance's key: DeBERTa
    POSITION_TO_CONTENT = "position_to_content"  # the key with the distance's query


@record(frozen=True, slots=True)
class BiasTerm:
    """What is added to the scores of the two keys for their positions."""

    type: BiasType
    values: PairOfKeys


@record(frozen=True, slots=True)
class KeyContrast:
    """Why a query scores one key higher or lower than another.

    `scores` are q·k × scale, before soft cap, position bias and mask: both sides add up to their difference.
    """

    kind: Kind
    layer: int
    head: int
    kv_head: int
    query: int
    key: int
    other: int
    scale: float
    scores: PairOfKeys
    keys_side: ContrastSide
    query_side: ContrastSide
    logits: PairOfKeys  # what the softmax receives; -inf where masked
    capped: PairOfKeys | None = None  # scores after the soft cap; None: the layer has none
    biases: tuple[BiasTerm, ...] = ()  # what is added to them for position
