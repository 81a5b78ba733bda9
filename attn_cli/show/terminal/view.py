"""The base of all terminal views, and the sheet they draw on: its width, encoding and colours."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

from attn_cli.grid import Grid
from attn_cli.safe_text import label, printable
from attn_cli.show.terminal.number_format import NumberFormat
from attn_cli.show.terminal.shades import Shade, ramp, shade_indices
from attn_cli.show.terminal.text_width import cut, encodable, filled, folded
from attn_cli.vocabulary import Theme

Line = list[Segment]

BOLD, DIM = Style(bold=True), Style(dim=True)
MASKED = Shade(" ", DIM)
QUIET = Shade(" ", DIM)  # a number without a shade: it is written as zero, or the mask will hide it


class Sheet(NamedTuple):
    """The room that a console gives to a view."""

    width: int  # how many cells a line has, where it can be broken
    encoding: str
    colours: str | None  # the console's colour system; None: it has no colours, or may not use them
    is_endless: bool = False  # whether a line may be longer, as in a file: then nothing is cut
    theme: Theme = Theme.DARK

    @classmethod
    def of(cls, console: Console, options: ConsoleOptions, theme: Theme) -> Self:
        """The sheet as wide as the options say, in the console's characters and colours."""
        colours = None if console.no_color else console.color_system
        is_endless = options.overflow == "ignore"  # Rich's word for a console that leaves long lines alone
        return cls(options.max_width, options.encoding, colours, is_endless, theme)

    def ink(self, text: str) -> str:
        """`text` in characters that the console's encoding has."""
        return encodable(text, self.encoding)

    def cut(self, text: str, width: int) -> str:
        """`text` in at most `width` cells; on an endless sheet all of it."""
        return text if self.is_endless else cut(text, width, self.ink("…"))

    def folded(self, text: str, width: int, lines: int) -> list[str]:
        """`text` over at most so many lines of `width`; on an endless sheet over as many as it needs."""
        return folded(text, width, None if self.is_endless else lines, self.ink("…"))

    def filled(self, phrases: Sequence[str], between: str, width: int) -> list[str]:
        """The phrases on lines of `width`; one that is wider is broken at its spaces, or else cut."""
        return [self.cut(line, width) for line in filled(phrases, self.ink(between), width)]

    def inked(self, grid: Grid) -> Grid:
        """The same grid, its text safe to print."""
        return replace(
            grid,
            title=self.ink(printable(grid.title)),
            rows=tuple(self.ink(label(row)) for row in grid.rows),
            columns=tuple(self.ink(label(column)) for column in grid.columns),
        )

    def shades(self, grid: Grid, written: NumberFormat) -> list[list[Shade]]:
        """The shade of each cell, whose number is `written` like that: of the ramp, QUIET or MASKED."""
        of_theme = ramp(self.colours, self.theme, grid.limits)
        shades = [shade._replace(glyph=self.ink(shade.glyph)) for shade in of_theme] + [QUIET, MASKED]
        indices = shade_indices(grid, len(of_theme))
        indices[written.zeros(grid.values) | ~grid.unmasked] = -2
        indices[~grid.visible] = -1
        return [[shades[index] for index in row] for row in indices.tolist()]


class View:
    """A Rich renderable made of whole lines.

    The lines are made for the width that the console or a container gives; none is wrapped. A console
    with `soft_wrap` leaves long lines alone, and nothing is cut for it.
    """

    theme = Theme.DARK

    def lines(self, sheet: Sheet) -> Iterable[Line]:
        """The lines for a sheet, without line ends."""
        raise NotImplementedError

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines(Sheet.of(console, options, self.theme)):
            yield from line
            yield Segment.line()

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Any width will do; more than the longest line is not needed."""
        lines = self.lines(Sheet.of(console, options, self.theme))
        widest = max(map(Segment.get_line_length, lines), default=0)
        return Measurement(min(1, widest), widest)
