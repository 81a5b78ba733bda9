"""Reads a page of `attn explain` as text, and does its arithmetic again with decimals.

It knows what the page says and nothing of the code that wrote it: not where a number came from, and not how
its decimals were chosen.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
from rich.cells import cell_len

ROUNDINGS: Mapping[str, float] = {"float64": 1e-13, "float32": 1e-6, "float16": 3e-3, "bfloat16": 2e-2}
"""How far the arithmetic of a number format may be off, relative to the largest number that takes part."""

_N = r"-?\d+(?:\.\d+)?"
_P = rf"(?:{_N}|\(-\d+(?:\.\d+)?\))"
_COUNT = r"\d[\d,]*"
_NAMED = r'".*" \((\d+)\)'


class PageError(AssertionError):
    """A line of the page that does not follow from those above it, or that cannot be read."""


@dataclass
class Line:
    """A row of a table: its label, and its numbers by column."""

    label: str
    numbers: dict[str, Decimal]


@dataclass
class Side:
    """What the page says of a query, a key or a value while it is being made."""

    letter: str
    position: int
    name: str = ""  # of the feature; what is still to come stands behind it
    value: Decimal | None = None
    angle: Decimal | None = None
    cosine: Decimal | None = None
    sine: Decimal | None = None
    partner: Decimal | None = None
    has_bias: bool = False


@dataclass
class Matrix:
    """A matrix that is printed whole: what each output is made with, and what came of it for one token."""

    columns: list[list[Decimal]]
    bias: list[Decimal]
    results: list[Decimal]

    def of(self, one: int) -> list[Decimal]:
        """What output `one` is made with, besides x."""
        return [*self.columns[one], *self.bias[one : one + 1]]


@dataclass
class Page:
    """What was read: every number that another line or the JSON object has too."""

    rounding: float
    checked: int = 0  # results that were computed again
    texts: list[str] = field(default_factory=list)
    title_weight: Decimal | None = None
    kind: str = ""
    layer: int = -1
    head: int = -1
    query: int = -1
    key: int = -1
    is_hidden: bool = False
    section: int = 0
    side: Side | None = None
    inputs: dict[tuple[str, int, int], Decimal] = field(default_factory=dict)  # side, position, feature
    width: int = -1  # of x
    size: int = -1  # of a query
    biases: dict[str, bool] = field(default_factory=dict)  # q, k: whether the formula has `+ b`
    vectors: dict[str, list[Decimal]] = field(default_factory=dict)
    matrices: dict[str, "Matrix"] = field(default_factory=dict)  # of q, k, v where they are printed whole
    every: dict[str, dict[int, list[Decimal]]] = field(default_factory=dict)  # x, k, v of all tokens
    scores: dict[int, Decimal] = field(default_factory=dict)  # of every key
    features: dict[str, Decimal] = field(default_factory=dict)  # q[3], k[3], v[3] as they were made
    products: dict[int, tuple[Decimal, Decimal, Decimal]] = field(default_factory=dict)
    score: Decimal | None = None  # q·k, and what became of it so far
    stages: dict[str, Decimal] = field(default_factory=dict)  # dot, score, softcapped, bias, logit
    largest: Decimal | None = None
    row: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    total: Decimal | None = None
    seen: int | None = None
    keys: int | None = None  # how many there are
    values: dict[int, Decimal] = field(default_factory=dict)
    value_key: int = -1  # the key whose value is made
    value_feature: int = -1
    contexts: dict[int, Decimal] = field(default_factory=dict)
    outputs: dict[int, Decimal] = field(default_factory=dict)
    written: list[Decimal] = field(default_factory=list)  # all of o
    length: Decimal | None = None
    others_length: Decimal | None = None
    has_output_bias: bool = False
    expected: str = ""  # what the sentence before the equation announced


def read_page(text: str, dtype: str = "float32") -> Page:
    """The page, with all of its arithmetic computed again.

    Raises:
        PageError: a line does not follow from those above it.
    """
    page = Page(ROUNDINGS[dtype])
    blocks = [block.split("\n") for block in re.split(r"\n\s*\n", text.strip("\n"))]
    for block in blocks:
        _read_block(page, block)
    if page.side is not None:
        _finish(page)
    if page.section != 5:
        raise PageError(f"the page ends in section {page.section}")
    if page.vectors or page.expected:
        raise PageError(f"left over: {[*page.vectors]}, {page.expected}")
    return page


def _read_block(page: Page, lines: Sequence[str]) -> None:
    for number, line in enumerate(lines):
        heads = _heads(line)
        if heads is not None:
            _read_table(page, heads, lines[number:])
            return
        if line.startswith("    "):
            _read_equation(page, line.strip())
        else:
            _read_sentence(page, line)


# Numbers


def _unit(number: Decimal) -> Decimal:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return Decimal(1).scaleb(exponent)


def _number(text: str) -> Decimal:
    return Decimal(text.strip("()"))


def _same(page: Page, one: Decimal | None, other: Decimal | None, what: str) -> None:
    """A number that is printed twice has the same digits."""
    if one is None or other is None or str(one) != str(other):
        raise PageError(f"{what}: {one} and {other}")
    page.checked += 1


def _near(page: Page, one: Decimal | None, other: Decimal | None, what: str) -> None:
    """Two numbers are one number, each rounded to its own decimals."""
    if one is None or other is None or abs(one - other) > (_unit(one) + _unit(other)) / 2:
        raise PageError(f"{what}: {one} and {other}")
    page.checked += 1


def _length_of(page: Page, numbers: Sequence[Decimal], length: Decimal, what: str) -> None:
    """The length of a vector of printed numbers, each of which is off by half a unit at most."""
    page.checked += 1
    computed = sum((one * one for one in numbers), Decimal(0)).sqrt()
    off = Decimal(len(numbers)).sqrt() * _unit(numbers[0]) / 2
    if abs(computed - length) > off + _unit(length) + Decimal(page.rounding) * computed:
        raise PageError(f"{what}: {computed} is printed as {length}")


def _count(text: str) -> int:
    return int(text.replace(",", ""))


def _follows(
    page: Page,
    result: Decimal,
    operands: Sequence[Decimal],
    formula: Callable[..., Decimal],
    what: str,
    remainder: Decimal | None = None,
) -> None:
    """The formula gives the result to one unit of its last digit, with the remainder where one is printed."""
    page.checked += 1
    computed = formula(*operands)
    off = abs(result - computed - (remainder or 0))
    if off > _unit(result):
        raise PageError(f"{what}: {computed} is printed as {result}, remainder {remainder}")
    if remainder is None:
        return
    size = max(Decimal(1), *map(abs, (result, *operands)))
    bound = 2 * _unit(result) + Decimal(page.rounding) * size
    if abs(remainder) > bound:
        raise PageError(f"{what}: the remainder {remainder} is more than rounding explains, {bound}")


def _sums(
    page: Page,
    terms: Sequence[Decimal],
    rounding: Decimal,
    total: Decimal,
    what: str,
    count: int = 0,
) -> None:
    """The terms and the remainder are the total exactly, and the remainder is what rounding explains.

    `count`: how many terms there are if some stand in one line; their roundings add up at random.
    """
    longer = Decimal(max(1.0, math.sqrt(count) / 8))
    page.checked += 1
    if sum(terms, rounding) != total:
        raise PageError(f"{what}: {sum(terms, rounding)} is printed as {total}")
    size = max(Decimal(1), abs(total), sum(map(abs, terms), Decimal(0)))
    bound = _unit(total) * (len(terms) + 1) / 2 + Decimal(page.rounding) * size * longer
    if abs(rounding) > bound:
        raise PageError(f"{what}: the remainder {rounding} is more than rounding explains, {bound}")


def _float(function: Callable[[float], float], value: Decimal) -> Decimal:
    """A function of the standard library, right to 16 digits; the page has at most 12 decimals."""
    return Decimal(function(float(value)))


def _tanh(value: Decimal) -> Decimal:
    grown, shrunk = value.exp(), (-value).exp()
    return (grown - shrunk) / (grown + shrunk)


# Sentences


def _read_sentence(page: Page, line: str) -> None:
    page.texts.append(line)
    for pattern, read in _SENTENCES.items():
        found = re.search(pattern, line)
        if found:
            read(page, found)
            return
    if re.search(r"\d\.\d", re.sub(r'"[^"]*"', "", line)):
        raise PageError(f"a sentence with a number that cannot be read: {line}")


def _title(page: Page, found: re.Match[str]) -> None:
    page.query, page.key = int(found[1]), int(found[2])
    page.is_hidden = not found[3]
    if found[3]:
        page.title_weight = Decimal(found[3])


def _opening(page: Page, found: re.Match[str]) -> None:
    if page.section or page.head >= 0:
        raise PageError("the head is named twice")
    page.layer, page.head = int(found[2]), int(found[3])
    page.kind = "cross" if found[1] != "Head" else found[4] or "self"
    if found[4] and found[1] != "Head":
        raise PageError(found[0])


def _sizes(page: Page, found: re.Match[str]) -> None:
    page.width, page.size = _count(found[1]), _count(found[3])
    if (int(found[2]), int(found[4])) != (page.query, page.key):
        raise PageError(f"the x of {found[2]} and of {found[4]}")
    if ("for the query it comes from the decoder" in found[0]) != (page.kind == "cross"):
        raise PageError(f"x in attention of the kind {page.kind}: {found[0]}")


def _place(page: Page, found: re.Match[str]) -> None:
    first, last, rows = (_count(each) for each in found.groups())
    if last - first + 1 != page.size or last >= rows or first % page.size:
        raise PageError(f"outputs {first} to {last} of {rows} for {page.size} features")


def _section(page: Page, found: re.Match[str]) -> None:
    if page.side is not None:
        _finish(page)
    if int(found[1]) != page.section + 1:
        raise PageError(f"section {found[1]} follows {page.section}")
    page.section = int(found[1])


def _begin_side(page: Page, found: re.Match[str]) -> None:
    if page.side is not None:
        _finish(page)
    letter = {"query": "q", "key": "k", "value": "v"}[found[1]]
    position = int(found[2])
    if letter == "v":
        _begin_value(page, position)
    elif position != (page.query if letter == "q" else page.key):
        raise PageError(f"the {found[1]} is that of position {position}")
    page.side = Side(letter, position)


def _begin_value(page: Page, position: int) -> None:
    """It is that of the key, or of one with the largest weight where the key is hidden."""
    page.value_key = position
    weights = {place: numbers["weight"] for place, numbers in _keys_of_row(page).items()}
    if page.is_hidden and weights:
        if weights.get(position) != max(weights.values()):
            raise PageError(f"the weight of {position} is not the largest")
    elif not page.is_hidden and position != page.key:
        raise PageError(f"the value is that of position {position}")


def _keys_of_row(page: Page) -> dict[int, dict[str, Decimal]]:
    """The listed keys by their positions."""
    found = {re.match(r"\d+(?= |$)", label): numbers for label, numbers in page.row.items()}
    return {int(place[0]): numbers for place, numbers in found.items() if place}


def _finish(page: Page) -> None:
    """The feature is made: nothing that was announced is missing."""
    side = page.side
    assert side is not None
    name = re.fullmatch(r"([qkv]\[\d+\])", side.name)
    if name is None or side.value is None or side.letter != side.name[0]:
        raise PageError(f"unfinished: {side.name}")
    if page.biases.get(side.letter, side.has_bias) != side.has_bias:
        raise PageError(f"the formula of {side.letter}, and whether it has a bias: {side.has_bias}")
    if side.position in page.every.get(side.letter, {}):
        own = page.every[side.letter][side.position][int(name[1][2:-1])]
        _same(page, side.value, own, f"{name[1]} of {side.position}")
    page.features[name[1]] = side.value
    page.side = None


def _vector(page: Page, found: re.Match[str]) -> None:
    page.expected = f"vector {found[1]} {found[2]}"


def _normed(page: Page, _found: re.Match[str]) -> None:
    assert page.side is not None
    if not page.side.name.endswith(" before QK-norm"):
        raise PageError(f"a norm of {page.side.name}")


def _pair(page: Page, found: re.Match[str]) -> None:
    side = page.side
    assert side is not None
    feature = int(re.sub(r"\D", "", side.name.split("]")[0]))
    if feature not in {int(found[1]), int(found[2])} or int(found[4]) not in {int(found[1]), int(found[2])}:
        raise PageError(f"the pair of {side.name} is {found[1]} and {found[2]}")
    if int(found[4]) == feature:
        raise PageError("a feature is its own partner")
    page.stages["frequency"], side.partner = Decimal(found[3]), Decimal(found[5])


def _root(page: Page, found: re.Match[str]) -> None:
    size, root = int(found[1]), Decimal(found[3])
    _follows(page, root, [Decimal(found[2])], Decimal.sqrt, "the root")
    if size != int(found[2]):
        raise PageError(f"√{found[2]} for {size} features")
    page.stages["root"] = root
    page.expected = "scale"


def _scale(page: Page, _found: re.Match[str]) -> None:
    page.expected = "scale"


def _cap(page: Page, found: re.Match[str]) -> None:
    _same(page, Decimal(found[1]), Decimal(found[2]), "the cap")
    page.expected = "cap"


def _alibi(page: Page, found: re.Match[str]) -> None:
    page.stages["slope"] = Decimal(found[1])
    page.expected = "alibi"


def _bucket(page: Page, found: re.Match[str]) -> None:
    if int(found[1]) != page.key - page.query:
        raise PageError(f"the distance is {page.key - page.query}, not {found[1]}")
    if not 0 <= int(found[2]) < int(found[3]):
        raise PageError(f"there is no bucket {found[2]} of {found[3]}")
    page.stages["bias"] = Decimal(found[4])
    page.expected = "bias"


def _some_bias(page: Page, found: re.Match[str]) -> None:
    page.stages["bias"] = Decimal(found[1])
    page.expected = "bias"


def _deberta(page: Page, found: re.Match[str]) -> None:
    if int(found[1]) != page.query - page.key:
        raise PageError(f"the distance is {page.query - page.key}, not {found[1]}")
    page.expected = "deberta"


def _largest(page: Page, found: re.Match[str]) -> None:
    page.largest = Decimal(found[1])


def _seen(page: Page, found: re.Match[str]) -> None:
    """How many keys the query may look at, and the rule, which bounds how many that are."""
    page.seen, page.keys = _count(found[1]), _count(found[2])
    rule, later = found[3], page.keys - page.query - 1
    if page.is_hidden or page.seen >= page.keys:
        raise PageError(found[0])
    if rule == ": it is causal, so later keys are hidden":
        _is(page, page.seen, page.query + 1, "keys that are not later")
    elif rule.startswith(": it is causal and has a window") and not (later and page.seen <= page.query):
        raise PageError(f"{page.seen} of {page.keys} keys of query {page.query}{rule}")
    elif rule == ": keys that are too far back are outside the window" and page.seen >= page.query + 1:
        raise PageError(f"{page.seen} keys of query {page.query}{rule}")


def _is(page: Page, one: int, other: int, what: str) -> None:
    page.checked += 1
    if one != other:
        raise PageError(f"{what}: {one} and {other}")


def _all_seen(page: Page, _found: re.Match[str]) -> None:
    if page.is_hidden:
        raise PageError("a mask that hides no key hides this one")


def _hidden(page: Page, found: re.Match[str]) -> None:
    """Why the key is hidden: it comes later, or its distance is more than the window."""
    if not page.is_hidden:
        raise PageError(found[0])
    later = re.search(r"it comes after the query \((\d+) > (\d+)\)", found[0])
    if later:
        _is(page, int(later[1]), page.key, "the key")
        _is(page, int(later[2]), page.query, "the query")
        _is(page, max(page.key, page.query + 1), page.key, "a key that comes later")
    far = re.search(rf"it is ({_COUNT}) tokens? (?:back|away), and .*? ({_COUNT})", found[0])
    if far:
        _is(page, _count(far[1]), abs(page.query - page.key), "the distance")
        _is(page, max(_count(far[1]), _count(far[2])), _count(far[1]), "a distance outside the window")


def _hidden_keys(page: Page, found: re.Match[str]) -> None:
    if page.keys is not None and page.seen is not None:
        _is(page, _count(found[1]), page.keys - page.seen, "the hidden keys")


def _length(page: Page, found: re.Match[str]) -> None:
    page.length = Decimal(found[1])
    page.others_length = Decimal(found[2]) if found[2] else None
    page.has_output_bias = bool(found[3])
    if page.written:
        _length_of(page, page.written, page.length, "the length of what the head writes")


def _hidden_closing(page: Page, found: re.Match[str]) -> None:
    """The largest weight of a row whose key is hidden, and whose it is."""
    if not page.is_hidden:
        raise PageError(found[0])
    if page.value_key >= 0:
        _is(page, int(found[2]), page.value_key, "the key whose value is made")
    row = _keys_of_row(page)
    if row:
        _near(page, Decimal(found[1]), row[int(found[2])]["weight"], "the largest weight")


def _own_weight(page: Page, found: re.Match[str]) -> None:
    _same(page, Decimal(found[1]), page.title_weight, "the weight in one sentence")


def _table_of(what: str) -> Callable[[Page, re.Match[str]], None]:
    def read(page: Page, found: re.Match[str]) -> None:
        page.expected = what.format(*found.groups())

    return read


def _whole(page: Page, found: re.Match[str]) -> None:
    side = page.side
    if side is None or side.letter != found[2] or side.letter.upper() != found[1]:
        raise PageError(found[0])
    side.has_bias = bool(found[3])
    page.expected = "whole"


def _closing(page: Page, found: re.Match[str]) -> None:
    """exp(own - other) = times, of the two logits before."""
    weight, own, other, upper, lower, times = (_number(each) for each in found.groups())
    _same(page, weight, page.title_weight, "the weight in one sentence")
    if {upper, lower} != {own, other}:
        raise PageError(f"exp({upper} - {lower}) of {own} and {other}")
    _follows(page, times, [upper, lower], lambda a, b: (a - b).exp(), "the ratio of two weights")
    if page.score is not None:
        _same(page, own, page.score, "the logit of the key")


_SENTENCES: Mapping[str, Callable[[Page, re.Match[str]], None]] = {
    rf"^Why does {_NAMED} look at {_NAMED} with weight ({_N})\?$": _title,
    rf"^Why does {_NAMED} not look at {_NAMED}()\?$": _title,
    r"^(Head|Cross-attention head) (\d+)\.(\d+)(?: of the (encoder|decoder))? of .*\. Each result follows"
    r" from the digits printed above it; what rounding leaves over is printed too\. Numbers of other tokens"
    r" come about in the same way\.$": _opening,
    r"^([1-5])\. [A-Z]": _section,
    rf"^The layer receives a vector x of ({_COUNT}) numbers for each token(?:[,:] [a-z' -]+(?:, [a-z' -]+)?)?"
    rf"\. W\^Q turns the x of {_NAMED} into a query of ({_COUNT}) features?, and W\^K turns the x of {_NAMED}"
    r" into a key of the same size\.$": _sizes,
    rf"^W\^[QK] of this head(?:: outputs| is cut out of one matrix for queries, keys and values: outputs)"
    rf" ({_COUNT}) to ({_COUNT}) of the ({_COUNT}) of ": _place,
    r"^x of every token:$": _table_of("every x"),
    r"^The (key|value)s of all tokens, (likewise|after .*):$": _table_of("every {0} {1}"),
    r"^q·k with every key, and the score that the scale makes of it:$": _table_of("every score"),
    r"^W\^([QKV]) with x: each number of ([qkv]) is the dot product of x and its column(, plus b)?:$": _whole,
    r"^This head's columns of W\^O: each output is the dot product of a and its row:$": _table_of("whole o"),
    rf"^The (query|key|value) of {_NAMED}:$": _begin_side,
    rf"^(\S+), all ({_COUNT}) numbers:$": _vector,
    r"^QK-norm ": _normed,
    rf"^RoPE rotates the pair of features (\d+) and (\d+) by position × ({_N}) radians; the other feature of"
    rf" the pair is [qk]\[(\d+)\](?: before RoPE)? = ({_N})\.$": _pair,
    rf"^The score is q·k ÷ √d_k, with d_k = ({_COUNT}) features? and √(\d+) = ({_N}):$": _root,
    r"^This model (?:multiplies q·k by|does not divide)": _scale,
    rf"^A soft cap keeps the score between -({_N}) and ({_N}):$": _cap,
    rf"^ALiBi adds the head's slope ({_N}) ": _alibi,
    rf"^The distance from the query to the key is (-?\d+), which is in bucket (\d+) of (\d+); for it"
    rf" this head has learned a bias of ({_N}):$": _bucket,
    rf"^The model adds ({_N}) for the positions": _some_bias,
    r"^DeBERTa adds products with embeddings of the distance, (-?\d+) \(row \d+ of \d+\)": _deberta,
    rf"^The largest logit of the row is ({_N})\. ": _largest,
    rf"^The mask lets this query look at ({_COUNT}) of ({_COUNT}) keys, including this one"
    r"(|: it is causal, so later keys are hidden|: it is causal and has a window, so later keys and those too"
    r" far back are hidden|: keys that are too far (?:back|away) are outside the window)\.$": _seen,
    r"^The mask hides no key": _all_seen,
    r"^The mask hides this key: .*\. So its logit is -∞ and its weight 0\.$": _hidden,
    rf"^The mask hides ({_COUNT}) keys?: exp\(-∞\) = 0": _hidden_keys,
    rf"^What this head writes has length ({_N})(?: \(the residual stream at this token has length {_N}\))?"
    rf"(?:; the other heads together write ({_N}))?\. All heads( and the bias of W\^O)? add up to the layer's"
    r" output, number by number \(lengths do not\):$": _length,
    rf"^{_NAMED} puts (?:only )?({_N}) of its weight on .* its logit {_N} is (?:above|below) the {_N} of"
    rf" .* exp\({_N} - {_P}\) = {_N} times as much weight": lambda page, found: _closing(
        page, _without_tokens(found)
    ),
    rf"^\".*\" \(\d+\) puts (?:only )?({_N}) of its weight on .* (?:more|less) than ": _own_weight,
    rf"^\".*\" \(\d+\) puts ({_N}) of its weight on .*, the only key it may look at\.$": _own_weight,
    rf"^\".*\" \(\d+\) puts ({_N}) of its weight on .*; of the other keys": _own_weight,
    r"^\".*\" \(\d+\) gives .* no weight because the mask hides it; its largest weight,"
    rf" ({_N}), goes to {_NAMED}\.$": _hidden_closing,
}


def _without_tokens(found: re.Match[str]) -> re.Match[str]:
    """The same sentence, with groups for its numbers alone."""
    again = re.search(
        rf"puts (?:only )?({_N}) of its weight on .* its logit ({_N}) is (?:above|below) the ({_N}) of .*"
        rf" exp\(({_N}) - ({_P})\) = ({_N}) times as much weight",
        found[0],
    )
    assert again is not None
    return again


# Equations


def _read_equation(page: Page, line: str) -> None:
    text, remainder = line, None
    found = re.fullmatch(r"(.*?)  \(([+-]) (\d+(?:\.\d+)?) by rounding\)", line)
    if found:
        text = found[1]
        remainder = Decimal(found[2] + found[3])
    for pattern, read in _EQUATIONS.items():
        match = re.fullmatch(pattern, text)
        if match and read(page, match, remainder):
            return
    if re.search(r"\d\.\d|\d = ", text):
        raise PageError(f"an equation that cannot be read: {line}")


def _formula(page: Page, found: re.Match[str], _remainder: Decimal | None) -> bool:
    page.biases = {"q": bool(found[1]), "k": bool(found[2])}
    return True


def _norm_equation(page: Page, found: re.Match[str], remainder: Decimal | None) -> bool:
    side = page.side
    if side is None or not side.name.endswith(" before QK-norm"):
        return False
    before, divisor = found[1] or found[3], _number(found[4])
    mean, shift = _number(found[2] or "0"), _number(found[6] or "0")
    result = _number(found[7])
    _same(page, _number(before), side.value, side.name)
    _follows(
        page,
        result,
        [_number(before), mean, divisor, _number(found[5]), shift],
        lambda x, less, by, gain, more: (x - less) / by * gain + more,
        "QK-norm",
        remainder,
    )
    side.value, side.name = result, side.name.removesuffix(" before QK-norm")
    return True


def _angle(page: Page, found: re.Match[str], remainder: Decimal | None) -> bool:
    side = page.side
    if side is None:
        return False
    position, frequency, angle = Decimal(found[1].replace(",", "")), Decimal(found[2]), Decimal(found[3])
    if int(position) != side.position:
        raise PageError(f"position {position} of a token at {side.position}")
    _same(page, frequency, page.stages.pop("frequency"), "the frequency")
    _follows(page, angle, [position, frequency], lambda one, by: one * by, "the angle", remainder)
    side.angle = angle
    return True


def _circle(page: Page, found: re.Match[str], remainder: Decimal | None) -> bool:
    side = page.side
    assert side is not None
    gain, angle, result = Decimal(found[1] or 1), Decimal(found[3]), Decimal(found[4])
    _same(page, angle, side.angle, "the angle")
    function = math.cos if found[2] == "cos" else math.sin

    def formula(times: Decimal, of: Decimal) -> Decimal:
        return times * _float(function, of)

    _follows(page, result, [gain, angle], formula, found[2], remainder)
    if found[2] == "cos":
        side.cosine = result
    else:
        side.sine = result
    return True


def _turn(page: Page, found: re.Match[str], remainder: Decimal | None) -> bool:
    side = page.side
    assert side is not None
    own, cosine, other, sine, result = (_number(found[place]) for place in (1, 2, 4, 5, 6))
    _same(page, own, side.value, side.name)
    _same(page, cosine, side.cosine, "the cosine")
    _same(page, sine, side.sine, "the sine")
    _same(page, other, side.partner, "the other feature of the pair")
    by = Decimal(f"{found[3]}1")
    _follows(
        page,
        result,
        [own, cosine, other, sine],
        lambda a, cos, b, sin: a * cos + by * b * sin,
        "RoPE",
        remainder,
    )
    side.value, side.name = result, side.name.split("]")[0] + "]"
    return True


def _divided(page: Page, found: re.Match[str], remainder: Decimal | None) -> bool:
    _expect(page, "scale")
    dot, size, result = Decimal(found[1]), Decimal(found[2]), Decimal(found[3])
    _same(page, dot, page.score, "q·k")
    _follows(page, result, [dot, size], lambda one, by: one / by.sqrt(), "the score", remainder)
    if remainder is None:
        root = page.stages["root"]
        _follows(page, result, [dot, root], lambda one, by: one / by, "the score by the printed root")
    page.score = page.stages["score"] = result
    return True


def _scaled(page: Page, found: re.Match[str], remainder: Decimal | None) -> bool:
    if page.side is not None or page.expected != "scale":
        return False
    _expect(page, "scale")
    dot, scale, result = Decimal(found[1]), _number(found[2]), Decimal(found[3])
    _same(page, dot, page.score, "q·k")
    _follows(page, result, [dot, scale], lambda one, by: one * by, "the score", remainder)
    page.stages["scale"] = scale
    page.score = page.stages["score"] = result
    return True


def _expect(page: Page, what: str) -> None:
    if page.expected != what:
        raise PageError(f"{what} follows {page.expected!r}")
    page.expected = ""


def _capped(page: Page, found: re.Match[str], remainder: Decimal | None) -> bool:
    _expect(page, "cap")
    cap, score, again, result = (Decimal(each) for each in found.groups())
    _same(page, cap, again, "the cap")
    _same(page, score, page.score, "the score")
    _follows(page, result, [score, cap], lambda s, c: c * _tanh(s / c), "the soft cap", remainder)
    page.score = page.stages["softcapped"] = result
    return True


def _sloped(page: Page, found: re.Match[str], remainder: Decimal | None) -> bool:
    if page.expected != "alibi":
        return False
    slope, key, result = Decimal(found[1]), Decimal(found[2].replace(",", "")), Decimal(found[3])
    _same(page, slope, page.stages["slope"], "the slope")
    if int(key) != page.key:
        raise PageError(f"the slope times {key}")
    _follows(page, result, [slope, key], lambda one, by: one * by, "ALiBi", remainder)
    page.stages["bias"], page.expected = result, "bias"
    return True


def _disentangled(page: Page, found: re.Match[str], remainder: Decimal | None) -> bool:
    if page.expected != "deberta":
        return False
    terms = [_number(each) for each in (found[1], found[2] or "0")]
    scale, result = Decimal(found[3]), Decimal(found[4])
    _follows(page, result, [*terms, scale], lambda a, b, by: (a + b) * by, "DeBERTa's bias", remainder)
    page.stages["bias"], page.expected = result, "bias"
    return True


def _biased(page: Page, found: re.Match[str], remainder: Decimal | None) -> bool:
    if page.expected != "bias":
        return False
    before, bias, result = Decimal(found[1]), _number(found[2]), Decimal(found[3])
    _same(page, before, page.score, "what the bias is added to")
    _same(page, bias, page.stages["bias"], "the bias")
    _sums(page, [before, bias], remainder or Decimal(0), result, "the sum with the bias")
    page.score, page.expected = result, ""
    return True


def _logit(page: Page, found: re.Match[str], remainder: Decimal | None) -> bool:
    if remainder is not None or page.expected:
        raise PageError(f"a logit after {page.expected!r}, remainder {remainder}")
    _same(page, Decimal(found[1]), page.score, "the logit")
    page.stages["logit"] = Decimal(found[1])
    return True


_Equation = Callable[[Page, re.Match[str], Decimal | None], bool]
_EQUATIONS: Mapping[str, _Equation] = {
    r"q = W\^Q x( \+ b)?,  k = W\^K x( \+ b)?": _formula,
    rf"(?:\(({_N}) - ({_P})\)|({_N})) ÷ ({_N}) × ({_P})(?: \+ ({_P}))? = ({_N})": _norm_equation,
    rf"(?:({_N}) × )?(cos|sin) ({_N}) = ({_N})": _circle,
    rf"({_N}) × ({_P}) ([-+]) ({_P}) × ({_P}) = ({_N})": _turn,
    rf"({_N}) ÷ √(\d+) = ({_N})": _divided,
    rf"({_N}) × tanh\(({_N}) ÷ ({_N})\) = ({_N})": _capped,
    rf"({_COUNT}) × ({_N}) = ({_N})": _angle,
    rf"({_N}) × ({_P}) = ({_N})": _scaled,
    rf"({_N}) × ({_COUNT}) = ({_N})": _sloped,
    rf"\(({_N}) \+ ({_P})\) × ({_N}) = ({_N})": _disentangled,
    rf"({_P})() × ({_N}) = ({_N})": _disentangled,
    rf"({_N}) \+ ({_P}) = ({_N})": _biased,
    rf"logit = ({_N})": _logit,
}


# Tables


def _heads(line: str) -> list[tuple[str, int]] | None:
    """The headings of a table with the cells in which they end, if the line has headings."""
    known = (
        r"(?:feature of x +x +W\^[QKV]|feature +query +key|key +weight +v\[\d+\]|feature of a +a +W\^O)"
        r" +product( +rounding)?|key +logit +exp( +rounding)? +weight( +rounding)?"
        r"| +length +o\[\d+\]|key +weight"
        r"| +x( +\d+)+( +rounding)?|( +\d+)+ +o( +rounding)?"
        r"| +\+0 +\+1 +\+2 +\+3 +\+4 +\+5 +\+6 +\+7| +0( +\d+)*| +q·k +score"
    )
    if not re.fullmatch(known, line):
        return None
    return [(found[0], found.end()) for found in re.finditer(r"\S+(?: \S+)*", line)]


def _rows(heads: Sequence[tuple[str, int]], lines: Sequence[str]) -> Iterator[Line]:
    """The rows of a table whose numbers end where their headings end."""
    ends = heads[1:] if heads[0][0] in {"key", "feature", "feature of x", "feature of a"} else heads
    names = [
        f"rounding of {ends[place - 1][0]}" if name == "rounding" else name
        for place, (name, _) in enumerate(ends)
    ]
    for line in lines:
        cells = _cells(line)
        first = "".join(cells[: ends[0][1]])
        found = re.fullmatch(rf"(.*?)(?:^|\s)({_N})", first)
        label = (found[1] if found else first).strip()
        numbers = {names[0]: Decimal(found[2])} if found else {}
        for name, ((_, left), (_, right)) in zip(names[1:], pairwise(ends), strict=True):
            text = "".join(cells[left:right]).strip()
            if text:
                numbers[name] = Decimal(text)
        yield Line(label, numbers)


def _cells(line: str) -> list[str]:
    """A string for each cell of a terminal; a wide character takes two, of which the second is empty."""
    cells: list[str] = []
    for letter in line:
        width = cell_len(letter)
        if not width and cells:
            cells[-1] += letter
        else:
            cells += [letter, *[""] * (width - 1)]
    return cells


def _read_table(page: Page, heads: list[tuple[str, int]], lines: Sequence[str]) -> None:
    rows = list(_rows(heads, lines[1:]))
    names = [name for name, _ in heads if name != "rounding"]
    announced = _ANNOUNCED.get(names[-1] if names[-1] == "o" else names[0])
    if announced is not None:
        expected, read = announced
        _expect(page, expected)
        read(page, rows)
    elif names[0] == "feature of x":
        _projection_table(page, names[2], rows)
    elif names[0] == "feature":
        _dot_table(page, rows)
    elif names[:2] == ["key", "logit"]:
        _softmax_table(page, rows)
    elif names == ["key", "weight"]:
        page.row |= {row.label: row.numbers for row in rows}
    elif names[0] == "key":
        _value_table(page, names[2], rows)
    elif names[0] == "feature of a":
        _output_table(page, rows)
    elif names[0] == "length":
        _heads_table(page, names[1], rows)
    else:
        _named_table(page, names[0], rows)


def _named_table(page: Page, first: str, rows: Sequence[Line]) -> None:
    """A vector, or a vector of every token: the sentence before says which."""
    if first == "+0" and page.expected.startswith("vector "):
        _vector_table(page, rows)
    elif first == "0" and page.expected.startswith("every "):
        _every_token(page, rows)
    else:
        raise PageError(f"a table from {first} on follows {page.expected!r}")


def _vector_table(page: Page, rows: Sequence[Line]) -> None:
    """Eight numbers a line; each line says the index of its first."""
    _, name, count = page.expected.split(" ")
    numbers: list[Decimal] = []
    for row in rows:
        _is(page, int(row.label), len(numbers), f"the index of a line of {name}")
        if len(numbers) % 8 or [*row.numbers] != [f"+{one}" for one in range(len(row.numbers))]:
            raise PageError(f"a line of {name}: {row}")
        numbers += row.numbers.values()
    _is(page, len(numbers), _count(count), f"the numbers of {name}")
    if name in page.vectors:
        raise PageError(f"{name} is printed twice")
    page.vectors[name], page.expected = numbers, ""


def _every_token(page: Page, rows: Sequence[Line]) -> None:
    """x, the key or the value of every token; those follow from x unless something else is said."""
    what, how = f"{page.expected} ".split(" ", 2)[1:]
    page.expected, letter = "", what[0]
    of_all = page.every[letter] = {}
    for row, rounding in _with_rounding(rows):
        place = len(of_all)
        if not re.match(rf"{place}( |$)", row.label):
            raise PageError(f"{row.label} is token {place}")
        of_all[place] = [*row.numbers.values()]
        if letter != "x" and how.strip() == "likewise":
            _from_x(page, letter, place, rounding)
    for numbers in of_all.values():
        _is(page, len(numbers), page.width if letter == "x" else len(of_all[0]), f"numbers of {what}")
    if letter != "x":
        _is(page, len(of_all), len(page.every["x"]), f"the {what}s")
        _own_row(page, letter, how.strip())


def _with_rounding(rows: Sequence[Line]) -> Iterator[tuple[Line, dict[str, Decimal]]]:
    """Each row with the remainders of the row below it."""
    for place, row in enumerate(rows):
        if row.label != "rounding":
            after = rows[place + 1] if place + 1 < len(rows) else None
            yield row, after.numbers if after is not None and after.label == "rounding" else {}
        elif not place or rows[place - 1].label == "rounding":
            raise PageError("remainders of nothing")


def _from_x(page: Page, letter: str, place: int, rounding: Mapping[str, Decimal]) -> None:
    x, matrix = page.every["x"][place], page.matrices[letter]
    for one, value in enumerate(page.every[letter][place]):
        operands = [*x, *matrix.of(one)]
        _follows(page, value, operands, _projected, f"{letter}[{one}] of {place}", rounding.get(str(one)))


def _own_row(page: Page, letter: str, how: str) -> None:
    """The row of the token whose key or value was made above is the same as there."""
    side = page.side
    if side is None or side.letter != letter:
        raise PageError(f"all {letter} while {side} is made")
    for one, value in enumerate(page.every[letter][side.position]):
        if how == "likewise":
            _same(page, value, page.matrices[letter].results[one], f"{letter}[{one}] of {side.position}")


def _every_score(page: Page, rows: Sequence[Line]) -> None:
    """q·k of every key, and the score, by the root or the scale that the sentence before has."""
    query = [page.products[one][0] for one in range(page.size)]
    for place, (row, rounding) in enumerate(_with_rounding(rows)):
        if not re.match(rf"{place}( |$)", row.label):
            raise PageError(f"{row.label} is token {place}")
        key, product, score = page.every["k"][place], row.numbers["q·k"], row.numbers["score"]
        _follows(page, product, [*query, *key], _projected, f"q·k of {place}", rounding.get("q·k"))
        _follows(page, score, [product], _scaling(page), f"the score of {place}", rounding.get("score"))
        page.scores[place] = score
        if place == page.key:
            _same(page, product, page.stages["dot"], "q·k of the key")
            _same(page, score, page.stages["score"], "the score of the key")
    _is(page, len(page.scores), len(page.every["k"]), "the scores")


def _scaling(page: Page) -> Callable[[Decimal], Decimal]:
    scale = page.stages.get("scale")
    if scale is not None:
        return lambda one: one * scale
    return lambda one: one / Decimal(page.size).sqrt()


def _split_total(rows: Sequence[Line]) -> tuple[list[Line], dict[str, Decimal], Line]:
    """The terms of a sum, the remainder of each column, and the total."""
    *terms, total = rows
    rounding: dict[str, Decimal] = {}
    if terms and terms[-1].label == "rounding":
        rounding = terms.pop().numbers
    return terms, rounding, total


def _product_rows(page: Page, rows: Sequence[Line], left: str, right: str) -> Line:
    """Every row is left × right, and the products add up to the total."""
    terms, rounding, total = _split_total(rows)
    for row in terms:
        if left in row.numbers:
            factors = [row.numbers[left], row.numbers[right]]
            _follows(
                page,
                row.numbers["product"],
                factors,
                lambda a, b: a * b,
                f"the product of {row.label}",
                _left(row),
            )
    products = [row.numbers["product"] for row in terms]
    zero = Decimal(0)
    others = re.findall(rf"^the other ({_COUNT})", "\n".join(row.label for row in terms), re.MULTILINE)
    count = len(terms) + sum(int(other.replace(",", "")) for other in others)
    what = f"the sum {total.label}"
    _sums(page, products, rounding.get("product", zero), total.numbers["product"], what, count)
    return total


def _left(row: Line) -> Decimal | None:
    return row.numbers.get("rounding of product")


def _check_vectors(page: Page, rows: Sequence[Line], left: str, right: str, total: Line) -> None:
    """Where both vectors are printed, the listed numbers stand in them, and the rest is theirs."""
    matrix = right + re.sub(r"^.*?(\[\d+\]).*$", r"\1", total.label)
    if not page.vectors:
        return
    if {*page.vectors} != {left, matrix}:
        raise PageError(f"{[*page.vectors]} before {total.label}")
    lefts, rights = page.vectors.pop(left), page.vectors.pop(matrix)
    listed = [row for row in rows if left in row.numbers]
    for row in listed:
        _same(page, row.numbers[left], lefts[int(row.label)], f"{left}[{row.label}]")
        _same(page, row.numbers[right], rights[int(row.label)], f"{matrix} at {row.label}")
    rest = set(range(len(lefts))) - {int(row.label) for row in listed}
    others = [row for row in rows if re.fullmatch(rf"the other {_COUNT}", row.label)]
    if bool(rest) != bool(others):
        raise PageError(f"the rest of {total.label}")
    for row in others:
        if int(row.label.split(" ")[-1].replace(",", "")) != len(rest):
            raise PageError(f"{row.label} are {len(rest)}")
        computed = sum((lefts[one] * rights[one] for one in rest), Decimal(0))
        _follows(
            page,
            row.numbers["product"],
            [computed],
            lambda one: one,
            f"{row.label} of {total.label}",
            _left(row),
        )


def _projection_table(page: Page, matrix: str, rows: Sequence[Line]) -> None:
    side = page.side
    if side is None or {"q": "W^Q", "k": "W^K", "v": "W^V"}[side.letter] != matrix:
        raise PageError(f"{matrix} of {side}")
    total = _product_rows(page, rows, "x", matrix)
    _check_vectors(page, rows, "x", matrix, total)
    for row in rows:
        if "x" in row.numbers:
            page.inputs[side.letter, side.position, int(row.label)] = row.numbers["x"]
    has_bias = any(row.label == "b" for row in rows)
    if side.letter in page.matrices:
        feature = int(re.findall(r"\d+", total.label)[0])
        own = page.matrices[side.letter].results[feature]
        _same(page, total.numbers["product"], own, f"{total.label} below the matrix")
        _is(page, has_bias, side.has_bias, "whether there is a bias")
    side.has_bias = has_bias
    side.name, side.value = total.label, total.numbers["product"]


def _dot_table(page: Page, rows: Sequence[Line]) -> None:
    total = _product_rows(page, rows, "query", "key")
    for row in rows:
        if "query" in row.numbers:
            one = int(row.label)
            page.products[one] = (row.numbers["query"], row.numbers["key"], row.numbers["product"])
    page.score = page.stages["dot"] = total.numbers["product"]
    for name, value in page.features.items():
        feature = int(name[2:-1])
        if feature in page.products and name[0] in "qk":
            _same(page, value, page.products[feature]["qk".index(name[0])], name)
    for feature, (_, of_key, _) in page.products.items():
        if "k" in page.every:
            own = page.every["k"][page.key][feature]
            _same(page, of_key, own, f"k[{feature}] of the key")


def _softmax_table(page: Page, rows: Sequence[Line]) -> None:
    terms, rounding, total = _split_total(rows)
    largest = page.largest
    if largest is None:
        raise PageError("the largest logit is not said")
    for row in terms:
        page.row[row.label] = row.numbers
        if "logit" in row.numbers:
            _follows(
                page,
                row.numbers["exp"],
                [row.numbers["logit"], largest],
                lambda one, less: (one - less).exp(),
                f"the exponential of {row.label}",
                row.numbers.get("rounding of exp"),
            )
        whole = [row.numbers["exp"], total.numbers["exp"]]
        left = row.numbers.get("rounding of weight")
        _follows(page, row.numbers["weight"], whole, lambda a, b: a / b, f"the weight of {row.label}", left)
    for name in ("exp", "weight"):
        column = [row.numbers[name] for row in terms]
        _sums(page, column, rounding.get(name, Decimal(0)), total.numbers[name], f"the total of {name}")
    if largest < max(row.numbers["logit"] for row in terms if "logit" in row.numbers):
        raise PageError("a logit is above the largest")
    page.total = total.numbers["exp"]
    _check_row(page, terms)


def _check_row(page: Page, terms: Sequence[Line]) -> None:
    """The row has as many keys as it says, and the key that the page is about."""
    others = [row.label for row in terms if row.label.startswith("the other ") and "logit" not in row.numbers]
    listed = sum(1 for row in terms if re.match(r"\d+ |\d+$", row.label))
    unlisted = sum(int(re.sub(r"\D", "", label) or 1) for label in others)  # "the other key" is one
    if page.seen is not None and listed + unlisted != page.seen:
        raise PageError(f"{listed} keys are listed and {unlisted} are not, of {page.seen}")
    own = [row for row in terms if re.match(rf"{page.key} |{page.key}$", row.label)]
    if own and page.score is not None:
        _same(page, own[0].numbers["logit"], page.score, "the logit in the row")
    if not page.stages.keys() & {"softcapped", "bias"}:
        for place, numbers in _keys_of_row(page).items():
            if place in page.scores:
                _same(page, numbers["logit"], page.scores[place], f"the logit of {place}")


def _value_table(page: Page, heading: str, rows: Sequence[Line]) -> None:
    if page.side is not None:
        _finish(page)
    total = _product_rows(page, rows, "weight", heading)
    for row in rows:
        if "weight" in row.numbers:
            position = int(row.label.split(" ")[0])
            page.values[position] = row.numbers[heading]
            if "v" in page.every:
                known = page.every["v"][position][int(heading[2:-1])]
                _same(page, row.numbers[heading], known, f"{heading} of {position}")
            if row.label in page.row:
                _same(
                    page, row.numbers["weight"], page.row[row.label]["weight"], f"the weight of {row.label}"
                )
    page.value_feature = int(heading[2:-1])
    if heading in page.features and page.value_key in page.values:
        _same(page, page.features[heading], page.values[page.value_key], heading)
    _named(total.label, "a", page.value_feature)
    page.contexts[page.value_feature] = total.numbers["product"]


def _named(label: str, letter: str, feature: int) -> None:
    if label != f"{letter}[{feature}]":
        raise PageError(f"{label} where {letter}[{feature}] is computed")


def _output_table(page: Page, rows: Sequence[Line]) -> None:
    total = _product_rows(page, rows, "a", "W^O")
    _check_vectors(page, rows, "a", "W^O", total)
    for row in rows:
        if "a" in row.numbers:
            feature = int(row.label)
            if feature in page.contexts:
                _same(page, row.numbers["a"], page.contexts[feature], f"a[{feature}]")
            page.contexts[feature] = row.numbers["a"]
    number = re.fullmatch(r"o\[(\d+)\]", total.label)
    assert number is not None
    page.outputs[int(number[1])] = total.numbers["product"]


def _heads_table(page: Page, heading: str, rows: Sequence[Line]) -> None:
    terms, rounding, total = _split_total(rows)
    feature = int(heading[2:-1])
    values = [row.numbers[heading] for row in terms]
    _sums(page, values, rounding.get(heading, Decimal(0)), total.numbers[heading], "the layer's output")
    if page.outputs[feature] not in values:
        raise PageError(f"{heading} = {page.outputs[feature]} is not among the heads")
    _lengths(page, {row.label: row.numbers["length"] for row in terms})
    page.stages["layer"] = total.numbers[heading]
    page.stages["layer feature"] = Decimal(feature)


def _lengths(page: Page, lengths: Mapping[str, Decimal]) -> None:
    """Those in the sentence before are those of the table."""
    _near(page, page.length, lengths[f"head {page.head}"], "the length of what the head writes")
    _is(page, "bias of W^O" in lengths, page.has_output_bias, "whether there is a bias of W^O")
    others = [
        length for label, length in lengths.items() if label not in {f"head {page.head}", "bias of W^O"}
    ]
    _is(page, bool(others), page.others_length is not None, "whether there are other heads")
    if len(others) == 1:
        _near(page, page.others_length, others[0], "the length of what the other head writes")


def _whole_projection(page: Page, rows: Sequence[Line]) -> None:
    """All of a head's W^T with x: every column of the matrix gives a feature."""
    lines, rounding, total = _split_total(rows)
    bias = lines.pop().numbers if lines[-1].label == "b" else {}
    assert page.side is not None
    _is(page, bool(bias), page.side.has_bias, "whether there is a bias")
    _is(page, len(lines), page.width, "the rows of the matrix")
    x = [row.numbers["x"] for row in lines]
    for name, result in total.numbers.items():
        column = [row.numbers[name] for row in lines]
        added = [bias[name]] if bias else []
        _follows(
            page,
            result,
            [*x, *column, *added],
            _projected,
            f"{total.label}[{name}]",
            rounding.get(name),
        )
    _same_x(page, x)
    columns = [[row.numbers[name] for row in lines] for name in total.numbers]
    page.matrices[page.side.letter] = Matrix(columns, [*bias.values()], [*total.numbers.values()])
    for place, row in enumerate(lines):
        _is(page, int(row.label), place, "a row of the matrix")
        page.inputs[page.side.letter, page.side.position, place] = row.numbers["x"]


def _same_x(page: Page, x: Sequence[Decimal]) -> None:
    """The x of a matrix is that of its token among all tokens; in cross-attention the query is elsewhere."""
    side = page.side
    assert side is not None
    if "x" not in page.every or (side.letter == "q" and page.kind == "cross"):
        return
    for own, other in zip(x, page.every["x"][side.position], strict=True):
        _near(page, own, other, f"x of {side.position}")


def _projected(*values: Decimal) -> Decimal:
    width = len(values) // 2
    pairs = zip(values[:width], values[width : 2 * width], strict=True)
    return sum((one * other for one, other in pairs), sum(values[2 * width :], Decimal(0)))


def _whole_output(page: Page, rows: Sequence[Line]) -> None:
    a, *lines = rows
    names = [name for name in a.numbers if name.isdigit()]
    context = [a.numbers[name] for name in names]
    for name in names:
        if int(name) in page.contexts:
            _same(page, a.numbers[name], page.contexts[int(name)], f"a[{name}]")
    for row in lines:
        matrix = [row.numbers[name] for name in names]
        left = row.numbers.get("rounding of o")
        _follows(page, row.numbers["o"], [*context, *matrix], _projected, row.label, left)
        page.written.append(row.numbers["o"])
        if row.label != f"o[{len(page.written) - 1}]":
            raise PageError(f"{row.label} is output {len(page.written) - 1}")


_ANNOUNCED: Mapping[str, tuple[str, Callable[[Page, Sequence[Line]], None]]] = {
    "x": ("whole", _whole_projection),
    "o": ("whole o", _whole_output),
    "q·k": ("every score", _every_score),
}
"""Tables that a sentence announces, by what is typical of their headings."""


# The JSON object


def agree(page: Page, explained: Mapping[str, Any]) -> None:
    """Every number of the page is that of the JSON object, rounded to the digits that are printed.

    Raises:
        PageError: one is another.
    """
    _are_numbers(page, explained)
    rows = {one["key"]: one for one in explained["row"]}
    for label, numbers in page.row.items():
        found = re.match(r"(\d+)(?: |$)", label)
        known = rows.get(int(found[1])) if found else None
        if known is None and label == "the learned sink":
            known = explained["sink"]
        for name, field_name in (("logit", "logit"), ("exp", "exponential"), ("weight", "weight")):
            if known is not None and name in numbers:
                _is_rounded(page, numbers[name], known[field_name], f"{name} of {label}")
    for feature, numbers_of in page.products.items():
        known = explained["features"][feature]
        for value, name in zip(numbers_of, ("query", "key", "product"), strict=True):
            _is_rounded(page, value, known[name], f"{name} of feature {feature}")
    for feature, value in page.contexts.items():
        _is_rounded(page, value, explained["context"][feature], f"a[{feature}]")
    for feature, value in page.outputs.items():
        _is_rounded(page, value, explained["output"][feature], f"o[{feature}]")
    if page.length is not None:
        length = math.sqrt(math.fsum(one * one for one in explained["output"]))
        _is_rounded(page, page.length, length, "the length of what the head writes", relative=1e-6)


def agree_with_steps(page: Page, steps: Mapping[str, Any], *, has_memory: bool) -> None:
    """The layer's input and the values are those of `attn inspect`; `has_memory`: keys are of another text.

    Raises:
        PageError: one is another.
    """
    for (letter, position, feature), value in page.inputs.items():
        if letter == "q" or not has_memory:
            _is_rounded(page, value, steps["input"][position][feature], f"x[{feature}] of {position}")
    for position, vector in page.every.get("x", {}).items():
        for feature, value in enumerate(vector if not has_memory else ()):
            _is_rounded(page, value, steps["input"][position][feature], f"x[{feature}] of {position}")
    for position, vector in page.every.get("v", {}).items():
        for feature, value in enumerate(vector):
            _is_rounded(page, value, steps["values"][position][feature], f"v[{feature}] of {position}")
    for position, value in page.values.items():
        known = steps["values"][position][page.value_feature]
        _is_rounded(page, value, known, f"v[{page.value_feature}] of {position}")


def _are_numbers(page: Page, explained: Mapping[str, Any]) -> None:
    _is_about(page, explained)
    if page.title_weight is not None:
        _is_rounded(page, page.title_weight, explained["weight"], "the weight in the title")
    for name in ("dot", "score", "softcapped", "bias", "logit", "scale"):
        value = page.stages.get(name)
        if value is not None:
            # JSON has the scale in the precision of the computation, as that of inspect
            _is_rounded(page, value, explained[name], name, relative=6e-8 if name == "scale" else 0.0)
    for name in ("largest", "total"):
        value = getattr(page, name)
        if value is not None:
            _is_rounded(page, value, explained[name], name)
    expected = ("softcapped", "bias", "dot", "score")
    for name in expected:
        if explained[name] is not None and name not in page.stages:
            raise PageError(f"{name} is not printed")


def _is_about(page: Page, explained: Mapping[str, Any]) -> None:
    """The page names the head and the tokens that the object has."""
    if (page.query, page.key) != (explained["query"], explained["key"]):
        raise PageError(f"query {page.query} and key {page.key}")
    if (page.kind, page.layer, page.head) != tuple(explained[name] for name in ("kind", "layer", "head")):
        raise PageError(f"head {page.layer}.{page.head} of the kind {page.kind}")
    if page.is_hidden != explained["masked"]:
        raise PageError(f"the key is hidden: {explained['masked']}")


def _is_rounded(page: Page, printed: Decimal, value: float, what: str, relative: float = 0.0) -> None:
    page.checked += 1
    bound = _unit(printed) / 2 * Decimal("1.000001") + Decimal(abs(value) * (relative + 1e-15))
    exact = (
        value,
        *(float(kind(value)) for kind in (np.float32, np.float16)),
    )  # JSON has the shortest digits
    if all(abs(printed - Decimal(one)) > bound for one in exact):
        raise PageError(f"{what} is {value}, printed {printed}")
