"""Lessons as a reader sees them: the request, the printed page, and the numbers on it."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from attn_cli.core.arrays import to_numpy
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.reading import Reading
from attn_cli.show.explanation.document import Document
from attn_cli.show.explanation.figures import Ledger
from attn_cli.show.explanation.plain import as_text
from attn_cli.vocabulary import Language, Step

_NUMBER = re.compile(r"-?\d[\d.,]*\d|-?\d")
_NAMES = re.compile(r"arXiv:\S+|\b3\.2\.1\b|(?:head|cabeça)\s+\d+\.\d+|^ +attn .*$", re.MULTILINE)
_UNITS = {
    "": 1.0,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "quadrillion": 1e15,
    "B": 1.0,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
    "PB": 1e15,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "days": 86400.0,
    "years": 31557600.0,
}
_QUANTITY = re.compile(rf"([\d,.]+)(?: ({'|'.join(filter(None, _UNITS))}))?(?: per second)?")


def asked(reading: Reading, layer: int, head: int, query: int = -1) -> LessonRequest:
    """A request for the key with the largest weight; -1 is the last query."""
    query = range(len(reading.queries))[query]
    (attention,) = reading.source.attentions(reading.texts, reading.kind, [layer])
    weights = to_numpy(attention.at([query]).steps([head], [Step.WEIGHTS])[Step.WEIGHTS])
    return LessonRequest(reading, (layer, head), query, int(np.argmax(weights[0, 0])))


def page(
    blocks: Callable[..., Iterator[Any]], study: Any, reading: Reading, language: Language = Language.EN
) -> str:
    """The lesson as a text file."""
    ledger = Ledger(4)
    made = list(blocks(study, ledger, reading.sides, ("the text",)))
    return as_text(Document(made, ledger.settle()), language)


def numbers(text: str, language: Language = Language.EN) -> Counter[str]:
    """Every number of a page as English writes it, without the names of papers and heads."""
    found = _NUMBER.findall(_NAMES.sub("", text))
    swapped = str.maketrans(".,", ",.") if language is Language.PT else {}
    return Counter(number.translate(swapped) for number in found)


def products(text: str) -> Iterator[tuple[list[int], int]]:
    """The factors and the result of every printed product of whole numbers."""
    for factors, result in re.findall(r"((?:[\d,]+ × )+[\d,]+) = ([\d,]+)", " ".join(text.split())):
        yield [whole(factor) for factor in factors.split(" × ")], whole(result)


def whole(text: str) -> int:
    """A whole number with its marks between thousands."""
    return int(text.replace(",", ""))


def table(text: str, first: str) -> list[list[str]]:
    """The cells of the rows below the heading that starts with `first`."""
    lines = iter(text.splitlines())
    next(line for line in lines if line.startswith(first) or line.strip().startswith(first))
    rows = list[list[str]]()
    for line in lines:
        if not line.strip():
            return rows
        rows.append(re.split(r"\s{2,}", line.strip()))
    return rows


def quantity(text: str) -> tuple[float, float]:
    """A printed quantity, and half a unit of its last digit; a count is exact."""
    matched = _QUANTITY.fullmatch(text)
    assert matched is not None, text
    digits, unit = matched[1].replace(",", ""), _UNITS[matched[2] or ""]
    places = len(digits.partition(".")[2])
    is_exact = not matched[2]
    return float(digits) * unit, 0.0 if is_exact else 0.5 * 10.0**-places * unit
