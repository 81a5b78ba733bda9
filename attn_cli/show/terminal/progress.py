"""A progress bar on standard error."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column

from attn_cli.safe_text import printable

_NARROW = 60  # cells: below, the words count more than the bar


class Bar:
    """A share from 0 to 1 and a few words beside it; gone when the work is done."""

    def __init__(self, console: Console) -> None:
        bars = [BarColumn(bar_width=20)] if console.width >= _NARROW else []
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

    def show(self, share: float, words: str) -> None:
        """Move the bar to `share` of the whole."""
        self._progress.update(self._task, completed=share, description=printable(words))

    def line(self, text: str) -> None:
        """A line that stays, above the bar."""
        self._progress.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)
