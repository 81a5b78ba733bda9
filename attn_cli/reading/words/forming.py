"""Which tokens form a word: those that share its characters."""

from collections.abc import Iterator, Sequence
from operator import attrgetter

from attn_cli.models.tokens.token import Token
from attn_cli.reading.token_selection.boundaries import words_of
from attn_cli.reading.token_selection.text_side import TextSide
from attn_cli.record import record


@record(frozen=True, slots=True)
class FormedWord:
    """A word, or a token that stands alone: a special token, or one without characters."""

    tokens: tuple[Token, ...]
    text: str  # its characters, without the white space before them
    start: int  # in the text that its tokens belong to
    end: int
    is_joined: bool = False  # whether a token of it has characters of several words, so that they are one

    @property
    def positions(self) -> tuple[int, ...]:
        """The positions of its tokens."""
        return tuple(token.position for token in self.tokens)


def form_words(side: TextSide) -> tuple[FormedWord, ...]:
    """The words of the text, in the order of their first tokens; no word spans two texts of a pair.

    Words that share a token are one. A space that is a token of its own belongs to the word after it.
    """
    found = [word for text, tokens in side.parts for word in _form(text, tokens)]
    return tuple(sorted(found, key=lambda word: word.positions[0]))


@record(frozen=True, slots=True)
class _Span:
    """The characters of a token, and the first and the last word that they belong to."""

    token: Token
    start: int
    end: int
    first: int
    last: int


def _form(text: str, tokens: Sequence[Token]) -> Iterator[FormedWord]:
    own = [token for token in tokens if not stands_alone(token, text)]
    for token in tokens:
        if stands_alone(token, text):
            yield FormedWord((token,), token.text, token.start, token.end)
    spans = sorted(_spans(text, own), key=attrgetter("first", "start", "token.position"))
    reach, group = -1, list[_Span]()
    for span in spans:
        if group and span.first > reach:
            yield _formed(text, group)
            group = []
        reach = span.last if not group else max(reach, span.last)
        group.append(span)
    if group:
        yield _formed(text, group)


def stands_alone(token: Token, text: str) -> bool:
    """Whether a token is no part of a word: it has no characters, or it is a special token written out.

    A token for unknown characters is special too, but stands for a part of a word.
    """
    if token.end <= token.start:
        return True
    return token.special and text[token.start : token.end].strip() in {token.text, token.piece}


def _spans(text: str, tokens: Sequence[Token]) -> Iterator[_Span]:
    """The characters of each token, without the white space around them unless it has no others."""
    words = words_of(text)
    starting = {token.start: token for token in reversed(tokens)}
    for token in tokens:
        start, end = _characters(text, token.start, token.end)
        first, last = words[start], words[end - 1]
        following = starting.get(token.end)
        if text[token.start : token.end] == " " and following is not None:
            begins = following.start
            first = last = words[begins] if not text[begins].isspace() else first
        yield _Span(token, start, end, first, last)


def _characters(text: str, start: int, end: int) -> tuple[int, int]:
    written = text[start:end]
    if not written.strip():
        return start, end
    return end - len(written.lstrip()), start + len(written.rstrip())


def _formed(text: str, spans: Sequence[_Span]) -> FormedWord:
    lettered = [span for span in spans if not text[span.start : span.end].isspace()] or list(spans)
    start, end = min(span.start for span in lettered), max(span.end for span in lettered)
    tokens = sorted((span.token for span in spans), key=attrgetter("position"))
    is_joined = any(span.first < span.last for span in lettered) and not text[start:end].isspace()
    return FormedWord(tuple(tokens), text[start:end], start, end, is_joined)
