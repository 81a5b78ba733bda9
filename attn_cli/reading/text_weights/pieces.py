"""A text in pieces: the characters of its tokens, what stands between them, and tokens without text."""

from collections.abc import Iterator, Sequence
from itertools import chain

from attn_cli.answers.shaded_text import Piece
from attn_cli.models.tokens.token import Token
from attn_cli.reading.token_selection.boundaries import is_inside_character
from attn_cli.reading.token_selection.text_side import TextSide
from attn_cli.record import record
from attn_cli.vocabulary import WRITTEN


@record(frozen=True, slots=True)
class _Span:
    """The characters of one or several tokens; none if `start` is `end`."""

    start: int
    end: int
    tokens: tuple[Token, ...]


def pieces_of(side: TextSide) -> tuple[Piece, ...]:
    """The pieces of the text, or of both texts of a pair, the second on a line of its own.

    Tokens that share a user-perceived character are one piece: bytes of an emoji, a letter and its accent.
    White space around the characters of a token belongs to no token; a token of white space alone has its
    own piece. Tokens may be words, each at the position of its first token. A mark stands before what the
    model wrote.
    """
    parts = [_pieces(text, tokens) for text, tokens in side.parts]
    return tuple(chain(*parts[:1], *(chain([Piece("\n")], part) for part in parts[1:])))


def _pieces(text: str, tokens: Sequence[Token]) -> Iterator[Piece]:
    place, is_written = 0, False
    for span in sorted(_spans(text, tokens), key=lambda span: (span.start, span.tokens[0].position)):
        if span.start > place:
            yield Piece(text[place : span.start])
        positions = tuple(sorted(token.position for token in span.tokens))
        is_mark = span.start == span.end
        if any(token.generated for token in span.tokens) and not is_written:
            is_written = True
            yield Piece(WRITTEN, is_mark=True)
        yield Piece(span.tokens[0].text if is_mark else text[span.start : span.end], positions, is_mark)
        place = max(place, span.end)
    if place < len(text):
        yield Piece(text[place:])


def _spans(text: str, tokens: Sequence[Token]) -> Iterator[_Span]:
    """The characters of each token, joined where tokens share a character; and tokens without any."""
    yield from (_Span(token.start, token.start, (token,)) for token in tokens if token.end <= token.start)
    firsts, ends = dict[int, int](), dict[int, int]()
    own = sorted(
        (_whole_characters(text, token, firsts, ends) for token in tokens if token.end > token.start),
        key=lambda span: (span.start, span.tokens[0].position),
    )
    joined: _Span | None = None
    for span in own:
        if joined is not None and span.start < joined.end:
            joined = _Span(joined.start, max(joined.end, span.end), (*joined.tokens, *span.tokens))
        else:
            yield from () if joined is None else (joined,)
            joined = span
    yield from () if joined is None else (joined,)


def _whole_characters(text: str, token: Token, firsts: dict[int, int], ends: dict[int, int]) -> _Span:
    """The characters of a token without the white space around them, with the marks that belong to them.

    `firsts` and `ends` keep where characters begin and end: one may have thousands of marks, each a token.
    """
    start, end = token.start, token.end
    written = text[start:end]
    if written.strip():
        start, end = start + len(written) - len(written.lstrip()), end - len(written) + len(written.rstrip())
    return _Span(_edge(text, start, -1, firsts), _edge(text, end, 1, ends), (token,))


def _edge(text: str, place: int, step: int, known: dict[int, int]) -> int:
    """The nearest place in this direction that is not inside a character."""
    passed = list[int]()
    while place not in known and is_inside_character(text, place):
        passed.append(place)
        place += step
    edge = known.get(place, place)
    known.update(dict.fromkeys(passed, edge))
    return edge
