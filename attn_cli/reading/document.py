"""The fields at the start of every JSON document: model, library, text and tokens."""

from dataclasses import asdict

from attn_cli import __version__
from attn_cli.reading.reading import Reading


def describe_reading(reading: Reading) -> dict[str, object]:
    """The model, the library and device, the text and its tokens, named as in the schema."""
    source, request = reading.source, reading.request
    return {
        "schema": 1,
        "attn": __version__,
        "model": asdict(source.card),
        "engine": source.engine,
        "library": source.backend.name,
        "device": source.backend.device,
        "dtype": source.backend.dtype.value,
        "text": request.text,
        "pair": request.pair,
        "tokens": [asdict(token) for token in reading.tokens],
        **_target(reading),
    }


def _target(reading: Reading) -> dict[str, object]:
    """The decoder's text and tokens; empty if there are none."""
    if not reading.texts.target:
        return {}
    tokens = [asdict(token) for token in reading.texts.target]
    return {"target": reading.request.target, "target_tokens": tokens}
