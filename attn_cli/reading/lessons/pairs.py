"""How many pairs of a query and a key a mask leaves in a text of any length, and which window is meant."""

from enum import Enum, auto

from attn_cli.core.arrays import to_numpy
from attn_cli.core.masks import Band, narrowed, nearby
from attn_cli.core.multihead import Attention
from attn_cli.models.source import Layer
from attn_cli.reading.reading import Reading
from attn_cli.record import record
from attn_cli.vocabulary import Kind

NATIVE = "native"


class Origin(Enum):
    """Whose window it is."""

    LAYER = auto()
    MODEL = auto()  # of another layer of the model
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


def is_causal(reading: Reading, layer: Layer) -> bool:
    """Whether a query may look only at itself and at earlier tokens.

    A mask that is known only as a matrix tells by its first row: causal if that has no later key.
    """
    if reading.kind is Kind.CROSS:
        return False
    if isinstance(layer, Attention) and narrowed(layer.operands.mask).band.after == 0:
        return True
    if reading.source.engine == NATIVE:
        return False
    return reading.kind is Kind.DECODER or (
        len(reading.keys) > 1 and not to_numpy(layer.at([0]).mask)[0, 1:].any()
    )


def window_of(reading: Reading, layer: Layer, example: int) -> UsedWindow | None:
    """The layer's window, or another of the model, or one of about `example` tokens; None for two texts."""
    if reading.kind is Kind.CROSS:
        return None
    causal = is_causal(reading, layer)
    band = narrowed(layer.operands.mask).band if isinstance(layer, Attention) else Band()
    if band.before is not None:
        return _used(band.before, Origin.LAYER, causal=causal)
    narrowest = reading.source.narrowest_window
    if narrowest is not None:
        return _used(narrowest.tokens - 2, Origin.MODEL, causal=causal)
    return _used(example - 1 if causal else example // 2, Origin.EXAMPLE, causal=causal)


def _used(reach: int, origin: Origin, *, causal: bool) -> UsedWindow:
    if causal:
        return UsedWindow(Band(before=reach, after=0), reach + 1, reach, origin)
    return UsedWindow(nearby(reach), 2 * reach + 1, reach, origin)
