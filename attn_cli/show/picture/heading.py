"""The heading of a picture: the text that was read, and below it the head and the model, said once."""

from collections.abc import Iterator, Sequence

from attn_cli.record import record
from attn_cli.show.picture.fonts import Letters
from attn_cli.show.picture.layout.sheet import GAP, line
from attn_cli.show.picture.marks import Word

LARGER = 1.25
"""The size of a title, in that of labels."""

_MOST_LINES = 2  # of the title; a longer one is cut
_ARROW = "→ "
_BELOW = 0.04  # inches between the title and what is below it


@record(frozen=True, slots=True)
class Heading:
    """A title, and phrases below it; nothing is drawn if both are empty."""

    title: str = ""
    phrases: tuple[str, ...] = ()
    target: str = ""  # a second text, on a line of its own

    @property
    def texts(self) -> tuple[str, ...]:
        """All of its text."""
        return (*self.titles, *self.phrases)

    @property
    def titles(self) -> tuple[str, ...]:
        """The title, and a second text after an arrow."""
        return (self.title, f"{_ARROW}{self.target}") if self.target else (self.title,)

    def lines(self, letters: Letters, size: float, width: float) -> list[tuple[str, float]]:
        """Each line with its size, for labels of `size` points on a page of `width` inches."""
        room = width - 2 * GAP
        large = size * LARGER
        titles = [letters.title(" ".join(text.split())) for text in self.titles]
        most = _MOST_LINES // len(titles)
        lines = [(line, large) for text in titles for line in letters.lines(text, large, room, most) if line]
        return lines + [(text, size) for text in _joined(self.phrases, letters, size, room)]


def heading_marks(lines: Sequence[tuple[str, float]], width: float) -> Iterator[Word]:
    """The lines, centred on a page of this width."""
    y = GAP
    for text, size in lines:
        y += line(size)
        yield Word(text, width / 2, y - line(size) / 2, size)
        y += _BELOW


def heading_height(lines: Sequence[tuple[str, float]]) -> float:
    """Inches above what is drawn below the heading."""
    return GAP + sum(line(size) + _BELOW for _, size in lines)


def _joined(phrases: Sequence[str], letters: Letters, size: float, width: float) -> list[str]:
    """The phrases on as many lines as they need; a phrase that is wider than a line is broken."""
    lines = list[str]()
    for phrase in map(letters.title, phrases):
        longer = f"{lines[-1]} · {phrase}" if lines else phrase
        if letters.inches(longer, size) <= width:
            lines[-1:] = [longer]
        else:
            lines += letters.lines(phrase, size, width, _MOST_LINES)
    return lines
