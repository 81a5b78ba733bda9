"""A document in a terminal or a pipe, as a Rich renderable."""

from collections.abc import Iterator

from rich.segment import Segment
from rich.style import Style

from attn_cli.show.explanation.document import Document, Tone
from attn_cli.show.explanation.layout import Layout
from attn_cli.show.explanation.writing import Writing
from attn_cli.show.terminal.view import BOLD, DIM, Line, Sheet, View
from attn_cli.vocabulary import Language

_STYLES = {
    Tone.PLAIN: Style.null(),
    Tone.CHOSEN: Style(reverse=True),
    Tone.TOTAL: BOLD,
    Tone.QUIET: DIM,
}


class Explained(View):
    """The document as wide as the console."""

    def __init__(self, document: Document, language: Language) -> None:
        self._document, self._language = document, language

    def lines(self, sheet: Sheet) -> Iterator[Line]:
        """Its lines, in the characters that the console has."""
        writing = Writing(self._language, self._document.settled)
        layout = Layout(writing, None if sheet.is_endless else sheet.width)
        for spans in layout.lines(self._document):
            yield [Segment(sheet.ink(span.text), _STYLES[span.tone]) for span in spans]
