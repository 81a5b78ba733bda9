"""The heading of pictures: the text that was read, and the heads and the model in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attn_cli.arguments.usage import listed
from attn_cli.commands.results.output import counted, kind_of
from attn_cli.console import World
from attn_cli.vocabulary import WRITTEN, Kind

if TYPE_CHECKING:
    from attn_cli.commands.pictures.options import PictureOptions
    from attn_cli.reading.known_patterns import KnownPatterns
    from attn_cli.reading.reading import Reading
    from attn_cli.reading.selection import Place
    from attn_cli.show.picture.heading import Heading

_NAMED = 6  # heads; if there are more, they are counted


def heading_of(
    world: World,
    reading: "Reading",
    options: "PictureOptions",
    places: "Sequence[Place]",
    *more: str,
    says_text: bool = True,
) -> "Heading":
    """The heading: what `--title` says, else the text, the heads, `more` about them, and the model."""
    from attn_cli.show.picture.heading import Heading

    if options.no_title or options.title is not None:
        return Heading(options.title or "")
    name, written = reading.source.card.name, len(reading.written) if says_text else 0
    tokens = f"{counted(written, 'token')} generated ({WRITTEN})" if written else ""
    phrases = (heads_in_words(world, reading, places), *more, tokens, kind_of(reading), name)
    text, target = texts_of(reading) if says_text else ("", "")
    return Heading(text, tuple(filter(None, phrases)), target)


def texts_of(reading: "Reading") -> tuple[str, str]:
    """The text that is attended to, and of cross-attention the one that is attended from, else empty."""
    request = reading.request
    text = request.text if request.pair is None else f"{request.text} | {request.pair}"
    if reading.kind is Kind.DECODER:
        return request.target or "", ""
    return text, (request.target or "") if reading.kind is Kind.CROSS else ""


def heads_in_words(world: World, reading: "Reading", places: "Sequence[Place]") -> str:
    """Which heads, in words: one with the pattern that it is known for, or how many."""
    extent = reading.extent
    layers = sorted({layer for layer, _ in places})
    heads = [head for _, head in places]
    if len(places) == 1:
        return f"layer {layers[0]}, head {heads[0]}{_pattern_of(world, reading, places[0])}"
    if len(places) == len(extent.layers) * extent.heads:
        return f"{counted(len(extent.layers), 'layer')} × {counted(extent.heads, 'head')}"
    if len(layers) == 1 and len(heads) == extent.heads:
        return f"layer {layers[0]}, all {len(heads)} heads"
    if len(places) > _NAMED:
        return f"{counted(len(places), 'head')} of {counted(len(layers), 'layer')}"
    if len(layers) == 1:
        return f"layer {layers[0]}, heads {listed(list(map(str, heads)))}"
    return f"heads {listed([f'{layer}.{head}' for layer, head in places])}"


def _pattern_of(world: World, reading: "Reading", place: "Place") -> str:
    """What a head is known for, after a colon; empty if it is known for nothing."""
    from attn_cli.analysis.patterns import name_of
    from attn_cli.reading.known_patterns import find_known_patterns

    known: KnownPatterns | None = find_known_patterns(reading.source, reading.kind, world.environment)
    share = None if known is None else name_of(known.shares.get(place, ()))
    return "" if share is None else f": {share.pattern}"
