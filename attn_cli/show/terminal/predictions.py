"""What a model expects at each place: the likeliest tokens, and the rank of the one that stands there."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.segment import Segment

from attn_cli.answers.prediction import PlacePredictions, Prediction
from attn_cli.safe_text import label
from attn_cli.show.terminal.lists import TextTable
from attn_cli.show.terminal.view import BOLD, Line, Sheet, View

_NAMES = ("position", "token", "next", "rank", "prob.", "likeliest next")
_NAMES_IN_PLACE = ("position", "token", "rank", "prob.", "likeliest in its place")
_SMALL = 0.0005  # a smaller probability is written in powers of ten
_GAP = "  "  # between the tokens of a cell, which may be wrapped there
_NARROW = 60  # columns: with fewer, the tokens of a place are below it
_INDENT = 4


class PredictionTable(View):
    """A line for each place: the token, the one that stands there with its rank, and the likeliest.

    `tokens` are the texts of all tokens; `is_next` tells that the next one is predicted, and not the one in
    its place.
    """

    def __init__(self, places: Sequence[PlacePredictions], tokens: Sequence[str], *, is_next: bool) -> None:
        self._places, self._tokens, self._is_next = places, tokens, is_next

    def lines(self, sheet: Sheet) -> Iterator[Line]:
        """A table; if it is narrow, the likeliest tokens of each place below it."""
        if sheet.is_endless or sheet.width >= _NARROW:
            names = _NAMES if self._is_next else _NAMES_IN_PLACE
            right = [names.index(name) for name in ("position", "rank", "prob.")]
            rows = [self._row(place) for place in self._places]
            yield from TextTable(names, rows, right=right, is_broken=True).lines(sheet)
        else:
            for place in self._places:
                yield from self._paragraph(place, sheet)

    def _row(self, place: PlacePredictions) -> tuple[str, ...]:
        actual = place.actual
        standing = (f"{actual.rank:,}", _probability(actual)) if actual else ("", "")
        following = (label(actual.text) if actual else "",) if self._is_next else ()
        cell = _GAP.join(_phrases(place.likeliest))
        return (str(place.position), label(self._tokens[place.position]), *following, *standing, cell)

    def _paragraph(self, place: PlacePredictions, sheet: Sheet) -> Iterator[Line]:
        """The place on a line, and the likeliest tokens below it."""
        actual, head = place.actual, f"{place.position} {label(self._tokens[place.position])}"
        if actual is not None:
            following = f", next {label(actual.text)}" if self._is_next else ""
            head += f"{following}: rank {actual.rank:,}, {_probability(actual)}"
        yield [Segment(sheet.cut(sheet.ink(head), sheet.width), BOLD)]
        phrases = [sheet.ink(phrase) for phrase in _phrases(place.likeliest)]
        for line in sheet.filled(phrases, _GAP, sheet.width - _INDENT):
            yield [Segment(" " * _INDENT + line)]


def _phrases(likeliest: Sequence[Prediction]) -> list[str]:
    """Each token with its probability; the space before it is shown if it alone tells it from another."""
    names = [_name(prediction) for prediction in likeliest]
    count = Counter(names)
    return [
        f"{'␣' * (count[name] > 1 and prediction.text.startswith(' '))}{name} {_probability(prediction)}"
        for name, prediction in zip(names, likeliest, strict=True)
    ]


def _name(prediction: Prediction) -> str:
    """The token's text on one line without gaps, or its id if it has no text."""
    return label(prediction.text).replace(_GAP, "␣␣") if prediction.text else f"(id {prediction.id})"


def _probability(prediction: Prediction) -> str:
    value = prediction.probability
    return f"{value:.3f}" if value >= _SMALL or value == 0 else f"{value:.0e}"
