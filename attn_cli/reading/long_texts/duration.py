"""How long the layers of a text take to run, as an estimate before they start."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attn_cli.errors import AttnError
from attn_cli.models.backend import estimate_operations
from attn_cli.vocabulary import Kind

if TYPE_CHECKING:
    from attn_cli.reading.reading import Reading
    from attn_cli.reading.selection import Place
    from attn_cli.reading.window import Window

MOST_HOURS = 2
"""What would take longer than this is refused."""

_OF_A_CORE = 3.5e10  # operations per second: SmolLM2-135M, 8,000 tokens, all heads in 89 s on two slow cores
_OF_AN_ACCELERATOR = 1e13  # a modest one; layers that are spread over several run one after another
_WORTH_SAYING = 10.0  # seconds
_SHORT = 10.0  # seconds on one core: how many cores there are is not asked for
_INSTEAD = (
    "a part of the text, lower layers, a GPU (--device cuda), or attn survey --window 512, which cuts texts"
)


def layers_of(places: "Sequence[Place]", heads: int, window: "Window | None" = None) -> float:
    """How many layers run for these of `heads` heads per layer: those below the last one, and a part of that.

    `window`: the rows of it that are computed; None: all.
    """
    last = max(layer for layer, _ in places)
    share = 1.0 if window is None or window.is_pooled else len(window.rows) / window.queries
    return last + share * sum(layer == last for layer, _ in places) / heads


def seconds_of(reading: "Reading", layers: float) -> float:
    """How long it takes to run this many layers, and the encoder if they are a decoder's: a rough estimate.

    A model with sliding windows is taken to have the narrowest one in every layer: what can be run is not
    refused.
    """
    operations = _operations(reading, layers, math.inf)
    if operations < _SHORT * _OF_A_CORE:
        return operations / _OF_A_CORE
    window = reading.source.narrowest_window
    if window is not None:
        operations = _operations(reading, layers, window.tokens)
    if reading.source.backend.device != "cpu":
        return operations / _OF_AN_ACCELERATOR
    from attn_cli.models.cores import granted_cores  # few texts are long

    return operations / (_OF_A_CORE * granted_cores())


def _operations(reading: "Reading", layers: float, most: float) -> float:
    """The operations of these layers, if each query looks at `most` keys at most."""
    source, texts = reading.source, reading.texts
    read, written = len(texts.tokens), len(texts.target)

    def run(count: float, queries: int, keys: int) -> float:
        return count * estimate_operations(source.card.width, 1, queries, int(min(keys, most)))

    if reading.kind in {Kind.DECODER, Kind.CROSS}:
        encoder = source.kinds.get(Kind.ENCODER)  # its layers may have no attention
        below = 0 if encoder is None else len(encoder.layers)
        return run(below, read, read) + run(layers, written, written + read)
    return run(layers, read, read)


def takes_long(reading: "Reading", layers: float) -> bool:
    """Whether this many layers take so long that it is said before."""
    return seconds_of(reading, layers) >= _WORTH_SAYING


def check_duration(reading: "Reading", layers: float) -> None:
    """Check that this many layers run within `MOST_HOURS`.

    Raises:
        AttnError: they would take longer.
    """
    if seconds_of(reading, layers) > MOST_HOURS * 3600:
        said = f"{_said(reading, layers)}, and the limit is {MOST_HOURS} hours"
        raise AttnError(f"the text is too long: {said}", _INSTEAD)


def remarks_on_duration(reading: "Reading", layers: float) -> Iterator[str]:
    """What to say before this many layers run, if they take long and are not refused."""
    if _WORTH_SAYING <= seconds_of(reading, layers) <= MOST_HOURS * 3600:
        yield f"please wait: {_said(reading, layers)}"


def _said(reading: "Reading", layers: float) -> str:
    device, whole = reading.source.backend.device, int(layers)
    if device == "cpu":
        from attn_cli.models.cores import granted_cores  # as above

        cores = granted_cores()
        device = f"{cores} {'core' if cores == 1 else 'cores'}"
    count = "part of a layer" if whole == 0 else f"{whole:,} {'layer' if whole == 1 else 'layers'}"
    tokens = max(len(reading.texts.tokens), len(reading.texts.target))
    return (
        f"running {count} on {tokens:,} tokens takes about {_clock(seconds_of(reading, layers))} on {device}"
    )


def _clock(seconds: float) -> str:
    """Hours are rounded up, so that what is above a limit never seems to be equal to it."""
    if seconds > 7200:  # noqa: PLR2004  two hours
        return f"{math.ceil(seconds / 360) / 10:.1f} hours"
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"  # noqa: PLR2004
