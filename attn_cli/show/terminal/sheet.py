"""What there is to draw on: so wide, in these characters, with these shades."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style

from attn_cli.core.grid import Grid
from attn_cli.labels import label, printable
from attn_cli.show.scale import is_signed
from attn_cli.show.terminal.fitting import encodable
from attn_cli.show.terminal.shades import Shade, ramp

Line = list[Segment]

BOLD, DIM = Style(bold=True), Style(dim=True)
MASKED = Shade(" ", DIM)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A console, as all that draws on it may know it."""

    console: Console

    @property
    def width(self) -> int:
        """How many cells a line may have."""
        return self.console.width

    def ink(self, text: str) -> str:
        """`text` in characters that the console's encoding has."""
        return encodable(text, self.console.encoding)

    def inked(self, grid: Grid) -> Grid:
        """The same grid, its text safe to print."""
        return replace(
            grid,
            title=self.ink(printable(grid.title)),
            rows=tuple(self.ink(label(row)) for row in grid.rows),
            columns=tuple(self.ink(label(column)) for column in grid.columns),
        )

    def shades(self, grid: Grid) -> tuple[Shade, ...]:
        """The shades for the numbers of `grid`, then, where -1 finds it, the one for masked cells."""
        shades = ramp(self.console, signed=is_signed(grid.limits))
        return (*(shade._replace(glyph=self.ink(shade.glyph)) for shade in shades), MASKED)

    def show(self, lines: Iterable[Line]) -> None:
        """Print the lines; none is wrapped, whatever its width."""
        segments = [segment for line in lines for segment in (*line, Segment.line())]
        self.console.print(Segments(segments), end="")
