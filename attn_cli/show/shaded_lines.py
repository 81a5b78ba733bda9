"""The lines of a shaded text: all of them, or those that matter with gaps that say what is left out."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from attn_cli.answers.shaded_text import ShadedText
from attn_cli.record import record
from attn_cli.safe_text import printable
from attn_cli.show.scale import LINEAR_LIMITS, StepScale, levels
from attn_cli.show.text_lines import Line

_SEEN = 0.04  # of the range of the shades
_ALL_SMALL = 0.2  # a scale from 0 to 1 shows no smaller weight well
_LEAST = 0.0001  # a smaller weight is not written as a number


@record(frozen=True, slots=True)
class Gap:
    """Lines that are left out: how many, with how many tokens, and the weight of those that are shown."""

    lines: int
    tokens: int
    unit: str  # "token", or "word"
    weight: float | None  # None: the query may look at none of them, or none is shown
    is_masked: bool

    def __str__(self) -> str:
        lines = "1 line" if self.lines == 1 else f"{self.lines:,} lines"
        tokens = f"{self.tokens:,} {self.unit}{'' if self.tokens == 1 else 's'}"
        weight = "masked" if self.is_masked else "" if self.weight is None else f"weight {small(self.weight)}"
        return "… " + ", ".join(filter(None, (lines, tokens, weight)))


def scale_of(texts: Sequence[ShadedText], given: StepScale | None) -> StepScale:
    """The scale of all texts: as given, else 0 to 1, or to the largest weight if all are small."""
    largest = max(text.largest for text in texts)
    return given or StepScale((0.0, largest) if 0 < largest < _ALL_SMALL else LINEAR_LIMITS)


def phrases(text: ShadedText, scale: StepScale | None) -> list[str]:
    """What a text shows: the heads, the query, the range of the shades, and where the rest of the weight is.

    Without `scale` there are no shades.
    """
    masked = text.masked_tokens
    tokens = sum(len(piece.tokens) for piece in text.pieces)
    return [
        printable(text.title),
        f"query {printable(text.query)}",
        *([] if scale is None else [_range(scale)]),
        *([] if text.sink is None else [f"sink {small(text.sink)}"]),
        *([] if text.elsewhere is None else [f"{small(text.elsewhere)} on {text.unit}s that are not shaded"]),
        *(["the others divided by what is left"] if text.is_divided else []),
        *([f"{masked:,} of {tokens:,} {text.unit}s masked"] if masked else []),
    ]


def kept_lines(
    lines: Sequence[Line], text: ShadedText, scale: StepScale, most: int | None
) -> Iterator[Line | Gap]:
    """All lines if there are at most `most`; else the query's, those with the largest weights, and gaps.

    A line is left out if none of its shades is seen well.
    """
    if most is None or len(lines) <= most:
        yield from lines
        return
    starts = _first_pieces(lines, len(text.pieces))
    kept = _kept(lines, text, scale, most)
    states = [(bool(kept[number]), _is_masked(line, text)) for number, line in enumerate(lines)]
    for (is_kept, _), numbers in groupby(range(len(lines)), key=states.__getitem__):
        part = list(numbers)
        if is_kept or len(part) == 1:
            yield from (lines[number] for number in part)
        else:
            yield _gap(text, part, starts)


def largest(text: ShadedText, most: int, zero: float) -> list[int]:
    """The pieces with the largest weights, largest first, without those of at most `zero`."""
    weights = np.where(text.shown & ~text.masked, text.weights, -1.0)
    order = np.argsort(-weights, kind="stable")[:most]
    return [int(piece) for piece in order if weights[piece] > zero]


def noticed(text: ShadedText, scale: StepScale) -> frozenset[int]:
    """The pieces whose shades are seen well."""
    return frozenset(np.flatnonzero(_levels(text, scale) >= _SEEN).tolist())


def _kept(lines: Sequence[Line], text: ShadedText, scale: StepScale, most: int) -> npt.NDArray[np.bool_]:
    queries = frozenset() if text.query_text else text.query_pieces
    shades = _levels(text, scale)
    strongest = np.array(
        [max((shades[run.piece] for run in line if run.piece >= 0), default=0) for line in lines]
    )
    is_of_query = np.array([any(run.piece in queries for run in line) for line in lines])
    order = np.argsort(-np.where(is_of_query, np.inf, strongest), kind="stable")[:most]
    kept = np.zeros(len(lines), dtype=bool)
    kept[order] = True
    return kept & (is_of_query | (strongest >= _SEEN))


def _levels(text: ShadedText, scale: StepScale) -> npt.NDArray[np.float64]:
    """(P,) how strong the shade of each piece is, 0 to 1."""
    seen = text.shown & ~text.masked
    return np.where(seen, levels(text.weights, scale.limits, is_log=scale.is_log), 0.0)


def _range(scale: StepScale) -> str:
    low, high = map(limit, scale.limits)
    return f"shades {low} to {high}{', log scale' if scale.is_log else ''}"


def _is_masked(line: Line, text: ShadedText) -> bool:
    """Whether the query may look at none of the tokens of a line."""
    shown = [run.piece for run in line if run.piece >= 0 and text.shown[run.piece]]
    return bool(shown) and bool(text.masked[shown].all())


def _first_pieces(lines: Sequence[Line], count: int) -> list[int]:
    """The piece with which each line begins to count: a piece on several lines belongs to the first."""
    starts, place = list[int](), 0
    for line in lines:
        numbers = [run.piece for run in line if run.piece >= place]
        starts.append(numbers[0] if numbers else place)
        place = max([place, *(number + 1 for number in numbers)])
    return [0, *starts[1:], count]


def _gap(text: ShadedText, part: Sequence[int], starts: Sequence[int]) -> Gap:
    own = slice(starts[part[0]], starts[part[-1] + 1])
    tokens = sum(len(piece.tokens) for piece in text.pieces[own])
    shown, masked = text.shown[own], text.masked[own]
    is_masked = bool(shown.any() and masked[shown].all())
    weight = float(text.weights[own][shown].sum()) if shown.any() and not is_masked else None
    return Gap(len(part), tokens, text.unit, weight, is_masked)


def limit(value: float) -> str:
    """An end of a scale: as short as it can be written."""
    return small(value) if value < _LEAST else small(value).rstrip("0").rstrip(".")


def small(value: float) -> str:
    """A weight for a sentence: two decimals, one or two digits of a small one, 0 of none."""
    if 0 < value < _LEAST:
        return f"less than {_LEAST}"
    return f"{value:.2g}" if value < 0.01 else f"{value:.2f}"  # noqa: PLR2004
