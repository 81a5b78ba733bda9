"""A text as a model reads it, in one call."""

from typing import Any

from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.reading.reading import Reading, TextRequest, read


def reading_of(text: str, model: str | None = None, **request: Any) -> Reading:
    """The text, read by the model; `request` has further fields of the model request."""
    return read(open_source(SourceRequest(model, **request), {}), TextRequest(text))
