"""Which keys of a row a table lists."""

from collections.abc import Sequence

from attn_cli.grid import Matrix
from attn_cli.record import record

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
