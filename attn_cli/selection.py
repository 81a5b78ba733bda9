"""Which layers and heads a person asked for: `3`, `-1`, `0,2,5`, `4-7`, `all`, `2.5`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from attn_cli.errors import UsageError

_RANGE = re.compile(r"(-?\d+)-(-?\d+)")
_NUMBER = re.compile(r"-?\d+")
_HEAD = re.compile(r"(-?\d+)\.(-?\d+)")
_LONGEST_NUMBER = 9  # digits; no model has a billion layers

Place = tuple[int, int]
"""A layer and a head of it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What was typed after `--layer`, `--head` and `--heads`; None where nothing was."""

    layers: str | None = None
    heads: str | None = None
    places: Sequence[str] = ()  # "2.5", "0.1,3.4"

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for."""
        return self.layers is None and self.heads is None and not self.places

    @property
    def names_layers(self) -> bool:
        """Whether layers were named one by one: `all` are those that there are."""
        return bool(self.places) or self.layers not in {None, "all"}

    def resolve(self, name: str, layers: int, heads: int) -> tuple[Place, ...]:
        """The heads meant, of the model `name`, in the order of the layers, each once.

        `--layer` alone means all heads of it, `--head` alone that head in every layer, nothing at all
        every head. Heads named by `--heads` keep the order in which they were named.

        Raises:
            UsageError: it is malformed, or out of range.
        """
        if self.places and (self.layers is not None or self.heads is not None):
            raise UsageError(
                "--heads names whole places, so --layer and --head add nothing", "--heads 2.5 alone"
            )
        if self.places:
            return self._named(name, layers, heads)
        chosen = indices("all" if self.layers is None else self.layers, layers, "layer", name)
        of_each = indices("all" if self.heads is None else self.heads, heads, "head", name)
        return tuple((layer, head) for layer in sorted(chosen) for head in sorted(of_each))

    def reach(self, layers: int, heads: int) -> int:
        """How many of the layers must run, at most; all where the selection says nothing that is there."""
        try:
            return 1 + max(layer for layer, _ in self.resolve("", layers, heads))
        except UsageError:  # it is reported where the heads are looked up
            return layers

    def _named(self, name: str, layers: int, heads: int) -> tuple[Place, ...]:
        found: dict[Place, None] = {}
        for part in ",".join(self.places).split(","):
            matched = _HEAD.fullmatch(part.strip())
            if matched is None:
                raise UsageError(
                    f"'{part.strip()}' is no head of a layer", "LAYER.HEAD, for example --heads 2.5"
                )
            layer, head = (_number(each) for each in matched.groups())
            found[_index(layer, layers, "layer", name), _index(head, heads, "head", name)] = None
        return tuple(found)


def indices(text: str, count: int, what: str, name: str) -> tuple[int, ...]:
    """The numbers that `text` selects out of 0 to count - 1, each once, in the order typed.

    Raises:
        UsageError: it is malformed, or out of range.
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        if not part.strip():
            raise UsageError(f"'{text}' selects no {what}", _hint(what))
        found.update(dict.fromkeys(_part(part.strip(), count, what, name)))
    return tuple(found)


def _hint(what: str) -> str:
    return f"--{what} 3, -1, 0,2,5, 4-7 or all"


def _part(text: str, count: int, what: str, name: str) -> range:
    if text == "all":
        return range(count)
    if _NUMBER.fullmatch(text):
        one = _index(_number(text), count, what, name)
        return range(one, one + 1)
    matched = _RANGE.fullmatch(text)
    if matched is None:
        raise UsageError(f"'{text}' selects no {what}", _hint(what))
    first, last = (_index(_number(each), count, what, name) for each in matched.groups())
    if first > last:
        raise UsageError(f"'{text}' selects no {what}: it ends before it begins", f"--{what} {last}-{first}")
    return range(first, last + 1)


def _number(digits: str) -> int:
    """The number; one that no model can reach stands for all that are too long to convert."""
    return int(digits[: _LONGEST_NUMBER + 1])


def _index(number: int, count: int, what: str, name: str) -> int:
    """The number counted from 0, where -1 is the last."""
    if not -count <= number < count:
        numbered = "numbered 0" if count == 1 else f"numbered 0 to {count - 1}"
        raise UsageError(
            f"{what} {number} does not exist: {name} has {count}, {numbered}", f"--{what} {count - 1}"
        )
    return number % count
