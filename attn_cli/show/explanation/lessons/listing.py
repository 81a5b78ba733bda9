"""Which keys of a row a table lists, and how tokens are named."""

from collections.abc import Sequence

from attn_cli.grid import Matrix, Sides
from attn_cli.record import record
from attn_cli.show.explanation.document import Outside, Words, symbols, words

_ALL = 11  # as many keys are listed without leaving any out
_LARGEST = 8  # of more keys


@record(frozen=True, slots=True)
class Listing:
    """The keys that a table lists, in the order of the text, and those that it sums up in one line."""

    keys: Sequence[int]
    rest: Sequence[int]

    @property
    def is_whole(self) -> bool:
        """Whether every key is listed."""
        return not self.rest


def listing(keys: Sequence[int], *weights: Matrix, always: Sequence[int] = ()) -> Listing:
    """All of up to 11 keys; of more, 8: those `always`, and those with the largest of the `weights` (S,)."""
    if len(keys) <= _ALL:
        return Listing(sorted(keys), ())
    first = {key: number for number, key in enumerate(always)}
    order = sorted(keys, key=lambda key: (first.get(key, len(first)), -max(each[key] for each in weights)))
    return Listing(sorted(order[:_LARGEST]), sorted(order[_LARGEST:]))


def query_name(sides: Sides, position: int) -> Words:
    """A query in a sentence."""
    return _in_sentence(sides.queries[position], position)


def key_name(sides: Sides, position: int) -> Words:
    """A key in a sentence."""
    return _in_sentence(sides.keys[position], position)


def key_label(sides: Sides, position: int) -> Words:
    """A key in a table."""
    return symbols("{position} {token}", position=str(position), token=Outside(sides.keys[position]))


def rest_label(count: int) -> Words:
    """The line of the keys that are not listed."""
    if count == 1:
        return words("1 other key", "1 outra chave")
    return words("{count} other keys", "outras {count} chaves", count=count)


def _in_sentence(token: str, position: int) -> Words:
    return symbols('"{token}" ({position})', token=Outside(token), position=str(position))
