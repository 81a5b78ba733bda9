"""Which window a lesson compares with, and how many pairs of a query and a key it leaves."""

from enum import Enum, auto

from attn_cli.core.masks import Band
from attn_cli.record import record


class Origin(Enum):
    """Whose window it is."""

    LAYER = auto()
    MODEL = auto()  # of another layer of the model
    CONFIGURATION = auto()  # named there; whether the layer has it is not known
    EXAMPLE = auto()  # the model has none


@record(frozen=True, slots=True)
class UsedWindow:
    """The window that a lesson compares with."""

    band: Band
    tokens: int  # that a query in the middle of a long text may look at
    reach: int  # positions before the query
    origin: Origin


def pairs_in(band: Band, tokens: int) -> int:
    """How many pairs a band leaves of `tokens` queries and as many keys."""
    return tokens + _beside(band.before, tokens) + _beside(band.after, tokens)


def _beside(reach: int | None, tokens: int) -> int:
    """Σ (tokens - d) for the distances d from 1 to `reach`: the pairs on one side of the diagonal."""
    most = tokens - 1 if reach is None else min(reach, tokens - 1)
    return most * tokens - most * (most + 1) // 2
