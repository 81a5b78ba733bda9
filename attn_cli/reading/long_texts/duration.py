"""How long the layers of a text take to run, as an estimate before they start."""

from collections.abc import Iterator

from attn_cli.errors import AttnError
from attn_cli.models.backend import estimate_operations
from attn_cli.models.cores import granted_cores
from attn_cli.models.source import Source

MOST_HOURS = 2
"""What would take longer than this is refused."""

_OF_A_CORE = 3.5e10  # operations per second: SmolLM2-135M, 8,000 tokens, all heads in 89 s on two slow cores
_OF_AN_ACCELERATOR = 1e13  # a modest one
_WORTH_SAYING = 10.0  # seconds
_PART = "a part of it, head -c 100000 FILE, or attn survey FILE -o heads.csv, which reads it in windows"


def seconds_of(source: Source, layers: float, queries: int, keys: int) -> float:
    """How long this many layers take, some heads of one being a part of it: a rough estimate."""
    device = source.backend.device
    rate = _OF_A_CORE * granted_cores() if device == "cpu" else _OF_AN_ACCELERATOR * len(source.devices)
    return layers * estimate_operations(source.card.width, 1, queries, keys) / rate


def check_duration(source: Source, layers: float, queries: int, keys: int) -> None:
    """Check that this many layers run within `MOST_HOURS`.

    Raises:
        AttnError: they would take longer.
    """
    if seconds_of(source, layers, queries, keys) > MOST_HOURS * 3600:
        said = f"{_said(source, layers, queries, keys)}, and the limit is {MOST_HOURS} hours"
        raise AttnError(f"the text is too long: {said}", _PART)


def remarks_on_duration(source: Source, layers: float, queries: int, keys: int) -> Iterator[str]:
    """What to say before this many layers run, if they take long and are not refused."""
    if _WORTH_SAYING <= seconds_of(source, layers, queries, keys) <= MOST_HOURS * 3600:
        yield f"please wait: {_said(source, layers, queries, keys)}"


def _said(source: Source, layers: float, queries: int, keys: int) -> str:
    device = source.backend.device
    if device == "cpu":
        cores = granted_cores()
        device = f"{cores} {'core' if cores == 1 else 'cores'}"
    whole = int(layers)
    count = "a part of a layer" if whole == 0 else f"{whole:,} {'layer' if whole == 1 else 'layers'}"
    what = f"{count} for {max(queries, keys):,} tokens"
    return f"to run {what} takes about {_clock(seconds_of(source, layers, queries, keys))} on {device}"


def _clock(seconds: float) -> str:
    for size, name in ((3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:,.0f} {name}"
    return f"{seconds:.0f} seconds"
