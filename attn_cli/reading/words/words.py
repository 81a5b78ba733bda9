"""The words along the two sides of a matrix, with the tokens of each."""

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from attn_cli.models.tokens.token import Token
from attn_cli.record import record

if TYPE_CHECKING:
    from attn_cli.reading.words.forming import FormedWord


@record(frozen=True, slots=True, eq=False)
class WordSide:
    """The words that are queries or keys, as if they were tokens."""

    words: tuple[Token, ...]  # each has the position of its first token; equal words have equal ids
    members: tuple[tuple[int, ...], ...]  # the positions of its tokens
    joined: tuple[int, ...] = ()  # the words, of several, that share a token

    @classmethod
    def of(cls, formed: "Sequence[FormedWord]") -> "WordSide":
        """The words as tokens."""
        numbers: dict[object, int] = {}
        words = tuple(
            Token(
                position=word.tokens[0].position,
                id=numbers.setdefault(_as_read(word), len(numbers)),
                piece=word.text,
                text=word.text,
                start=word.start,
                end=word.end,
                special=all(token.special for token in word.tokens),
                segment=word.tokens[0].segment,
                generated=any(token.generated for token in word.tokens),
            )
            for word in formed
        )
        joined = tuple(index for index, word in enumerate(formed) if word.is_joined)
        return cls(words, tuple(word.positions for word in formed), joined)

    def containing(self, tokens: Collection[int]) -> tuple[int, ...]:
        """The words, by their place, that have any of these tokens."""
        chosen = set(tokens)
        return tuple(place for place, own in enumerate(self.members) if not chosen.isdisjoint(own))

    def cut_by(self, tokens: Collection[int]) -> Iterator[int]:
        """The words, by their place, of which these are some tokens but not all."""
        chosen = set(tokens)
        for place, own in enumerate(self.members):
            if not chosen.isdisjoint(own) and not chosen.issuperset(own):
                yield place


@record(frozen=True, slots=True, eq=False)
class Words:
    """The words of a reading: of the queries, and of the keys."""

    queries: WordSide
    keys: WordSide


def _as_read(word: "FormedWord") -> object:
    """What makes two words equal: their text as the model's tokens read it, or the special token."""
    if len(word.tokens) == 1 and word.tokens[0].special:
        return word.tokens[0].id
    return "".join(token.text for token in word.tokens).strip()
