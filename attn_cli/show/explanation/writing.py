"""Turns the words and figures of a document into text: in a language, with the decimals of its ledger."""

from collections.abc import Callable
from decimal import Decimal

from attn_cli.record import record
from attn_cli.safe_text import label
from attn_cli.show.explanation.document import Operand, Outside, Remainder, Row, Table, Word, Words
from attn_cli.show.explanation.figures import Figure, Settled
from attn_cli.show.explanation.phrases import Phrase, fill
from attn_cli.vocabulary import Language


@record(frozen=True, slots=True)
class Writing:
    """How words become text."""

    language: Language
    settled: Settled
    outside: Callable[[str], str] = label  # makes text from outside harmless where it is written

    def text(self, word: Word) -> str:
        """The word with everything in it."""
        if isinstance(word, Words):
            values = {name: self.text(value) for name, value in word.values.items()}
            return fill(word.phrase.of(self.language), values)
        if isinstance(word, Phrase):
            return fill(word.of(self.language), {})
        if isinstance(word, Outside):
            return self.outside(word.text)
        if isinstance(word, int | str):
            return word if isinstance(word, str) else self._count(word)
        return self._figure(word)

    def _figure(self, word: Figure | Operand | Remainder) -> str:
        if isinstance(word, Operand):
            number = self._figure(word.figure)
            return f"({number})" if number.startswith("-") else number
        if isinstance(word, Figure):
            return self._number(self.settled.decimal(word))
        left = self.settled.remainder(word.of)
        return "" if left is None else self._number(left)

    def has_remainder(self, figure: Figure) -> bool:
        """Whether rounding left something of the figure's relation."""
        return self.settled.remainder(figure) is not None

    def is_drawn(self, row: Row) -> bool:
        """Whether the row is drawn: rows of remainders are not where all of them are nothing."""
        return not row.remainders or any(map(self.has_remainder, row.remainders))

    def drawn_columns(self, table: Table) -> list[int]:
        """The columns that are drawn: those of remainders are not where all of them are nothing."""
        return [
            number
            for number, column in enumerate(table.columns)
            if not column.is_rounding or any(map(self._has_cell(number), table.rows))
        ]

    def _has_cell(self, number: int) -> Callable[[Row], bool]:
        def is_left(row: Row) -> bool:
            cell = row.cells[number]
            return isinstance(cell, Remainder) and self.has_remainder(cell.of)

        return is_left

    def signed_remainder(self, figure: Figure) -> str:
        """The remainder as a term after a result: `+ 0.0001`, `- 0.0001`."""
        left = self.settled.remainder(figure)
        assert left is not None, "checked by the caller"
        return f"{'-' if left < 0 else '+'} {self._number(abs(left))}"

    def _number(self, value: Decimal) -> str:
        text = f"{value:f}"
        if not text.strip("-0."):
            text = text.lstrip("-")  # no negative zero
        return text.replace(".", ",") if self.language is Language.PT else text

    def _count(self, number: int) -> str:
        """A count with a mark between thousands: `32,768`, in Portuguese `32.768`."""
        text = f"{number:,}"
        return text.replace(",", ".") if self.language is Language.PT else text
