"""What is printed, whatever it is printed on: headings, sentences, equations and tables of figures."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import Enum, auto
from typing import TypeAlias

from attn_cli.record import record
from attn_cli.show.explanation.figures import Figure, Settled
from attn_cli.show.explanation.phrases import Phrase, same


@record(frozen=True, slots=True)
class Outside:
    """Text from outside, such as a token: it is never markup."""

    text: str


@record(frozen=True, slots=True)
class Remainder:
    """What rounding left of a figure's relation; nothing where the printed arithmetic closes."""

    of: Figure


@record(frozen=True, slots=True)
class Operand:
    """A figure after an operator: in parentheses if it is negative."""

    figure: Figure


@record(frozen=True, slots=True)
class Words:
    """A phrase with its values."""

    phrase: Phrase
    values: "Mapping[str, Word]" = field(default_factory=dict)


Word: TypeAlias = Figure | Operand | Remainder | Outside | Words | Phrase | str | int
"""A value in a sentence; a `str` is ours (a number of a head, a symbol), and the same in every language."""


def words(en: str, pt: str, **values: Word) -> Words:
    """A sentence in both languages with its values."""
    return Words(Phrase(en, pt), values)


def symbols(text: str, **values: Word) -> Words:
    """What is the same in every language but for its numbers: `{dot} ÷ √{size} = {score}`."""
    return Words(same(text), values)


@record(frozen=True, slots=True)
class Heading:
    """A heading; `level` 1 is the title, 2 a step."""

    words: Words
    level: int = 2


@record(frozen=True, slots=True)
class Paragraph:
    """One or more sentences."""

    words: Words


@record(frozen=True, slots=True)
class Equation:
    """A line of arithmetic with the real numbers; `latex` has the same values, for Markdown."""

    words: Words
    latex: str = ""
    closes: Figure | None = None  # the result: where it does not close, its remainder is said after it


@record(frozen=True, slots=True)
class Formula:
    """A formula in symbols, as a textbook has it."""

    words: Words
    latex: str


@record(frozen=True, slots=True)
class CommandLine:
    """A command to go on with; `arguments` are quoted for a shell where they are drawn."""

    words: Words
    arguments: Sequence[str]


@record(frozen=True, slots=True)
class Bar:
    """A share from 0 to 1, drawn as a bar."""

    share: float


Cell: TypeAlias = Word | Bar | None


class Tone(Enum):
    """How much a row asks for attention."""

    PLAIN = auto()
    CHOSEN = auto()  # what the question is about
    TOTAL = auto()
    QUIET = auto()  # sums of what is not listed, rounding


@record(frozen=True, slots=True)
class TableColumn:
    """A column of a table."""

    heading: Words
    is_number: bool = True  # right-aligned
    is_optional: bool = False  # left out where the table is too wide, the last such column first
    is_rounding: bool = False  # of remainders: left out where none of them is left


@record(frozen=True, slots=True)
class Row:
    """A row of cells; a row of remainders is drawn only where one of them is left."""

    cells: Sequence[Cell]
    tone: Tone = Tone.PLAIN

    @property
    def remainders(self) -> list[Figure]:
        """The figures whose remainders make up the row; none if it has other numbers."""
        if any(isinstance(cell, Figure) for cell in self.cells):
            return []
        return [cell.of for cell in self.cells if isinstance(cell, Remainder)]


@record(frozen=True, slots=True)
class Table:
    """Rows under headings."""

    columns: Sequence[TableColumn]
    rows: Sequence[Row]


Block: TypeAlias = Heading | Paragraph | Equation | Formula | CommandLine | Table


@record(frozen=True, slots=True)
class Document:
    """Blocks in reading order, with the decimals of their figures."""

    blocks: Sequence[Block]
    settled: Settled
