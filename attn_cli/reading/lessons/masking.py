"""Whether a layer is causal, and which window it has."""

from attn_cli.answers.lessons.windows import Origin, UsedWindow
from attn_cli.core.arrays import to_numpy
from attn_cli.core.masks import Band, narrowed, nearby
from attn_cli.models.source import Layer
from attn_cli.reading.reading import Reading
from attn_cli.vocabulary import Kind

NATIVE = "native"


def is_causal(reading: Reading, layer: Layer) -> bool:
    """Whether a query may look only at itself and at earlier tokens.

    A mask that is known only as a matrix tells by its first row: causal if that has no later key.
    """
    if reading.kind is Kind.CROSS:
        return False
    if layer.opened is not None and narrowed(layer.opened.operands.mask).band.after == 0:
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
    band = Band() if layer.opened is None else narrowed(layer.opened.operands.mask).band
    if band.before is not None:
        return _used(band.before, Origin.LAYER, causal=causal)
    narrowest = reading.source.narrowest_window
    if narrowest is not None:
        origin = Origin.MODEL if reading.source.engine == NATIVE else Origin.CONFIGURATION
        return _used(narrowest.tokens - 2, origin, causal=causal)
    return _used(example - 1 if causal else example // 2, Origin.EXAMPLE, causal=causal)


def _used(reach: int, origin: Origin, *, causal: bool) -> UsedWindow:
    if causal:
        return UsedWindow(Band(before=reach, after=0), reach + 1, reach, origin)
    return UsedWindow(nearby(reach), 2 * reach + 1, reach, origin)
