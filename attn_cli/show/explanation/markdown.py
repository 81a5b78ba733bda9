"""A document as Markdown, with formulas in LaTeX, for a page or a notebook."""

import re
from collections.abc import Iterator, Sequence

from attn_cli.safe_text import label
from attn_cli.show.explanation.document import (
    Block,
    CommandLine,
    Document,
    Equation,
    Formula,
    Heading,
    Paragraph,
    Row,
    Table,
    Tone,
)
from attn_cli.show.explanation.layout import cell_text, command_text, equation_text
from attn_cli.show.explanation.phrases import fill
from attn_cli.show.explanation.writing import Writing
from attn_cli.vocabulary import Language

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~$&^])")


def as_markdown(document: Document, language: Language) -> str:
    """The document; text from outside is escaped, so that no token is markup or HTML."""
    writing = Writing(language, document.settled, outside=escaped)
    return "\n".join(line for block in document.blocks for line in _block(block, writing)) + "\n"


def escaped(text: str) -> str:
    """Text from outside as Markdown shows it literally: entities for what begins HTML, else backslashes."""
    safe = label(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(lambda mark: mark[0] if mark[0] in "&;" else "\\" + mark[0], safe)


def _block(block: Block, writing: Writing) -> Iterator[str]:
    if isinstance(block, Heading):
        yield from (f"{'#' * block.level} {writing.text(block.words)}", "")
    elif isinstance(block, Paragraph):
        yield from (writing.text(block.words), "")
    elif isinstance(block, Equation):
        yield from (_equation(block, writing), "")
    elif isinstance(block, Formula):
        yield from (f"$${block.latex}$$", "")
    elif isinstance(block, CommandLine):
        yield from (writing.text(block.words), "", *_code(command_text(block)), "")
    else:
        yield from _table(block, writing)
        yield ""


def _equation(equation: Equation, writing: Writing) -> str:
    """In LaTeX if it is given so, else as a line of its own."""
    if not equation.latex:
        return equation_text(equation, writing)
    values = {name: _in_latex(writing.text(value)) for name, value in equation.words.values.items()}
    rest = ""
    if equation.closes is not None and writing.has_remainder(equation.closes):
        rest = f" \\quad ({_in_latex(writing.signed_remainder(equation.closes))})"
    return f"$${fill(equation.latex, values)}{rest}$$"


def _code(text: str) -> tuple[str, str, str]:
    """A block of code, fenced by more backticks than the text has in a row."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return fence, text, fence


def _in_latex(number: str) -> str:
    return number.replace(",", "{,}")


def _table(table: Table, writing: Writing) -> Iterator[str]:
    shown = writing.drawn_columns(table)
    columns = [table.columns[number] for number in shown]
    yield _row([writing.text(column.heading) for column in columns])
    yield _row(["--:" if column.is_number else ":--" for column in columns])
    for row in table.rows:
        if writing.is_drawn(row):
            yield _row(_cells(row, shown, writing))


def _cells(row: Row, shown: Sequence[int], writing: Writing) -> Sequence[str]:
    texts = [cell_text(row.cells[number], writing) for number in shown]
    is_strong = row.tone in {Tone.TOTAL, Tone.CHOSEN}
    return [f"**{text}**" if is_strong and text else text for text in texts]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
