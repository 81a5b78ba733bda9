"""The page of a lesson as text, and the arithmetic in it, redone from its printed digits."""

import math
import re
from importlib import import_module
from pathlib import Path

from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.reading.lessons.request import LessonRequest
from attn_cli.reading.reading import Reading, TextRequest, read
from attn_cli.show.explanation.document import Document
from attn_cli.show.explanation.figures import Ledger
from attn_cli.show.explanation.layout import Layout
from attn_cli.show.explanation.writing import Writing
from attn_cli.vocabulary import Kind, Language

_ENGLISH = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")
_PORTUGUESE = re.compile(r"-?\d+(?:\.\d{3})*(?:,\d+)?")


def reading_for(model: Path | str | None, text: str, kind: Kind | None = None, **request: object) -> Reading:
    """The text, read by the model; cross-attention has a target."""
    source = open_source(SourceRequest(None if model is None else str(model), **request), {})  # type: ignore[arg-type]
    target = "the mat was tired" if kind in {Kind.DECODER, Kind.CROSS} else None
    return read(source, TextRequest(text, target=target, kind=kind))


def lesson_text(
    lesson: str,
    reading: Reading,
    place: tuple[int, int],
    query: int,
    *,
    key: int = 0,
    language: Language = Language.EN,
    width: int | None = None,
) -> str:
    """The page of the lesson; without a width no line is broken."""
    study = import_module(f"attn_cli.reading.lessons.{lesson}").study(
        LessonRequest(reading, place, query, key)
    )
    ledger = Ledger(4)
    view = import_module(f"attn_cli.show.explanation.lessons.{lesson}")
    blocks = list(view.blocks(study, ledger, reading.sides, ("TEXT",)))
    layout = Layout(Writing(language, ledger.settle()), width)
    lines = layout.lines(Document(blocks, ledger.settle()))
    return "\n".join("".join(span.text for span in spans).rstrip() for spans in lines)


def numbers(text: str, language: Language, *names: str) -> list[float]:
    """Every number of the page, in order of size; `names` have digits that are no numbers."""
    for name in (*names, "3.2.1", "3.2.2", "W^Q"):
        text = text.replace(name, "")
    if language is Language.PT:
        found = _PORTUGUESE.findall(text)
        return sorted(float(one.replace(".", "").replace(",", ".")) for one in found)
    return sorted(float(one.replace(",", "")) for one in _ENGLISH.findall(text))


def check_equations(page: str) -> int:
    """Redo every indented line with an equals sign; nothing is off by more than a unit of its last digit."""
    lines = [line for line in page.splitlines() if line.startswith("    ") and " = " in line]
    for line in lines:
        *terms, result = re.sub(r"\s+\(([+-]) (\S+) by rounding\)", r" ROUND \1 \2", line).split(" = ")
        result, _, rounding = result.partition(" ROUND ")
        left = float(rounding.replace(" ", "")) if rounding else 0.0
        for term in terms:
            if re.fullmatch(r".*[a-zA-Z/]", term.strip()):
                continue  # a name: `g`, `1/√d_k`
            found = evaluated(term.rpartition(": ")[2].rpartition("so with it ")[2]) + left
            decimals = len(result.partition(".")[2])
            assert abs(found - float(result.replace(",", ""))) <= 1.0001 * 10**-decimals, line
    return len(lines)


def evaluated(term: str) -> float:
    """The value of a printed term: `0.98600 × e^(-8.0813 − (-3.6353))`."""
    python = term.replace("×", "*").replace("÷", "/").replace("−", "-").replace(",", "")
    python = re.sub(r"√(\d+)", r"sqrt(\1)", python).replace("e^(", "exp(")
    python = re.sub(r"\|(.*)\|", r"abs(\1)", python)
    assert re.fullmatch(r"[\d.()+\-*/ ]|(?:[\d.()+\-*/ ]|sqrt|exp|abs)+", python), term
    return float(eval(python, {"sqrt": math.sqrt, "exp": math.exp, "abs": abs}))  # noqa: S307  digits and signs


def table(page: str, first: str) -> list[list[str]]:
    """The cells of the table whose first heading is `first`, without the headings."""
    lines = page.splitlines()
    start = next(number for number, line in enumerate(lines) if re.split(r"\s{2,}", line)[0] == first)
    end = next((number for number in range(start, len(lines)) if not lines[number]), len(lines))
    return [re.split(r"\s{2,}", line.strip()) for line in lines[start + 1 : end]]


def decimals_of(number: str) -> int:
    """How many decimals a printed number has."""
    return len(number.partition(".")[2])
