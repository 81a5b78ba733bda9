"""The places of a text where a word or a phrase stands, and the tokens of each."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import accumulate

from attn_cli.models.tokens.token import Token
from attn_cli.reading.token_selection.boundaries import is_inside_part
from attn_cli.reading.token_selection.text_side import TextSide
from attn_cli.record import record

Span = tuple[int, int]
"""The first character of a place, and the one after its last."""

Positions = tuple[int, ...]
"""The tokens of one place."""

_STRAIGHT = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc", "'") | dict.fromkeys("\u201c\u201d\u201e", '"'))
_INVISIBLE = re.compile("[\u00ad\ufe0e\ufe0f]")  # soft hyphen, and the choice between text and emoji


@record(frozen=True, slots=True)
class Letters:
    """The letters of a text without case and accents, and the character that each comes from."""

    letters: str
    origins: Sequence[int]

    def spans(self, word: str, text: str) -> Iterator[Span]:
        """Where the letters of `word` occur, also inside other words; any white space fits a space."""
        pattern = _pattern(word)
        place = pattern.search(self.letters)
        while place is not None and place.end() > place.start():
            start, end = self.origins[place.start()], self.origins[place.end() - 1] + 1
            while end < len(text) and not _bare(text[end]):
                end += 1
            yield start, end
            place = pattern.search(self.letters, place.start() + 1)


@lru_cache(maxsize=4)
def letters_of(text: str) -> Letters:
    """The letters of a text."""
    if text.isascii():
        return Letters(text.lower(), range(len(text)))
    bare = [_bare(character) for character in text]
    origins = [place for place, letters in enumerate(bare) for _ in letters]
    return Letters("".join(bare), origins)


def find_places(word: str, side: TextSide) -> list[Positions]:
    """The tokens of each place where `word` stands, in the order of the text.

    A place is the word as it is written, in the text or in its tokens (a model without capitals reads `It`
    as `it`), or a special token with this text. If there is none, places that differ in case count.
    """
    tried = [*_text_places(word, side), *_special_places(word, side)]
    exact = [tokens for is_exact, tokens in tried if is_exact]
    places = exact or [tokens for _, tokens in tried]
    return sorted(places, key=lambda tokens: tokens[0])


def is_in_text(word: str, side: TextSide) -> bool:
    """Whether the word stands in the text, even if no token was read there."""
    return any(True for text, _ in side.parts for _ in word_spans(word, text))


def occurrences(word: str, text: str) -> Iterator[Span]:
    """Where the characters of `word` stand, in any case, also inside other words."""
    plain = _plain(word)
    for start, end in letters_of(text).spans(word, text):
        if _plain(text[start:end]) == plain:
            yield start, end


def word_spans(word: str, text: str) -> Iterator[Span]:
    """Where `word` stands as a word, in any case."""
    return (span for span in occurrences(word, text) if _is_whole(text, span))


def _text_places(word: str, side: TextSide) -> Iterator[tuple[bool, Positions]]:
    """Whether the word is written in the same way, and its tokens, for each place in the text."""
    written, plain = _written(word), _plain(word)
    for text, tokens in side.parts:
        owners = _Owners(text, tokens)
        for start, end in letters_of(text).spans(word, text):
            own = owners.of(start, end) if _is_whole(text, (start, end)) else []
            read = "".join(token.text for token in own)
            is_exact = written in {_written(text[start:end]), _written(read)}
            if own and (is_exact or _plain(text[start:end]) == plain):
                yield is_exact, tuple(token.position for token in own)


def larger_places(word: str, side: TextSide) -> Iterator[tuple[str, Positions]]:
    """The places whose tokens have more letters than the word: all their characters, and the tokens."""
    chosen = set(find_places(word, side))
    for text, tokens in side.parts:
        owners = _Owners(text, tokens)
        for start, end in word_spans(word, text):
            own = owners.of(start, end)
            positions = tuple(token.position for token in own)
            if positions not in chosen:
                continue
            taken = min(token.start for token in own), max(token.end for token in own)
            around = text[taken[0] : start] + text[end : taken[1]]
            if around.strip():
                yield text[slice(*taken)].strip(), positions


def _is_whole(text: str, span: Span) -> bool:
    return not any(is_inside_part(text, border) for border in span)


def _special_places(word: str, side: TextSide) -> Iterator[tuple[bool, Positions]]:
    """The same for special tokens with this text; those written in the text are among its places."""
    plain = _plain(word)
    for text, tokens in side.parts:
        for token in tokens:
            if token.special and not _is_literal(token, text) and plain in map(_plain, _names(token)):
                yield word in _names(token), (token.position,)


class _Owners:
    """The tokens that the characters of a text belong to."""

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        own = [token for token in tokens if token.end > token.start]
        self._text, self._tokens = text, sorted(own, key=lambda token: (token.start, token.position))
        self._reach = list(accumulate((token.end for token in self._tokens), max))

    def of(self, start: int, end: int) -> list[Token]:
        """The tokens that share characters with the span, in order."""
        first = bisect_right(self._reach, start)
        last = bisect_left(self._tokens, end, key=lambda token: token.start)
        shared = [token for token in self._tokens[first:last] if token.end > start]
        own = [token for token in shared if self._is_part(token, start, end)]
        return sorted(own, key=lambda token: token.position)

    def _is_part(self, token: Token, start: int, end: int) -> bool:
        """Whether it is neither the space before alone, nor a longer special token (`s` in `<s>`)."""
        if token.special and _is_literal(token, self._text):
            return start <= token.start and token.end <= end
        own = self._text[max(start, token.start) : min(end, token.end)]
        return bool(token.text.strip()) or not own.strip()


def _names(token: Token) -> tuple[str, str]:
    return token.text, token.piece


def _is_literal(token: Token, text: str) -> bool:
    """Whether the token's own text is written where it stands."""
    return text[token.start : token.end].strip() in _names(token)


def _pattern(word: str) -> re.Pattern[str]:
    letters = "".join(map(_bare, word))
    parts = letters.split()
    return re.compile(r"\s+".join(map(re.escape, parts)) if parts else re.escape(letters))


def _written(text: str) -> str:
    """The text without differences in composition and in white space."""
    return "".join(unicodedata.normalize("NFC", text).split())


def _plain(text: str) -> str:
    """The text without differences in case, in quotation marks, and in white space."""
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text.translate(_STRAIGHT)))
    return unicodedata.normalize("NFKC", " ".join(plain.split()).casefold())


@cache
def _bare(character: str) -> str:
    """The character without case and accents: none, one or several letters."""
    plain = unicodedata.normalize("NFKD", character.translate(_STRAIGHT).casefold())
    kept = "".join(letter for letter in plain if unicodedata.category(letter) != "Mn")
    return _INVISIBLE.sub("", kept).casefold()
