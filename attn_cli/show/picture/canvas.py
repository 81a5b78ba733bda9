"""What a picture is drawn on: the width of the page, the size of its type, its font and its colours."""

from pathlib import Path

from attn_cli.record import record

LABELS = 8.0
"""The size of labels, in points, unless another is asked for."""


@record(frozen=True, slots=True)
class Canvas:
    """The page that panels are laid out on; its height follows."""

    width: float | None = None  # inches; None: as the panels need
    size: float = LABELS  # of labels, in points
    font: Path | None = None  # a file; None: DejaVu Sans
    cmap: str | None = None  # None: as suits the values
    is_dark: bool = False
    is_transparent: bool = False

    @property
    def ink(self) -> str:
        """The colour of letters and lines."""
        return "#e8e8e8" if self.is_dark else "black"

    @property
    def faint_ink(self) -> str:
        """The colour of letters that matter less."""
        return "#9a9a9a" if self.is_dark else "#8c8c8c"

    @property
    def ground(self) -> str:
        """The colour of the page, also where it is left transparent."""
        return "#16161a" if self.is_dark else "white"

    @property
    def blank(self) -> str:
        """The colour of cells without a value, hatched with `hatch`."""
        return "#34343a" if self.is_dark else "#dcdcdc"

    @property
    def hatch(self) -> str:
        """The colour of the lines over cells without a value."""
        return "#5a5a62" if self.is_dark else "#a8a8a8"


USUAL = Canvas()
"""Black on white, as wide as the panels need."""
