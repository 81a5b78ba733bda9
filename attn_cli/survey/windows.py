"""Cuts a document into windows: texts of their own, so that `attn inspect` shows the same again."""

from collections.abc import Callable, Iterator, Sequence

from attn_cli.models.tokens.token import Token
from attn_cli.reading.reading import Reading
from attn_cli.record import record


@record(frozen=True, slots=True, eq=False)
class Window:
    """A part of a document as it was read, or all of it."""

    start: int  # its first character in the document
    reading: Reading
    after: int | None = None  # the id of the document's token that follows; None: the document ends there


def windows_of(
    read: Callable[[str], Reading],
    split: Callable[[str], Sequence[Token]],
    text: str,
    window: int | None,
    stride: int | None,
) -> Iterator[Window]:
    """The windows of a text; the whole text if it fits.

    `split` splits a text of any length into tokens. A window has at most `window` tokens, with the special
    ones that the tokenizer adds to each text. Windows begin `stride`
    tokens apart, by default as many as they have of the text.

    Raises:
        AttnError: a text cannot be read.
    """
    if window is None:
        yield Window(0, read(text))
        return
    tokens = split(text)
    of_text = [token for token in tokens if token.end > token.start]
    if len(tokens) <= window or not of_text:
        yield Window(0, read(text))
        return
    size = max(1, window - (len(tokens) - len(of_text)))
    step = stride or size
    for first in range(0, len(of_text), step):
        last = min(first + size, len(of_text))
        start = of_text[first].start
        reading = _fitting(read, text[start : of_text[last - 1].end], window)
        yield Window(start, reading, _after(of_text[first:], text, start + len(reading.request.text)))
        if last == len(of_text):
            return


def _after(tokens: Sequence[Token], text: str, end: int) -> int | None:
    """The id of the first of these tokens after a window that ends there; None: there is none, or a gap."""
    found = next((token for token in tokens if token.start >= end), None)
    return None if found is None or text[end : found.start].strip() else found.id


def _fitting(read: Callable[[str], Reading], text: str, window: int) -> Reading:
    """The text, without its last tokens if it alone is split into more than it was as a part."""
    reading = read(text)
    while len(reading.tokens) > window:
        ends = [token.start for token in reading.tokens if token.end > token.start]
        text = text[: ends[-(len(reading.tokens) - window)]]
        reading = read(text)
    return reading
