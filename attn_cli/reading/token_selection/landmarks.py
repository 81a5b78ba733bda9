"""What to call positions of a long text of which few can be labelled: words rather than pieces of them."""

from collections.abc import Iterator, Sequence
from itertools import chain

from attn_cli.grid import Landmarks, Rank
from attn_cli.models.tokens.token import Token
from attn_cli.reading.token_selection.boundaries import enclosing_word, is_inside_word, is_word_character
from attn_cli.reading.token_selection.text_side import TextSide

_SENTENCE_ENDS = tuple(".!?…。؟।\uff01\uff1f")
_CLOSING = "\"'”»)]}」』\u2019\u203a"
_OPENING = "\"'“«([{「『*_#>—-\u2018\u2039\u2013"  # may stand before the first word of a sentence


def landmarks_of(side: TextSide) -> Landmarks:
    """Each token of this side, or each word: the word that begins there, and whether a sentence does."""
    named = list(chain.from_iterable(_named(text, tokens) for text, tokens in side.parts))
    words, ranks = zip(*named, strict=True) if named else ((), ())
    return Landmarks(tuple(token.position for token in side.tokens), words, ranks)


def _named(text: str, tokens: Sequence[Token]) -> Iterator[tuple[str, Rank]]:
    return (_word_at(text, token) for token in tokens)


def _word_at(text: str, token: Token) -> tuple[str, Rank]:
    """The word that begins with a token, or the token's own text, and how good a landmark it is."""
    own = text[token.start : token.end]
    start = token.start + len(own) - len(own.lstrip())
    if token.special or start >= token.end:
        return token.text, Rank.MARK
    if is_inside_word(text, start):
        return token.text, Rank.PIECE
    if not is_word_character(text[start]):
        return token.text, Rank.MARK
    return enclosing_word(text, start, token.end), _rank_of_word(text, start)


def _rank_of_word(text: str, start: int) -> Rank:
    """A sentence begins after the end of one, after an empty line, and at the start of the text."""
    before = text[max(0, start - 16) : start].rstrip(_OPENING + " \t")
    ended = before.rstrip().rstrip(_CLOSING)
    is_start = not ended or ended.endswith(_SENTENCE_ENDS) or "\n\n" in before[len(before.rstrip()) :]
    return Rank.SENTENCE if is_start else Rank.WORD
