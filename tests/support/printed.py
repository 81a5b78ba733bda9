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


@dataclass
class Page:
    """What was read: every number that another line or the JSON object has too."""

    rounding: float
    checked: int = 0  # results that were computed again
    texts: list[str] = field(default_factory=list)
    title_weight: Decimal | None = None
    query: int = -1
    key: int = -1
    section: int = 0
    side: Side | None = None
    inputs: dict[tuple[str, int, int], Decimal] = field(default_factory=dict)  # side, position, feature
    vectors: dict[str, list[Decimal]] = field(default_factory=dict)
    features: dict[str, Decimal] = field(default_factory=dict)  # q[3], k[3], v[3] as they were made
    products: dict[int, tuple[Decimal, Decimal, Decimal]] = field(default_factory=dict)
    score: Decimal | None = None  # q·k, and what became of it so far
    stages: dict[str, Decimal] = field(default_factory=dict)  # dot, score, softcapped, bias, logit
    largest: Decimal | None = None
    row: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    total: Decimal | None = None
    seen: int | None = None
    values: dict[int, Decimal] = field(default_factory=dict)
    value_feature: int = -1
    contexts: dict[int, Decimal] = field(default_factory=dict)
    outputs: dict[int, Decimal] = field(default_factory=dict)
    length: Decimal | None = None
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
    if re.search(r"\d\.\d", re.sub(r'"[^"]*"', "", line)) and not line.startswith("Head "):
        raise PageError(f"a sentence with a number that cannot be read: {line}")


def _title(page: Page, found: re.Match[str]) -> None:
    page.query, page.key = int(found[1]), int(found[2])
    if found[3]:
        page.title_weight = Decimal(found[3])


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
    if position != (page.query if letter == "q" else page.key):
        raise PageError(f"the {found[1]} is that of position {position}")
    page.side = Side(letter, position)


def _finish(page: Page) -> None:
    """The feature is made: nothing that was announced is missing."""
    side = page.side
    assert side is not None
    name = re.fullmatch(r"([qkv]\[\d+\])", side.name)
    if name is None or side.value is None or side.letter != side.name[0]:
        raise PageError(f"unfinished: {side.name}")
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
    page.seen = int(found[1].replace(",", ""))


def _length(page: Page, found: re.Match[str]) -> None:
    page.length = Decimal(found[1])


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
    r"^([1-5])\. [A-Z]": _section,
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
    rf"^The mask lets this query look at ({_COUNT}) of {_COUNT} keys": _seen,
    rf"^What this head writes has length ({_N})[ ,;].* write {_N}\. ": _length,
    rf"^{_NAMED} puts (?:only )?({_N}) of its weight on .* its logit {_N} is (?:above|below) the {_N} of"
    rf" .* exp\({_N} - {_P}\) = {_N} times as much weight": lambda page, found: _closing(
        page, _without_tokens(found)
    ),
    rf"^{_NAMED} puts (?:only )?{_N} of its weight on .* (?:more|less) than ": lambda _page, _found: None,
    rf"^{_NAMED} puts {_N} of its weight on .*, the only key it may look at\.$": lambda _page, _found: None,
    rf"^{_NAMED} puts {_N} of its weight on .*; of the other keys": lambda _page, _found: None,
    rf"^{_NAMED} gives .* no weight because the mask hides it": lambda _page, _found: None,
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
    if page.expected.startswith("vector "):
        _read_vector(page, text)
        return
    for pattern, read in _EQUATIONS.items():
        match = re.fullmatch(pattern, text)
        if match and read(page, match, remainder):
            return
    if re.search(r"\d\.\d|\d = ", text):
        raise PageError(f"an equation that cannot be read: {line}")


def _read_vector(page: Page, line: str) -> None:
    _, name, count = page.expected.split(" ")
    page.vectors[name] = [Decimal(each) for each in line.split(" ")]
    if len(page.vectors[name]) != int(count.replace(",", "")):
        raise PageError(f"{name} has {len(page.vectors[name])} numbers, not {count}")
    page.expected = ""


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
    names = [name for name, _ in heads]
    if names[0] == "feature of x":
        _projection_table(page, names[2], rows)
    elif names[0] == "feature":
        _dot_table(page, rows)
    elif names[:2] == ["key", "logit"]:
        _softmax_table(page, rows)
    elif names[0] == "key" and len(names) > 2:
        _value_table(page, names[2], rows)
    elif names[0] == "feature of a":
        _output_table(page, rows)
    elif names[0] == "length":
        _heads_table(page, names[1], rows)
    elif names[0] == "x":
        _whole_projection(page, rows)
    elif names[-1] == "o" or names[-2:] == ["o", "rounding"]:
        _whole_output(page, rows)
    else:
        _weights_alone(page, rows)


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
    matrix = next((name for name in page.vectors if name.startswith(f"{right}[")), None)
    if left not in page.vectors or matrix is None:
        return
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


def _weights_alone(page: Page, rows: Sequence[Line]) -> None:
    for row in rows:
        page.row[row.label] = row.numbers


def _value_table(page: Page, heading: str, rows: Sequence[Line]) -> None:
    if page.side is not None:
        _finish(page)
    total = _product_rows(page, rows, "weight", heading)
    for row in rows:
        if "weight" in row.numbers:
            position = int(row.label.split(" ")[0])
            page.values[position] = row.numbers[heading]
            if row.label in page.row:
                _same(
                    page, row.numbers["weight"], page.row[row.label]["weight"], f"the weight of {row.label}"
                )
    page.value_feature = int(heading[2:-1])
    if heading in page.features and page.key in page.values:
        _same(page, page.features[heading], page.values[page.key], heading)
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
    page.stages["layer"] = total.numbers[heading]
    page.stages["layer feature"] = Decimal(feature)


def _whole_projection(page: Page, rows: Sequence[Line]) -> None:
    """All of a head's W^T with x: every column of the matrix gives a feature."""
    lines, rounding, total = _split_total(rows)
    bias = lines.pop().numbers if lines[-1].label == "b" else {}
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
    assert page.side is not None
    for row in lines:
        page.inputs[page.side.letter, page.side.position, int(row.label)] = row.numbers["x"]


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
    for position, value in page.values.items():
        known = steps["values"][position][page.value_feature]
        _is_rounded(page, value, known, f"v[{page.value_feature}] of {position}")


def _are_numbers(page: Page, explained: Mapping[str, Any]) -> None:
    if (page.query, page.key) != (explained["query"], explained["key"]):
        raise PageError(f"query {page.query} and key {page.key}")
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


def _is_rounded(page: Page, printed: Decimal, value: float, what: str, relative: float = 0.0) -> None:
    page.checked += 1
    bound = _unit(printed) / 2 * Decimal("1.000001") + Decimal(abs(value) * (relative + 1e-15))
    exact = (
        value,
        *(float(kind(value)) for kind in (np.float32, np.float16)),
    )  # JSON has the shortest digits
    if all(abs(printed - Decimal(one)) > bound for one in exact):
        raise PageError(f"{what} is {value}, printed {printed}")
