"""Parses selections of things with numbers: `3`, `-1`, `0,2,5`, `4-7`, `4-`, `all`; of heads, `2.5`."""

import re
from collections.abc import Sequence
from dataclasses import replace

from attn_cli.errors import UsageError
from attn_cli.record import record

# Patterns are compiled when they are first used: most runs select nothing.
_RANGE = r"(-?\d+)-(-?\d+)?"
_NUMBER = r"-?\d+"
_HEAD = r"(-?\d+)\.(-?\d+)"
_PART = r"(?:all|-?\d+(?:-(?:-?\d+)?)?)"
_LIST = f"{_PART}(?:,{_PART})*"
_HEADS_OF_LAYERS = rf"({_PART})\.({_PART})"
_TO = r"(?<=\d)\s*(?:\.\.+|[:…\u2010-\u2015]|\s-\s)\s*(?=\d)|(?<=\d)(?:\.\.+|:)$"
_PLACE_NUMBERS = 2  # a layer and a head
_LONGEST_NUMBER = 9  # digits; no model has a billion layers

Place = tuple[int, int]
"""A layer and one of its heads."""


@record(frozen=True, slots=True)
class Selection:
    """The values of `--layer`, `--head` and `--heads`; None if an option is not given."""

    layers: str | None = None
    heads: str | None = None
    places: Sequence[str] = ()  # "2.5", "0.1,3.4"

    @property
    def is_empty(self) -> bool:
        """Whether none of the options is given."""
        return self.layers is None and self.heads is None and not self.places

    @property
    def names_layers(self) -> bool:
        """Whether particular layers are selected, and not `all`."""
        return bool(self.places) or self.layers not in {None, "all"}

    def resolve(self, name: str, layers: int, heads: int) -> tuple[Place, ...]:
        """The selected heads of the model `name`, ordered by layer, each once.

        `--layer` alone selects all heads of the layer, `--head` alone that head in every layer, no option
        every head. Heads selected with `--heads` keep their order.

        Raises:
            UsageError: the selection is malformed, or out of range.
        """
        if self.places and (self.layers is not None or self.heads is not None):
            raise self._twice()
        if self.places:
            return self._named(name, layers, heads)
        chosen = indices("all" if self.layers is None else self.layers, layers, "layer", name)
        of_each = indices("all" if self.heads is None else self.heads, heads, "head", name)
        return tuple((layer, head) for layer in sorted(chosen) for head in sorted(of_each))

    def reach(self, layers: int, heads: int) -> int:
        """The maximum number of layers that must run; all of them if the selection is invalid."""
        try:
            return 1 + max(layer for layer, _ in self.resolve("", layers, heads))
        except UsageError:  # it is reported when the heads are looked up
            return layers

    def _twice(self) -> UsageError:
        """The error for `--heads` next to `--layer` or `--head`; `-l 2 --heads 7` means `-l 2 -H 7`."""
        problem = "--heads already selects layers and heads: leave out --layer and --head"
        named = ",".join(self.places).replace(" ", "")
        if self.heads is None and re.fullmatch(_LIST, named):
            return UsageError(problem, f"-l {self.layers} -H {named}")
        return UsageError(problem, f"--heads {named} alone")

    def _named(self, name: str, layers: int, heads: int) -> tuple[Place, ...]:
        parts = [part.strip() for part in ",".join(self.places).split(",")]
        places: dict[Place, None] = {}
        for part in parts:
            matched = re.fullmatch(_HEAD, part)
            if matched is None:
                raise _no_place(part, parts, layers, heads)
            layer, head = (as_number(digits) for digits in matched.groups())
            layer = Numbered("layer", layers, name, suggestion=f"--heads {{}}.{head}").one(layer)
            place = layer, Numbered("head", heads, name, suggestion=f"--heads {layer}.{{}}").one(head)
            places[place] = None
        return tuple(places)


def indices(text: str, count: int, what: str, name: str) -> tuple[int, ...]:
    """The numbers from 0 to count - 1 that `text` selects, each once, in the order given.

    Raises:
        UsageError: it is malformed, or out of range.
    """
    return Numbered(what, count, name).chosen(text)


@record(frozen=True, slots=True)
class Numbered:
    """Things that are numbered from 0: layers or heads of a model, tokens of a text."""

    what: str
    count: int
    name: str
    unit: str = ""
    flag: str = ""  # the option, if it is not --WHAT
    suggestion: str = ""  # the hint for a number that is too large, with {} for the last number

    @property
    def option(self) -> str:
        """The option that selects them."""
        return self.flag or f"--{self.what}"

    def chosen(self, text: str) -> tuple[int, ...]:
        """The numbers that `text` selects, each once, in the order given."""
        numbers: dict[int, None] = {}
        for part in text.split(","):
            if not part.strip():
                raise self.nothing(text)
            numbers.update(dict.fromkeys(self.part(part.strip())))
        return tuple(numbers)

    def one(self, number: int) -> int:
        """The number counted from 0; -1 is the last."""
        if not -self.count <= number < self.count:
            numbered = "numbered 0" if self.count == 1 else f"numbered 0 to {self.count - 1}"
            found = f"{self.name} has {self.count:,}{self.unit}, {numbered}"
            hint = (self.suggestion or f"{self.option} {{}}").format(self.count - 1)
            raise UsageError(f"{self.what} {number} does not exist: {found}", hint)
        return number % self.count

    def part(self, text: str) -> range:
        """The numbers that one part of a list selects: `3`, `4-7`, `4-` or `all`."""
        if text == "all":
            return range(self.count)
        if re.fullmatch(_NUMBER, text):
            one = self.one(as_number(text))
            return range(one, one + 1)
        matched = re.fullmatch(_RANGE, text)
        if matched is None:
            raise self.nothing(text)
        first = self.one(as_number(matched[1]))
        up_to = replace(self, suggestion=f"{self.option} {matched[1]}-{{}}")  # an end that is too large
        last = up_to.one(as_number(matched[2] or "-1"))
        if first > last:
            problem = f"'{text}' selects no {self.what}: it ends before it begins"
            raise UsageError(problem, f"{self.option} {last}-{first}")
        return range(first, last + 1)

    def nothing(self, text: str) -> UsageError:
        """The error for a malformed selection; it suggests the same in our notation, if it is in another."""
        repaired = _repaired(text)
        if re.fullmatch(_LIST, repaired):
            hint = f"{self.option} {repaired}"
        elif re.fullmatch(_HEAD, text) and not self.flag:
            hint = f"--heads {text}"
        else:
            hint = f"{self.option} 3, -1, 0,2,5, 4-7, 4- or all"
        return UsageError(f"'{text}' selects no {self.what}", hint)


def is_numeric(part: str) -> bool:
    """Whether a part of a list selects by number: `3`, `4-7`, `4-` or `all`."""
    return part == "all" or bool(re.fullmatch(_NUMBER, part) or re.fullmatch(_RANGE, part))


def is_foreign(part: str) -> bool:
    """Whether a part selects by number in the notation of other tools: `3:7`, `3..7`, `[0;2]`, `ALL`."""
    return bool(re.fullmatch(_LIST, _repaired(part)))


def _repaired(text: str) -> str:
    """The selection in our notation, if it is in that of other tools: `3:7`, `3..7`, `0 2`, `[0;2]`."""
    plain = text.strip("[](){} ").replace("\N{MINUS SIGN}", "-").replace("*", "all").casefold()
    return re.sub(r"[\s,;]+", ",", re.sub(_TO, "-", plain)).strip(",")


def _is_slip(parts: Sequence[str], layers: int, heads: int) -> bool:
    """Whether a comma stands for the point of LAYER.HEAD: `17,5` in a model without a head 17."""
    if len(parts) != _PLACE_NUMBERS or not all(part.isdecimal() for part in parts):
        return False
    layer, head = map(as_number, parts)
    return heads <= layer < layers and head < heads


def _no_place(part: str, parts: Sequence[str], layers: int, heads: int) -> UsageError:
    """The error for a malformed LAYER.HEAD; it suggests the options for heads of several layers."""
    heads_of_layers = re.fullmatch(_HEADS_OF_LAYERS, part)
    if _is_slip(parts, layers, heads):
        hint = f"--heads {'.'.join(parts)}"
    elif all(re.fullmatch(_LIST, other) for other in parts):
        hint = f"-H {','.join(parts)}"
    elif heads_of_layers:
        hint = f"-l {heads_of_layers[1]} -H {heads_of_layers[2]}"
    else:
        hint = "--heads 2.5"
    return UsageError(f"'{part}' is not a layer and a head (LAYER.HEAD)", hint)


def as_number(digits: str) -> int:
    """The number, truncated to ten digits, which is out of range for any model: int() has a limit."""
    return int(digits[: _LONGEST_NUMBER + 1])
