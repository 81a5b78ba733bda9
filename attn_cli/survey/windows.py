"""Cuts a document into windows: texts of their own, so that `attn inspect` shows the same again."""

from collections.abc import Callable, Iterator, Sequence

from attn_cli.models.tokens.token import Token
from attn_cli.reading.reading import Reading


def windows_of(
    read: Callable[[str], Reading],
    split: Callable[[str], Sequence[Token]],
    text: str,
    window: int | None,
    stride: int | None,
) -> Iterator[tuple[int, Reading]]:
    """The first character of each window, and the window as read; the whole text if it fits.

    `split` splits a text of any length into tokens. A window has at most `window` tokens, with the special
    ones that the tokenizer adds to each text. Windows begin `stride`
    tokens apart, by default as many as they have of the text.

    Raises:
        AttnError: a text cannot be read.
    """
    if window is None:
        yield 0, read(text)
        return
    tokens = split(text)
    of_text = [token for token in tokens if token.end > token.start]
    if len(tokens) <= window or not of_text:
        yield 0, read(text)
        return
    size = max(1, window - (len(tokens) - len(of_text)))
    step = stride or size
    for first in range(0, len(of_text), step):
        last = min(first + size, len(of_text))
        start = of_text[first].start
        reading = _fitting(read, text[start : of_text[last - 1].end], window)
        yield start, reading
        if last == len(of_text):
            return


def _fitting(read: Callable[[str], Reading], text: str, window: int) -> Reading:
    """The text, without its last tokens if it alone is split into more than it was as a part."""
    reading = read(text)
    while len(reading.tokens) > window:
        ends = [token.start for token in reading.tokens if token.end > token.start]
        text = text[: ends[-(len(reading.tokens) - window)]]
        reading = read(text)
    return reading
