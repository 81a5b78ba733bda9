"""Lists of text: as a table with column headings, or as a paragraph of phrases."""

from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, zip_longest

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from attn_cli.safe_text import printable
from attn_cli.show.terminal.captions import note
from attn_cli.show.terminal.text_width import cut, filled, to_left, to_right
from attn_cli.show.terminal.view import BOLD, Line, Sheet, View

_LINES = 12  # of a paragraph: 100 tokens or so at 80 columns
_GAP = "  "  # between the columns of a list


class TextTable(View):
    """A list under the names of its columns; those in `right` end at one place, the widest give way.

    With `rest` the last columns give way instead, and it says where they are. A line end in a name is one.
    """

    def __init__(
        self,
        names: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        right: Collection[int] = (),
        rest: str = "",
    ) -> None:
        self._names, self._rows = names, rows
        self._right, self._rest = right, rest

    def lines(self, sheet: Sheet) -> Iterator[Line]:
        """The names, the rows, and a note where columns are left out."""
        names = list(zip_longest(*(name.split("\n") for name in self._names), fillvalue=""))
        cells = [[sheet.ink(printable(cell)) for cell in row] for row in (*names, *self._rows)]
        wanted = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
        shown = _fitting(sheet.width, wanted) if self._rest else len(wanted)
        widths = _shared_out(sheet.width, wanted[:shown])
        for number, row in enumerate(cells):
            style = BOLD if number < len(names) else Style.null()
            yield [Segment(_in_columns(row[:shown], widths, self._right, sheet), style)]
        if shown < len(wanted):
            left_out = ", ".join(name.replace("\n", "") for name in self._names[shown:])
            yield from note(f"no room for {left_out}: {self._rest}", sheet)


class Paragraph(View):
    """Phrases one after the other, each whole; beyond `most` lines `rest` says where the others are."""

    def __init__(
        self, phrases: Sequence[str], *, between: str = "  ", rest: str = "", most: int = _LINES
    ) -> None:
        self._phrases, self._between = phrases, between
        self._rest, self._most = rest, most

    def lines(self, sheet: Sheet) -> Iterator[Line]:
        """As many phrases on a line as it has room for."""
        phrases = [sheet.ink(printable(phrase)) for phrase in self._phrases]
        lines = filled(phrases, sheet.ink(self._between), sheet.width, sheet.ink("…"))
        yield from ([Segment(line)] for line in lines[: self._most])
        if len(lines) > self._most:
            yield from note(self._rest, sheet)


def _fitting(width: int, wanted: Sequence[int]) -> int:
    """How many of the first columns fit with all their width; at least one."""
    ends = accumulate(width + len(_GAP) for width in wanted)
    return max(1, sum(end - len(_GAP) <= width for end in ends))


def _shared_out(width: int, wanted: list[int]) -> list[int]:
    """The widths of columns: what they want, the widest cut first until all fit."""
    widths = list(wanted)
    while sum(widths) + len(_GAP) * (len(widths) - 1) > width and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return widths


def _in_columns(row: Sequence[str], widths: Sequence[int], right: Collection[int], sheet: Sheet) -> str:
    texts = [cut(cell, width, sheet.ink("…")) for cell, width in zip(row, widths, strict=True)]
    aligned = [
        (to_right if number in right else to_left)(text, width)
        for number, (text, width) in enumerate(zip(texts, widths, strict=True))
    ]
    return _GAP.join(aligned).rstrip()
