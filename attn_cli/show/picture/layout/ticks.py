"""Which rows and columns of a panel are labelled: all if there is room, else words at readable places."""

from collections.abc import Iterator, Sequence
from math import ceil

from attn_cli.grid import Landmarks
from attn_cli.record import record
from attn_cli.show.picture.fonts import Letters, rightwards
from attn_cli.show.picture.layout.sheet import Length, line
from attn_cli.show.picture.marks import INCH

_CALM = 2.2  # lines from label to label if not all are shown, if the words there allow it
_FAR = 1.6  # of that distance: how far a better word may be
_ROUND = (1, 2, 5)  # and these times powers of ten: steps between numbers
_SHORTEST_WORD = 4  # sizes of type: about five letters of a word after its position
_BESIDE = 0.08  # inches between numbers beside each other


@record(frozen=True, slots=True)
class Tick:
    """A label, and the row or column that it belongs to."""

    index: int
    text: str


def every_tick(names: Sequence[str], letters: Letters, size: float, longest: Length) -> list[Tick]:
    """A label for each name, none longer than `longest`."""
    return [Tick(i, letters.fitted(letters.label(name), size, longest)) for i, name in enumerate(names)]


def landmark_ticks(
    landmarks: Landmarks, cell: Length, letters: Letters, size: float, longest: Length
) -> list[Tick]:
    """Words with their positions, at starts of sentences or of words where possible; they never overlap."""
    ticks = list[Tick]()
    for index in _spread(_quality(landmarks, letters), line(size) / cell):
        place = f"{landmarks.places[index]} "
        room = max(longest - letters.inches(place, size), _SHORTEST_WORD * size / INCH)
        word = letters.fitted(letters.label(landmarks.words[index]), size, room)
        ticks.append(Tick(index, rightwards(place + word)))
    return ticks


def number_ticks(names: Sequence[str], cell: Length, letters: Letters, size: float) -> list[Tick]:
    """Every second, fifth or tenth number and so on, horizontally beside each other."""
    widest = max(letters.inches(name, size) for name in names)
    return _at_steps(names, ceil((widest + _BESIDE) / cell))


def stepped_ticks(
    names: Sequence[str], cell: Length, letters: Letters, size: float, longest: Length
) -> list[Tick]:
    """The same below each other, none longer than `longest`."""
    ticks = _at_steps(names, ceil(line(size) / cell))
    return [Tick(tick.index, letters.fitted(letters.label(tick.text), size, longest)) for tick in ticks]


def _at_steps(names: Sequence[str], least: int) -> list[Tick]:
    step = next(step for step in _round_steps() if step >= least)
    return [Tick(index, names[index]) for index in range(0, len(names), step)]


def _round_steps() -> Iterator[int]:
    power = 1
    while True:
        yield from (factor * power for factor in _ROUND)
        power *= 10


def _quality(landmarks: Landmarks, letters: Letters) -> list[int]:
    """The rank of each place, worse than any if its word has characters that no font has."""
    missing = set(letters.missing)
    return [
        len(landmarks.words) if missing & set(word) else int(rank)
        for word, rank in zip(landmarks.words, landmarks.ranks, strict=True)
    ]


def _spread(ranks: Sequence[int], lines: float) -> Iterator[int]:
    """Indices at least `lines` cells apart: the first, then the best about `_CALM` times as far each time."""
    least, usual = ceil(lines), max(ceil(lines), round(_CALM * lines))
    index = 0
    while index < len(ranks):
        yield index
        window = range(index + least, min(len(ranks), index + max(least + 1, round(_FAR * usual))))
        if not window:
            return
        ideal = index + usual
        index = min(window, key=lambda place: (ranks[place], abs(place - ideal)))
