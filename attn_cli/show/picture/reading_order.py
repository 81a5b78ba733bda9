"""The order in which the words of a line stand from left to right, for texts that are read either way."""

from collections.abc import Sequence
from itertools import groupby
from unicodedata import bidirectional

_RIGHT_TO_LEFT = {"R", "AL"}


def reads_leftwards(text: str) -> bool:
    """Whether a word is read from right to left: its first letter is."""
    strong = (bidirectional(character) for character in text)
    first = next((direction for direction in strong if direction in {"L", *_RIGHT_TO_LEFT}), "L")
    return first in _RIGHT_TO_LEFT


def is_leftward_line(words: Sequence[str]) -> bool:
    """Whether a line is read from right to left: most of its words are, or half and the first."""
    leftwards = [reads_leftwards(word) for word in words if any(map(str.isalpha, word))]
    return 2 * sum(leftwards) + sum(leftwards[:1]) > len(leftwards)


def visual_order(words: Sequence[str]) -> list[int]:
    """The indices of the words and spaces of a line, from left to right.

    Words against the direction of the line keep their own order; what has no direction, such as a space or
    a number, is between two words of one direction a part of them.
    """
    is_leftward = is_leftward_line(words)
    directions = _resolved([_direction(word) for word in words], is_leftward=is_leftward)
    order = list[int]()
    for is_against, group in groupby(range(len(words)), key=lambda number: directions[number] != is_leftward):
        numbers = list(group)
        order += numbers[::-1] if is_against else numbers
    return order[::-1] if is_leftward else order


def _direction(word: str) -> bool | None:
    """Whether a word is read leftwards; None: it has no direction of its own."""
    has_letters = any(bidirectional(character) in {"L", *_RIGHT_TO_LEFT} for character in word)
    return reads_leftwards(word) if has_letters else None


def _resolved(directions: Sequence[bool | None], *, is_leftward: bool) -> list[bool]:
    """Every direction: one that is unknown is that of both neighbours if they agree, else the line's."""
    resolved = list[bool]()
    for number, direction in enumerate(directions):
        before = resolved[-1] if resolved else is_leftward
        after = next((other for other in directions[number + 1 :] if other is not None), is_leftward)
        shared = before if before == after else is_leftward
        resolved.append(shared if direction is None else direction)
    return resolved
