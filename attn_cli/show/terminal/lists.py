"""Lists of text: a table with column headings, or a paragraph of phrases."""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, zip_longest

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from attn_cli.safe_text import printable
from attn_cli.show.terminal.captions import note
from attn_cli.show.terminal.text_width import to_left, to_right
from attn_cli.show.terminal.view import BOLD, Line, Sheet, View

_LINES = 12  # of a paragraph: about 100 tokens at 80 columns
GAP = "  "
"""What stands between the columns of a list."""
_TELLING = 4  # cells of a column: it shrinks to this width before the row names are truncated


class TextTable(View):
    """A list under the names of its columns; those in `right` are right-aligned.

    In a terminal the widest columns shrink, the first one last. With `rest` the last columns are left out
    instead, all but the one of number `kept`, and it says where to find them; with `is_broken` cells wrap
    onto further lines. A file has every column in full. A newline in a name starts a new line.
    """

    def __init__(
        self,
        names: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        right: Collection[int] = (),
        rest: str = "",
        kept: int | None = None,
        is_broken: bool = False,
    ) -> None:
        self._names, self._rows = names, rows
        self._right, self._rest, self._kept = right, rest, kept
        self._is_broken = is_broken

    def lines(self, sheet: Sheet) -> Iterator[Line]:
        """The names, the rows, and a note if columns are left out."""
        names = [[sheet.ink(printable(line)) for line in name.split("\n")] for name in self._names]
        rows = [[sheet.ink(printable(cell)) for cell in row] for row in self._rows]
        columns = list(_columns(names, rows))
        shown = self._shown([max(map(cell_len, column)) for column in columns], sheet)
        widths = self._widths([columns[number] for number in shown], sheet)
        right = [place for place, number in enumerate(shown) if number in self._right]
        for line in zip_longest(*(names[number] for number in shown), fillvalue=""):
            yield from self._lines_of(line, widths, right, BOLD, sheet)
        for row in rows:
            yield from self._lines_of([row[n] for n in shown], widths, right, Style.null(), sheet)
        if len(shown) < len(names):
            lines = (name.replace("-\n", "-") for n, name in enumerate(self._names) if n not in shown)
            left_out = [line.replace("\n", " ") for line in lines]
            yield from note(f"no room for {', '.join(left_out)}: {self._rest}", sheet)

    def _shown(self, widths: Sequence[int], sheet: Sheet) -> list[int]:
        """The numbers of the columns that are shown: all, or those that fit at full width."""
        everything = list(range(len(widths)))
        if sheet.is_endless or not self._rest:
            return everything
        first = _fitting(sheet.width, widths)
        if self._kept is None or self._kept < first or not everything:
            return everything[:first]
        room = sheet.width - widths[self._kept] - len(GAP)
        return [*everything[: _fitting(room, widths[: self._kept])], self._kept]

    def _widths(self, columns: Sequence[Sequence[str]], sheet: Sheet) -> list[int]:
        """The widths of the columns that are shown."""
        wanted = [max(map(cell_len, column)) for column in columns]
        if sheet.is_endless:
            return wanted
        least = [_longest_word(column) for column in columns] if self._is_broken else _telling(wanted)
        return _shared_out(sheet.width, _shared_out(sheet.width, wanted, least), [1] * len(wanted))

    def _lines_of(
        self, row: Sequence[str], widths: Sequence[int], right: Collection[int], style: Style, sheet: Sheet
    ) -> Iterator[Line]:
        """The row, over several lines if its cells are wrapped."""
        cells = [[cell] for cell in row]
        if self._is_broken and not sheet.is_endless:
            cells = [
                sheet.filled(cell.split(GAP), GAP, width) for cell, width in zip(row, widths, strict=True)
            ]
        for line in zip_longest(*cells, fillvalue=""):
            yield [Segment(_in_columns(line, widths, right, sheet), style)]


class Paragraph(View):
    """Phrases in sequence, each unbroken; those beyond `most` lines are counted, and `rest` says where."""

    def __init__(
        self, phrases: Sequence[str], *, between: str = "  ", rest: str = "", most: int = _LINES
    ) -> None:
        self._phrases, self._between = phrases, between
        self._rest, self._most = rest, most

    def lines(self, sheet: Sheet) -> Iterator[Line]:
        """As many phrases on each line as fit."""
        there = self._phrases[: self._most * sheet.width + 1]  # more than fit: each takes a cell or more
        phrases = [sheet.ink(printable(phrase)) for phrase in there]
        lines = sheet.filled(phrases, self._between, sheet.width)
        yield from ([Segment(line)] for line in lines[: self._most])
        if len(lines) > self._most:
            more = len(self._phrases) - self._shown(phrases, sheet)
            yield from note(f"{more:,} more; {self._rest}", sheet)

    def _shown(self, phrases: Sequence[str], sheet: Sheet) -> int:
        """How many phrases the lines have room for."""

        def lines_of(count: int) -> int:
            return len(sheet.filled(phrases[:count], self._between, sheet.width))

        return bisect_right(range(len(phrases) + 1), self._most, key=lines_of) - 1


def _columns(names: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
    """The content of each column: the lines of its name, and its cells."""
    cells = zip(*rows, strict=True) if rows else ((),) * len(names)
    return ((*name, *column) for name, column in zip(names, cells, strict=True))


def _longest_word(column: Sequence[str]) -> int:
    return max(cell_len(word) for cell in column for word in cell.split(" "))


def _telling(wanted: Sequence[int]) -> list[int]:
    """The full width of the first column, which names the rows, and a minimum for the others."""
    return [*wanted[:1], *(min(width, _TELLING) for width in wanted[1:])]


def _fitting(width: int, wanted: Sequence[int]) -> int:
    """The number of leading columns that fit at full width; at least one."""
    ends = accumulate(width + len(GAP) for width in wanted)
    return max(1, sum(end - len(GAP) <= width for end in ends))


def _shared_out(width: int, wanted: Sequence[int], least: Sequence[int]) -> list[int]:
    """The column widths: the widest column shrinks first, until all fit or each is at its minimum."""
    widths = list(wanted)
    while sum(widths) + len(GAP) * (len(widths) - 1) > width:
        spare = [(size, -number) for number, size in enumerate(widths) if size > least[number]]
        if not spare:
            break
        widths[-max(spare)[1]] -= 1
    return widths


def _in_columns(row: Sequence[str], widths: Sequence[int], right: Collection[int], sheet: Sheet) -> str:
    texts = [sheet.cut(cell, width) for cell, width in zip(row, widths, strict=True)]
    aligned = [
        (to_right if number in right else to_left)(text, width)
        for number, (text, width) in enumerate(zip(texts, widths, strict=True))
    ]
    return GAP.join(aligned).rstrip()
