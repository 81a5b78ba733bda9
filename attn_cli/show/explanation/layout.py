"""Lays out a document as lines for a width, for a terminal and for a text file alike."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from rich.cells import cell_len

from attn_cli.safe_text import printable
from attn_cli.show.explanation.document import (
    Bar,
    Block,
    Cell,
    CommandLine,
    Document,
    Equation,
    Formula,
    Heading,
    Paragraph,
    Row,
    Table,
    TableColumn,
    Tone,
)
from attn_cli.show.explanation.phrases import Phrase, fill
from attn_cli.show.explanation.writing import Writing
from attn_cli.show.terminal.text_width import cut, filled, to_left, to_right

_INDENT = "    "  # before equations and commands
_GAP, _NARROW_GAP = "  ", " "  # between the columns of a table
_BAR = 20  # cells of the longest bar
_SHORTEST = 6  # cells of a label that is cut short
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_ROUNDING = Phrase("({rounding} by rounding)", "({rounding} por arredondamento)")


class Span(NamedTuple):
    """A part of a line with one tone."""

    text: str
    tone: Tone = Tone.PLAIN


LineOfSpans = list[Span]


class Layout(NamedTuple):
    """How a document is laid out."""

    writing: Writing
    width: int | None  # cells; None: lines of any length

    def lines(self, document: Document) -> Iterator[LineOfSpans]:
        """The lines of the document, with an empty one between blocks that belong apart."""
        before: Block | None = None
        for block in document.blocks:
            if before is not None and not _belong_together(before, block):
                yield []
            yield from self._block(block)
            before = block

    def _block(self, block: Block) -> Iterator[LineOfSpans]:
        if isinstance(block, Heading):
            yield from self._filled(self.writing.text(block.words), tone=Tone.TOTAL)
        elif isinstance(block, Paragraph):
            yield from self._filled(self.writing.text(block.words))
        elif isinstance(block, Equation):
            yield from self._filled(equation_text(block, self.writing), _INDENT)
        elif isinstance(block, Formula):
            yield from self._filled(self.writing.text(block.words), _INDENT, tone=Tone.QUIET)
        elif isinstance(block, CommandLine):
            yield from self._filled(self.writing.text(block.words))
            yield [Span(_INDENT + command_text(block))]  # never broken: it is meant to be copied
        else:
            yield from self._table(block)

    def _filled(self, text: str, indent: str = "", tone: Tone = Tone.PLAIN) -> Iterator[LineOfSpans]:
        if self.width is None:
            yield [Span(indent + text, tone)]
            return
        width = max(8, self.width - 2 * len(indent))
        lines = (part for line in filled(text.split(" "), " ", width) for part in _broken(line, width))
        for number, line in enumerate(lines):
            yield [Span(indent + ("  " if indent and number else "") + line, tone)]

    def _table(self, table: Table) -> Iterator[LineOfSpans]:
        rows = [row for row in table.rows if self.writing.is_drawn(row)]
        shown = self.writing.drawn_columns(table)
        while self._is_too_wide(table, rows, shown) and any(table.columns[one].is_optional for one in shown):
            shown.remove(max(one for one in shown if table.columns[one].is_optional))
        for number, part in enumerate(self._parts(table, rows, shown)):
            if number:
                yield []
            yield from self._part(table, rows, part)

    def _parts(self, table: Table, rows: Sequence[Row], shown: Sequence[int]) -> Iterator[list[int]]:
        """The columns side by side, or below one another where they do not fit: each part has the labels.

        A column of remainders stays with the column whose remainders it has.
        """
        labels = list(takewhile(lambda one: not table.columns[one].is_number, shown))
        part = list(labels)
        for unit in _units(table, shown[len(labels) :]):
            if len(part) > len(labels) and self._is_too_wide(table, rows, [*part, *unit]):
                yield part
                part = list(labels)
            part += unit
        yield part

    def _part(self, table: Table, rows: Sequence[Row], shown: Sequence[int]) -> Iterator[LineOfSpans]:
        texts = [[cell_text(row.cells[one], self.writing) for one in shown] for row in rows]
        columns = [table.columns[one] for one in shown]
        heads = [self.writing.text(column.heading) for column in columns]
        gap = _GAP if self._fits(self._wanted(heads, texts), _GAP) else _NARROW_GAP
        widths = self._widths(columns, heads, texts, gap)
        yield [Span(_line(columns, widths, heads, gap), Tone.TOTAL)]
        for row, line in zip(rows, texts, strict=True):
            yield [Span(_line(columns, widths, line, gap), row.tone)]

    def _fits(self, widths: Sequence[int], gap: str) -> bool:
        return self.width is None or sum(widths) + len(gap) * (len(widths) - 1) <= self.width

    def _is_too_wide(self, table: Table, rows: Sequence[Row], shown: Sequence[int]) -> bool:
        if self.width is None:
            return False
        texts = [[cell_text(row.cells[one], self.writing) for one in shown] for row in rows]
        columns = [table.columns[one] for one in shown]
        heads = [self.writing.text(column.heading) for column in columns]
        widths = self._wanted(heads, texts)
        labels = [number for number, column in enumerate(columns) if _is_label(column)]
        spare = sum(max(0, widths[number] - _SHORTEST) for number in labels)
        return sum(widths) + len(_NARROW_GAP) * (len(widths) - 1) - spare > self.width

    def _widths(
        self,
        columns: Sequence[TableColumn],
        heads: Sequence[str],
        texts: Sequence[Sequence[str]],
        gap: str,
    ) -> list[int]:
        """The widths of the columns; labels are cut short where the table does not fit, numbers never."""
        widths = self._wanted(heads, texts)
        over = 0 if self.width is None else sum(widths) + len(gap) * (len(widths) - 1) - self.width
        for number, column in enumerate(columns):
            if over > 0 and _is_label(column):
                narrower = max(min(widths[number], _SHORTEST), widths[number] - over)
                over -= widths[number] - narrower
                widths[number] = narrower
        return widths

    @staticmethod
    def _wanted(heads: Sequence[str], texts: Sequence[Sequence[str]]) -> list[int]:
        return [max(map(cell_len, column)) for column in zip(heads, *texts, strict=True)]


def _broken(line: str, width: int) -> Iterator[str]:
    """A line that is one long word, such as the name of a tensor: in parts, after its dots if it has any."""
    while cell_len(line) > width:
        most = max(1, sum(cell_len(line[:end]) <= width for end in range(1, len(line))))
        most = line.rfind(".", 0, most) + 1 or most
        yield line[:most]
        line = line[most:]
    yield line


def _is_label(column: TableColumn) -> bool:
    """Whether the column may be cut short; a bar is whole or left out, as a shorter one misleads."""
    return not (column.is_number or column.is_optional)


def _units(table: Table, shown: Sequence[int]) -> list[list[int]]:
    """The columns that stay together."""
    units: list[list[int]] = []
    for one in shown:
        if table.columns[one].is_rounding and units:
            units[-1].append(one)
        else:
            units.append([one])
    return units


def _line(columns: Sequence[TableColumn], widths: Sequence[int], texts: Sequence[str], gap: str) -> str:
    cells = (
        to_right(text, width) if column.is_number else to_left(cut(text, width), width)
        for column, width, text in zip(columns, widths, texts, strict=True)
    )
    return gap.join(cells).rstrip()


def cell_text(cell: Cell, writing: Writing) -> str:
    """The text of a cell; nothing where it is empty."""
    if cell is None:
        return ""
    return bar_text(cell) if isinstance(cell, Bar) else writing.text(cell)


def equation_text(equation: Equation, writing: Writing) -> str:
    """The equation, followed by what rounding left where it does not close."""
    text = writing.text(equation.words)
    if equation.closes is None or not writing.has_remainder(equation.closes):
        return text
    rounding = fill(_ROUNDING.of(writing.language), {"rounding": writing.signed_remainder(equation.closes)})
    return f"{text}  {rounding}"


def command_text(command: CommandLine) -> str:
    """The command with its arguments quoted for bash or zsh; pasted there, it runs on the same text."""
    return " ".join(map(_quoted, command.arguments))


def _quoted(argument: str) -> str:
    r"""The argument, in quotes if it needs them: `$'one\ntwo'` if a character cannot be shown as it is."""
    import shlex  # 2 ms, where a command is suggested

    if printable(argument) == argument:
        return shlex.quote(argument)
    return "$'" + "".join(map(_escaped, argument)) + "'"


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if printable(f"x{character}x") == f"x{character}x":
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def bar_text(bar: Bar) -> str:
    """A bar of up to 20 blocks, at least a thin one for any share above half a percent."""
    eighths = round(bar.share * _BAR * 8)
    whole, part = divmod(eighths, 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[part] if part else "")


def _belong_together(before: Block, after: Block) -> bool:
    """Whether no empty line stands between two blocks."""
    close = Equation | Formula | Paragraph
    return isinstance(before, Heading) or (
        isinstance(before, close) and isinstance(after, Equation | Formula | Table)
    )
