"""The matrices of a head, for `--weights`: whole ones of a small layer, else the rows that are used."""

from collections.abc import Iterator, Sequence
from itertools import count

from attn_cli.answers.weight import Projection, RowOutput, Vector
from attn_cli.show.explanation.document import (
    Block,
    Equation,
    Paragraph,
    Remainder,
    Row,
    Table,
    TableColumn,
    Tone,
    Word,
    Words,
    symbols,
    words,
)
from attn_cli.show.explanation.figures import Column, Figure
from attn_cli.show.explanation.labels import ROUNDING
from attn_cli.show.explanation.sections.board import Board, dot

SMALL = 16
"""Features of x: a layer up to this width is shown whole."""


def projection_matrix(
    board: Board, projection: Projection, feature: int, names: tuple[str, str]
) -> Iterator[Block]:
    """W^Q, W^K or W^V of the head with x; `names` are the symbols of the result and the matrix."""
    result, letter = names
    x, own = board.columns_of(projection)
    if len(projection.input) <= SMALL:
        yield Paragraph(
            words(
                "W^{letter} with x: each number of {result} is the dot product of x and its column{bias}:",
                "W^{letter} com x: cada número de {result} é o produto escalar de x pela sua coluna{bias}:",
                letter=letter,
                result=result,
                bias="" if projection.bias is None else words(", plus b", ", mais b"),
            )
        )
        yield _whole(board, projection, (symbols(f"{result}"), x, own))
        return
    yield from _numbers(board, symbols("x"), projection.input, x)
    yield from _numbers(board, symbols(f"W^{letter}[{feature}]"), projection.weight[feature], own)


def _whole(board: Board, projection: Projection, columns: tuple[Words, Column, Column]) -> Table:
    """All of the head's matrix, transposed: a row for each feature of x."""
    name, of_x, of_matrix = columns
    ledger, size = board.ledger, len(projection.plain)
    x = [ledger.given(value, of_x) for value in projection.input]
    matrix = [[ledger.given(value, of_matrix) for value in row] for row in projection.weight]
    bias = None if projection.bias is None else [ledger.given(value, of_matrix) for value in projection.bias]
    of_result = ledger.column()
    results = [
        ledger.result(
            projection.plain[one],
            dot,
            [*x, *matrix[one], *([] if bias is None else [bias[one]])],
            of_result,
        )
        for one in range(size)
    ]
    rows = [Row((str(line), x[line], *(row[line] for row in matrix))) for line in range(len(x))]
    if bias is not None:
        rows.append(Row((symbols("b"), None, *bias)))
    rows.append(Row((ROUNDING, None, *map(Remainder, results)), Tone.QUIET))
    rows.append(Row((name, None, *results), Tone.TOTAL))
    heads = [TableColumn(symbols(""), is_number=False), TableColumn(symbols("x"))]
    return Table([*heads, *(TableColumn(symbols(str(one))) for one in range(size))], rows)


def output_matrix(board: Board, context: Vector, output: RowOutput, feature: int) -> Iterator[Block]:
    """The head's slice of W^O: whole with all of its outputs, or the row that is used."""
    if len(output.output) > SMALL:
        yield from _numbers(board, symbols("a"), context, board.context)
        yield from _numbers(board, symbols(f"W^O[{feature}]"), output.matrix[feature], board.output_matrix)
        return
    ledger = board.ledger
    a = [ledger.given(value, board.context) for value in context]
    rows = [Row((symbols("a"), *a, None, None), Tone.TOTAL)]
    for number, line, value in zip(count(), output.matrix, output.output, strict=False):
        matrix = [ledger.given(one, board.output_matrix) for one in line]
        result = ledger.result(value, dot, [*a, *matrix], board.output)
        rows.append(Row((symbols(f"o[{number}]"), *matrix, result, Remainder(result))))
    heads = [TableColumn(symbols(""), is_number=False)]
    heads += [TableColumn(symbols(str(one))) for one in range(len(a))]
    yield Paragraph(
        words(
            "This head's columns of W^O: each output is the dot product of a and its row:",
            "As colunas de W^O desta cabeça: cada saída é o produto escalar do vetor a pela sua linha:",
        )
    )
    yield Table([*heads, TableColumn(symbols("o")), TableColumn(ROUNDING, is_rounding=True)], rows)


def _numbers(board: Board, name: Words, values: Vector, column: Column) -> Iterator[Block]:
    """A name, and all numbers of a vector in reading order."""
    figures: Sequence[Figure] = [board.ledger.given(value, column) for value in values]
    yield Paragraph(
        words(
            "{name}, all {count} numbers:", "{name}, todos os {count} números:", name=name, count=len(figures)
        )
    )
    listed: dict[str, Word] = {f"n{number}": figure for number, figure in enumerate(figures)}
    yield Equation(symbols(" ".join(f"{{{number}}}" for number in listed), **listed))
