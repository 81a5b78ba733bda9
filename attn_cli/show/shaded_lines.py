"""The lines of a shaded text: all of them, or those that matter with gaps that say what is left out."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from attn_cli.answers.shaded_text import ShadedText
from attn_cli.record import record
from attn_cli.safe_text import printable
from attn_cli.show.scale import Limits
from attn_cli.show.text_lines import Line

_SEEN = 0.04  # of the range of the shades
_LEAST = 0.0001  # a smaller weight is not written as a number


@record(frozen=True, slots=True)
class Gap:
    """Lines that are left out: how many, with how many tokens, and the weight of those that are shown."""

    lines: int
    tokens: int
    weight: float | None  # None: the query may look at none of them, or none is shown
    is_masked: bool

    def __str__(self) -> str:
        lines = "1 line" if self.lines == 1 else f"{self.lines:,} lines"
        tokens = "1 token" if self.tokens == 1 else f"{self.tokens:,} tokens"
        weight = "masked" if self.is_masked else "" if self.weight is None else f"weight {small(self.weight)}"
        return "… " + ", ".join(filter(None, (lines, tokens, weight)))


def phrases(text: ShadedText, limits: Limits | None) -> list[str]:
    """What a text shows: the heads, the query, the range of the shades, and where the rest of the weight is.

    Without `limits` there are no shades.
    """
    masked = text.masked_tokens
    tokens = sum(len(piece.tokens) for piece in text.pieces)
    return [
        printable(text.title),
        f"query {printable(text.query)}",
        *([] if limits is None else [f"shades {limits[0]:g} to {small(limits[1])}"]),
        *([] if text.sink is None else [f"sink {small(text.sink)}"]),
        *([] if text.elsewhere is None else [f"{small(text.elsewhere)} on tokens that are not shaded"]),
        *(["the others divided by what is left"] if text.is_divided else []),
        *([f"{masked:,} of {tokens:,} tokens masked"] if masked else []),
    ]


def kept_lines(
    lines: Sequence[Line], text: ShadedText, limits: Limits, most: int | None
) -> Iterator[Line | Gap]:
    """All lines if there are at most `most`; else the query's, those with the largest weights, and gaps.

    A line is left out if none of its shades is seen well.
    """
    if most is None or len(lines) <= most:
        yield from lines
        return
    starts = _first_pieces(lines, len(text.pieces))
    kept = _kept(lines, text, _SEEN * limits[1], most)
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


def noticed(text: ShadedText, limits: Limits) -> frozenset[int]:
    """The pieces whose shades are seen well."""
    seen = text.shown & ~text.masked & (text.weights >= _SEEN * limits[1])
    return frozenset(np.flatnonzero(seen).tolist())


def _kept(lines: Sequence[Line], text: ShadedText, least: float, most: int) -> npt.NDArray[np.bool_]:
    queries = frozenset() if text.query_text else text.query_pieces
    weights = np.where(text.shown, text.weights, 0.0)
    heaviest = np.array(
        [max((weights[run.piece] for run in line if run.piece >= 0), default=0) for line in lines]
    )
    is_of_query = np.array([any(run.piece in queries for run in line) for line in lines])
    order = np.argsort(-np.where(is_of_query, np.inf, heaviest), kind="stable")[:most]
    kept = np.zeros(len(lines), dtype=bool)
    kept[order] = True
    return kept & (is_of_query | (heaviest >= least))


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
    return Gap(len(part), tokens, weight, is_masked)


def small(value: float) -> str:
    """A weight for a sentence: two decimals, or one or two digits of a small one."""
    if 0 < value < _LEAST:
        return f"less than {_LEAST}"
    return f"{value:.2g}" if 0 < value < 0.01 else f"{value:.2f}".rstrip("0").rstrip(".")  # noqa: PLR2004
