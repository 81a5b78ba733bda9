"""The base class of terminal views, and the sheet they draw on: its width, encoding and colours."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

from attn_cli.grid import Grid
from attn_cli.record import record
from attn_cli.safe_text import LEFT_TO_RIGHT, label, printable
from attn_cli.show.terminal.number_format import NumberFormat
from attn_cli.show.terminal.shades import Shade, ramp, shade_indices
from attn_cli.show.terminal.text_width import cut, encodable, filled, folded
from attn_cli.vocabulary import Theme

Line = list[Segment]


class Prose(Line):
    """A line of running text, whose words keep the order of their script."""


BOLD, DIM = Style(bold=True), Style(dim=True)
MASKED = Shade(" ", DIM)
QUIET = Shade(" ", DIM)  # a number without a shade: it is written as zero, or will be masked


@record(frozen=True, slots=True)
class Sheet:
    """The space that a console gives to a view."""

    width: int  # cells per line, for text that can be wrapped
    encoding: str
    colours: str | None  # the console's colour system; None if it has no colours, or they are disabled
    is_endless: bool = False  # whether lines may be longer, as in a file: then nothing is truncated
    theme: Theme = Theme.DARK

    @classmethod
    def of(cls, console: Console, options: ConsoleOptions, theme: Theme) -> Self:
        """A sheet of the width in `options`, with the console's encoding and colours."""
        colours = None if console.no_color else console.color_system
        is_endless = options.overflow == "ignore"  # set for a console that does not break long lines
        return cls(options.max_width, options.encoding, colours, is_endless, theme)

    def ink(self, text: str) -> str:
        """`text` in characters that the console's encoding supports."""
        return encodable(text, self.encoding)

    def has(self, text: str) -> bool:
        """Whether the console's encoding supports all of the text."""
        return self.ink(text) == text

    def cut(self, text: str, width: int) -> str:
        """`text` truncated to `width` cells; on an endless sheet all of it."""
        return text if self.is_endless else cut(text, width, self.ink("…"))

    def folded(self, text: str, width: int, lines: int) -> list[str]:
        """`text` over at most `lines` lines of `width`; on an endless sheet over as many as it needs."""
        return folded(text, width, None if self.is_endless else lines, self.ink("…"))

    def filled(self, phrases: Sequence[str], between: str, width: int) -> list[str]:
        """The phrases on lines of `width`; a wider phrase is broken at its spaces, or else truncated."""
        return [self.cut(line, width) for line in filled(phrases, self.ink(between), width)]

    def inked(self, grid: Grid) -> Grid:
        """The same grid with text that is safe to print."""
        return replace(
            grid,
            title=self.ink(printable(grid.title)),
            rows=tuple(self.ink(label(row)) for row in grid.rows),
            columns=tuple(self.ink(label(column)) for column in grid.columns),
        )

    def shades(self, grid: Grid, written: NumberFormat) -> list[list[Shade]]:
        """The shade of each cell: one of the ramp, QUIET or MASKED; `written` tells which are zero."""
        of_theme = ramp(self.colours, self.theme, grid.limits)
        shades = [replace(shade, glyph=self.ink(shade.glyph)) for shade in of_theme] + [QUIET, MASKED]
        indices = shade_indices(grid, len(of_theme))
        indices[written.zeros(grid.values) | ~grid.unmasked] = -2
        indices[~grid.visible] = -1
        return [[shades[index] for index in row] for row in indices.tolist()]


class View:
    """A Rich renderable made of complete lines.

    The lines are made for the width of the console or container and are not wrapped. A console with
    `soft_wrap` does not break long lines, so nothing is truncated for it.
    """

    theme = Theme.DARK

    def lines(self, sheet: Sheet) -> Iterable[Line]:
        """The lines for a sheet, without newlines."""
        raise NotImplementedError

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sheet = Sheet.of(console, options, self.theme)
        has_marks = sheet.has(LEFT_TO_RIGHT)
        is_beside_nothing = options.max_width == console.width  # in a panel, columns begin elsewhere
        has_cursor = is_beside_nothing and not (console.is_dumb_terminal or console.legacy_windows)
        if sheet.is_endless:
            for line in self.lines(sheet):
                yield from (*line, Segment.line())
            return
        from attn_cli.show.terminal.steady_lines import steadied  # files and pipes do without

        for line in self.lines(sheet):
            if isinstance(line, Prose):
                yield from line
            else:
                yield from steadied(line, has_marks=has_marks, has_cursor=has_cursor)
            yield Segment.line()

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Any width will do; no more than the longest line is needed."""
        lines = self.lines(Sheet.of(console, options, self.theme))
        widest = max(map(Segment.get_line_length, lines), default=0)
        return Measurement(min(1, widest), widest)
