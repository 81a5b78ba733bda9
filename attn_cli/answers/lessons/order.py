"""What does order mean without positions? A row for the text, and for the text in reverse."""

from collections.abc import Sequence

from attn_cli.core.arrays import Exact
from attn_cli.record import record
from attn_cli.vocabulary import Kind, OrderSource


@record(frozen=True, slots=True, eq=False)
class Orders:
    """The weights of one head on the text and on the reordered text, with some sources of order; S keys."""

    kept: Sequence[OrderSource]
    text: Exact  # (S,) the weights of the query
    reordered: Exact  # (S,) its weights on the same tokens in the reordered text
    difference: float  # the largest between the weights of any token on any token


@record(frozen=True, slots=True, eq=False)
class OrderStudy:
    """A query's row in two orders of the tokens."""

    model: str
    place: tuple[int, int]
    kind: Kind
    query: int
    places: Sequence[int]  # of every key: its position in the reordered text
    query_place: int  # of the query
    sources: Sequence[OrderSource]  # all that the model has, up to this layer
    without: Orders
    alone: Sequence[Orders]  # with each source alone, if there are several
    whole: Orders  # the model itself
    equals: tuple[int, int] | None  # two equal tokens with the same weight without order, if there are any

    @property
    def mirrored(self) -> int | None:
        """What the old and the new position of every key that moves add up to; None: several numbers."""
        sums = {key + place for key, place in enumerate(self.places) if key != place}
        return sums.pop() if len(sums) == 1 else None
