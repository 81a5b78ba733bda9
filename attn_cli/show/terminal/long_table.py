"""A table of more lines than are kept in memory: equal cells are laid out once."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment

from attn_cli.safe_text import printable
from attn_cli.show.terminal.lists import GAP
from attn_cli.show.terminal.text_width import to_left, to_right
from attn_cli.show.terminal.view import BOLD, Line, Sheet, View


class LongTable:
    """The same table as `TextTable` writes to a file, line by line.

    `kinds` are the different rows. Columns in `largest` count, and it has their largest numbers.
    `template` has a place for each of these, and for what stands between them.
    """

    def __init__(
        self,
        names: Sequence[str],
        kinds: Iterable[Sequence[str]],
        largest: Mapping[int, int],
        right: Collection[int],
        sheet: Sheet,
    ) -> None:
        self._names, self._right, self._sheet = names, right, sheet
        self._counted = largest.keys()
        widths = [cell_len(sheet.ink(name)) for name in names]
        for column, number in largest.items():
            widths[column] = max(widths[column], len(str(number)))
        others = [column for column in range(len(names)) if column not in largest]
        for row in kinds:
            for column in others:
                cell = row[column]
                if len(cell) > widths[column] or not _is_plain(cell):
                    widths[column] = max(widths[column], cell_len(self._ink(cell)))
        self._widths = widths
        self.template = GAP.join(self._places())

    def heading(self) -> Line:
        """The names of the columns."""
        cells = [self._laid_out(column, name) for column, name in enumerate(self._names)]
        return [Segment(GAP.join(cells).rstrip(), BOLD)]

    def parts(self, row: Sequence[str]) -> tuple[str, ...]:
        """What stands between the numbers of a row."""
        return tuple(
            GAP.join(self._laid_out(column, row[column]) for column in columns) for columns in self._runs()
        )

    def _ink(self, cell: str) -> str:
        if _is_plain(cell):
            return cell
        return self._sheet.ink(printable(cell))

    def _laid_out(self, column: int, cell: str) -> str:
        is_right, width = column in self._right, self._widths[column]
        if _is_plain(cell):  # a cell for each character
            return cell.rjust(width) if is_right else cell.ljust(width)
        return (to_right if is_right else to_left)(self._ink(cell), width)

    def _runs(self) -> list[list[int]]:
        """The columns that do not count, those side by side together."""
        runs: list[list[int]] = [[]]
        for column in range(len(self._names)):
            if column in self._counted:
                runs.append([])
            else:
                runs[-1].append(column)
        return [run for run in runs if run]

    def _places(self) -> list[str]:
        """`%8d` for each number, and `%s` for each run of other columns."""
        begins = {run[0] for run in self._runs()}
        columns = range(len(self._names))
        return [
            f"%{self._widths[column]}d" if column in self._counted else "%s"
            for column in columns
            if column in self._counted or column in begins
        ]


def _is_plain(cell: str) -> bool:
    """Whether each of its characters is shown as it is, in one cell and by any encoding."""
    return cell.isascii() and cell.isprintable()


class Drawn(View):
    """Lines that are laid out already."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines

    def lines(self, _sheet: Sheet) -> Sequence[Line]:
        """The lines."""
        return self._lines


def endless_sheet(console: Console) -> Sheet:
    """The sheet of a file or a pipe, where lines have any length."""
    return Sheet.of(console, console.options.update(overflow="ignore"), View.theme)
