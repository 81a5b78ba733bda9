"""A text longer than a model's sliding window, so that a comparison covers what the window hides."""

from attn_cli.models.backend import estimate_operations
from attn_cli.models.free_memory import free_bytes
from attn_cli.models.source import SlidingWindow, Source
from attn_cli.record import record
from attn_cli.vocabulary import Kind

_BEYOND = 16  # tokens past the place where the window begins to hide keys
_MOST_OPERATIONS = 2e12  # of all layers: three runs of this size take two to three minutes on two cores
_BYTES_PER_CELL = 8.0  # float64
_MATRICES = 8  # that eager attention holds at once, besides those it returns


@record(frozen=True, slots=True)
class WindowText:
    """The text, and how much of the model is compared on it."""

    text: str
    tokens: int
    first: int | None  # only the first layers; None: all


def window_text(source: Source, texts: tuple[str, ...]) -> WindowText | str | None:
    """A text longer than the narrowest window; None if one of `texts` is.

    A sentence says why there is none: a run over it would take too long, or too much memory.
    """
    window = source.narrowest_window
    if window is None or max(len(source.tokens(text, None)) for text in texts) >= window.tokens:
        return None
    length = window.tokens + _BEYOND
    limit = source.longest if source.is_bounded else None
    if limit is not None:
        length = min(length, limit)
    if length < window.tokens:
        return None  # no text is ever long enough
    first = _affordable(source, window, length)
    if first == 0:
        size = f"the window of {window.tokens - 1:,} tokens"
        return f"no built-in text is longer than {size}, and one would take too long; your own: --file PATH"
    text = _grown(source, texts, window.tokens, length)
    if text is None:
        return f"no text of {length:,} tokens could be built from the built-in ones"
    return WindowText(text, len(source.tokens(text, None)), first)


def _affordable(source: Source, window: SlidingWindow, length: int) -> int | None:
    """How many of the first layers can be compared: None for all, 0 if not even those up to the window."""
    card = source.card
    layers = source.kinds[Kind.SELF].layers if Kind.SELF in source.kinds else range(card.layers)
    for first in (None, window.layer + 1):
        count = len(layers) if first is None else first
        work = estimate_operations(card.width, count, length, length)
        memory = card.heads * length**2 * _BYTES_PER_CELL * (_MATRICES + count)
        free = free_bytes("cpu")
        if work <= _MOST_OPERATIONS and (free is None or memory <= free / 2):
            return first
    return 0


def _grown(source: Source, texts: tuple[str, ...], least: int, most: int) -> str | None:
    """The built-in texts repeated until their tokens are between `least` and `most` in number."""
    words = [word for text in texts for word in text.split()]
    low, high = 1, most  # words have at least one token each, as a rule
    while low <= high:
        middle = (low + high) // 2
        text = " ".join(words[place % len(words)] for place in range(middle))
        count = len(source.tokens(text, None))
        if least <= count <= most:
            return text
        low, high = (middle + 1, high) if count < least else (low, middle - 1)
    return None
