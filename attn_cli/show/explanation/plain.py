"""A document as a text file."""

from attn_cli.show.explanation.document import Document
from attn_cli.show.explanation.layout import Layout
from attn_cli.show.explanation.writing import Writing
from attn_cli.vocabulary import Language

_WIDTH = 100


def as_text(document: Document, language: Language) -> str:
    """The lines of the document, at most 100 wide where they can be broken."""
    layout = Layout(Writing(language, document.settled), _WIDTH)
    lines = ("".join(span.text for span in spans).rstrip() for spans in layout.lines(document))
    return "".join(f"{line}\n" for line in lines)
