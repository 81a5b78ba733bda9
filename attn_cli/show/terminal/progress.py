"""A progress bar on standard error."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column

from attn_cli.safe_text import printable

_NARROW = 60  # cells: on a narrower console the words matter more than the bar
_BAR = 20
_PERCENT = 5  # cells, including the gap after it


class Bar:
    """A fraction from 0 to 1 with a few phrases beside it; removed when the work is done."""

    def __init__(self, console: Console) -> None:
        bars = [BarColumn(bar_width=_BAR)] if console.width >= _NARROW else []
        self._room = console.width - _PERCENT - (_BAR + 1) * len(bars)
        share = TaskProgressColumn(table_column=Column(no_wrap=True, min_width=len("100%")))
        words = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1))
        self._progress = Progress(*bars, share, words, console=console, transient=True, expand=True)
        self._task = self._progress.add_task("", total=1.0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, share: float, phrases: Sequence[str]) -> None:
        """Move the bar to `share` of the whole; phrases that do not fit go on lines below."""
        lines = wrapped([printable(phrase) for phrase in phrases], self._room)
        self._progress.update(self._task, completed=share, description="\n".join(lines))


def wrapped(phrases: Sequence[str], room: int) -> list[str]:
    """Phrases separated by dots, in lines of at most `room` cells unless a single phrase is longer."""
    lines: list[str] = []
    for phrase in phrases:
        longer = f"{lines[-1]} · {phrase}" if lines else phrase
        if lines and cell_len(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(phrase)
    return lines
