"""A text as one reads it, each token shaded by its weight, or followed by it where there are no colours."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from attn_cli.answers.shaded_text import Piece, ShadedText
from attn_cli.safe_text import is_right_to_left, label
from attn_cli.show.scale import StepScale, levels
from attn_cli.show.shaded_lines import Gap, kept_lines, largest, limit, noticed, phrases, scale_of
from attn_cli.show.terminal.number_format import NumberFormat
from attn_cli.show.terminal.shades import level_indices, ramp
from attn_cli.show.terminal.view import BOLD, DIM, Line, Prose, Sheet, View
from attn_cli.show.text_lines import Run, ShownPiece, wrapped
from attn_cli.vocabulary import Theme

_MOST = 8  # weights written for each text, without --top
_LINES, _FEWEST = 40, 6  # of text in a terminal: for all texts together, and for one of many
_QUERY, _MARK = Style(bold=True, underline=True), Style(italic=True)
# around a number in a text with Hebrew, lest its point go behind the digits
_ISOLATE, _END_OF_ISOLATE = "\N{LEFT-TO-RIGHT ISOLATE}", "\N{POP DIRECTIONAL ISOLATE}"
_LEGEND = 24  # cells


class ShadedTexts(View):
    """Texts below one another on one scale, under what they show and above a legend.

    In a terminal, lines of a long text without large weights are left out; elsewhere all are printed.
    """

    def __init__(
        self,
        texts: Sequence[ShadedText],
        scale: StepScale | None = None,
        *,
        digits: int = 2,
        top: int | None = None,
        theme: Theme = Theme.DARK,
    ) -> None:
        self._texts, self._top, self.theme = tuple(texts), top or _MOST, theme
        self._scale = scale_of(texts, scale)
        self._written = _number_format(max(text.largest for text in texts), digits)

    def lines(self, sheet: Sheet) -> Iterator[Line]:
        """The texts, and the legend."""
        most = None if sheet.is_endless else max(_FEWEST, _LINES // len(self._texts))
        for number, text in enumerate(self._texts):
            yield from [[]] if number else []
            told = phrases(text, self._scale if sheet.colours is not None else None)
            for line in sheet.filled(list(map(sheet.ink, told)), " · ", sheet.width):
                yield [Segment(line, BOLD)]
            if text.query_text:
                yield from self._query_text(text, sheet, most)
            yield from self._text(text, sheet, most)
            if sheet.colours is not None:
                yield from self._largest(text, sheet)
        yield []
        yield from self._legend(sheet)

    def _text(self, text: ShadedText, sheet: Sheet, most: int | None) -> Iterator[Line]:
        queries = frozenset() if text.query_text else text.query_pieces
        styles = self._styles(text, sheet, queries)
        written = frozenset(largest(text, self._top, self._zero) if sheet.colours is None else ())
        is_mixed = not sheet.is_endless and any(is_right_to_left(piece.text) for piece in text.pieces)
        before, behind = (_ISOLATE, _END_OF_ISOLATE) if is_mixed and sheet.has(_ISOLATE) else ("", "")
        weights = {
            piece: f"[{before}{self._written(float(text.weights[piece]))}{behind}]" for piece in written
        }
        told = queries | (noticed(text, self._scale) if sheet.colours is not None else written)
        pieces = [
            _shown(piece, sheet, weights.get(i, ""), is_query=i in queries, is_told=i in told)
            for i, piece in enumerate(text.pieces)
        ]
        lines = list(wrapped(pieces, sheet.width, cell_len))
        for line in kept_lines(lines, text, self._scale, most):
            if isinstance(line, Gap):
                yield [Segment(sheet.cut(sheet.ink(str(line)), sheet.width), DIM)]
            else:
                yield Prose(_segment(run, styles, sheet) for run in line)

    def _query_text(self, text: ShadedText, sheet: Sheet, most: int | None) -> Iterator[Line]:
        """The decoder's text with the query."""
        queries = text.query_pieces
        styles = dict.fromkeys(queries, _QUERY)
        pieces = [
            _shown(piece, sheet, is_query=i in queries, is_told=i in queries)
            for i, piece in enumerate(text.query_text)
        ]
        lines = list(wrapped(pieces, sheet.width - 2, cell_len))
        around = next(
            (number for number, line in enumerate(lines) if any(run.piece in queries for run in line)), 0
        )
        first = 0 if most is None else max(0, around - 1)
        last = len(lines) if most is None else around + 2
        arrow = sheet.ink("→")
        for line in lines[first:last]:
            yield Prose([Segment("  "), *(_segment(run, styles, sheet, DIM) for run in line)])
        yield [Segment(f"  {arrow} looks at", DIM)]

    def _styles(self, text: ShadedText, sheet: Sheet, queries: frozenset[int]) -> dict[int, Style]:
        """The style of each piece that is not plain."""
        limits, is_log = self._scale.limits, self._scale.is_log
        shades = ramp(sheet.colours, self.theme, limits)
        indices = level_indices(levels(text.weights, limits, is_log=is_log), len(shades)).tolist()
        seen = self._seen(text)
        styles = dict[int, Style]()
        for number, piece in enumerate(text.pieces):
            parts = [
                *([shades[indices[number]].style] if seen[number] and sheet.colours is not None else []),
                *([DIM] if text.masked[number] else []),
                *([_MARK] if piece.is_mark else []),
                *([_QUERY] if number in queries else []),
            ]
            if parts:
                styles[number] = Style.combine(parts)
        return styles

    def _seen(self, text: ShadedText) -> npt.NDArray[np.bool_]:
        """(P,) whether each piece has a weight above the lower limit; above 0: one not written as zero."""
        least = self._scale.limits[0] if self._scale.limits[0] > 0 else self._zero
        return text.shown & ~text.masked & np.greater(text.weights, least)

    @property
    def _zero(self) -> float:
        """The largest weight that is written as zero."""
        return self._written.largest_zero

    def _largest(self, text: ShadedText, sheet: Sheet) -> Iterator[Line]:
        """The largest weights as numbers."""
        found = [
            f"{_positions(text.pieces[piece])} {sheet.ink(label(text.pieces[piece].text))} "
            f"{self._written(float(text.weights[piece]))}"
            for piece in largest(text, self._top, self._zero)
        ]
        for line in sheet.filled(["largest:", *found], "  ", sheet.width) if found else []:
            yield [Segment(line, DIM)]

    def _legend(self, sheet: Sheet) -> Iterator[Line]:
        """What shades, numbers and styles say."""
        if sheet.colours is None:
            number, unit = f"[{self._written(0.42)}]", self._texts[0].unit
            told = [
                f"{number}: the weight of the {unit} that ends there, the {self._top} largest",
                "{ }: the query",
            ]
            yield from ([Segment(line, DIM)] for line in sheet.filled(told, " · ", sheet.width))
            return
        shades = ramp(sheet.colours, self.theme, self._scale.limits)
        low, high = f"{limit(self._scale.limits[0])} ", f" {limit(self._scale.limits[1])}"
        told = ["underlined: the query", "dim: masked"][
            : 2 if any(text.masked.any() for text in self._texts) else 1
        ]
        size = max(1, min(_LEGEND, sheet.width - len(low) - len(high)))
        bar = [Segment(" ", shades[place * len(shades) // size].style) for place in range(size)]
        first = [Segment(low, DIM), *bar, Segment(high, DIM)]
        rest = sheet.ink(" · ") + sheet.ink(" · ").join(told)
        if len(low) + size + len(high) + cell_len(rest) <= sheet.width:
            yield [*first, Segment(rest, DIM)]
        else:
            yield first
            yield from ([Segment(line, DIM)] for line in sheet.filled(told, " · ", sheet.width))


def _number_format(largest_weight: float, digits: int) -> NumberFormat:
    """The format of weights: if `digits` decimals show less of the largest, its first or first two digits."""
    least = min(max(digits, 1), 2)
    decimals = digits
    if 0 < largest_weight < 1:
        decimals = max(digits, least - 1 + math.ceil(-math.log10(largest_weight)))
    return NumberFormat(f"z.{decimals}f", decimals + 2, compact=decimals > 1)


def _shown(piece: Piece, sheet: Sheet, after: str = "", *, is_query: bool, is_told: bool) -> ShownPiece:
    """A piece in characters that the console supports; without colours the query is in braces.

    White space is drawn as signs if `is_told`.
    """
    before, behind = ("{", "}") if is_query and sheet.colours is None else ("", "")
    is_visible = is_told and piece.text.isspace()
    return ShownPiece(sheet.ink(piece.text), piece.is_mark, is_visible, behind + after, before)


def _segment(run: Run, styles: dict[int, Style], sheet: Sheet, other: Style | None = None) -> Segment:
    return Segment(sheet.ink(run.text), styles.get(run.piece, other))


def _positions(piece: Piece) -> str:
    first, last = piece.tokens[0], piece.tokens[-1]
    return str(first) if first == last else f"{first}-{last}"
