"""The matrices of a head, for `--weights`: whole ones of a small layer, else the rows that are used."""

import math
from collections.abc import Iterator, Sequence
from itertools import count

from attn_cli.answers.weight import Projection, RowOutput, RowScores, Vector
from attn_cli.record import record
from attn_cli.show.explanation.document import (
    Block,
    Paragraph,
    Remainder,
    Row,
    Table,
    TableColumn,
    Tone,
    Words,
    symbols,
    words,
)
from attn_cli.show.explanation.figures import Column, Figure, Ledger
from attn_cli.show.explanation.labels import ROUNDING, token_label
from attn_cli.show.explanation.sections.board import Board, dot
from attn_cli.vocabulary import Step

SYMBOLS = {Step.QUERIES: ("q", "Q"), Step.KEYS: ("k", "K"), Step.VALUES: ("v", "V")}
"""The letters of a projection's result and of its matrix."""

_ON_A_LINE = 8
SMALL = 16
"""Features of x: a layer up to this width is shown whole."""


def is_whole(board: Board, projection: Projection) -> bool:
    """Whether all of the layer is printed: its matrices, and every key of a short text."""
    return board.has_matrices and len(projection.input) <= SMALL and len(projection.inputs) <= SMALL


def projection_matrix(board: Board, projection: Projection, feature: int, column: Column) -> Iterator[Block]:
    """W^Q, W^K or W^V of the head with x; `column` has the numbers that they give."""
    result, letter = SYMBOLS[projection.step]
    x, own = board.columns_of(projection)
    if len(projection.input) > SMALL:
        yield from _numbers(board, symbols("x"), projection.input, x)
        yield from _numbers(board, symbols(f"W^{letter}[{feature}]"), projection.weight[feature], own)
        return
    yield Paragraph(
        words(
            "W^{letter} with x: each number of {result} is the dot product of x and its column{bias}:",
            "W^{letter} com x: cada número de {result} é o produto escalar de x pela sua coluna{bias}:",
            letter=letter,
            result=result,
            bias="" if projection.bias is None else words(", plus b", ", mais b"),
        )
    )
    yield _matrix(board, projection, symbols(result), column)


@record(frozen=True, slots=True, eq=False)
class _Matrix:
    """The figures of a head's matrix: a row for each output, and its bias."""

    rows: Sequence[Sequence[Figure]]  # (D, M)
    bias: Sequence[Figure] | None  # (D,)

    def result(self, ledger: Ledger, value: float, x: Sequence[Figure], one: int, column: Column) -> Figure:
        """Output `one` for an x."""
        added = [] if self.bias is None else [self.bias[one]]
        return ledger.result(value, dot, [*x, *self.rows[one], *added], column)


def _figures(board: Board, projection: Projection) -> _Matrix:
    _, own = board.columns_of(projection)
    bias = None if projection.bias is None else _row(board, projection.bias, own)
    return _Matrix([_row(board, row, own) for row in projection.weight], bias)


def _row(board: Board, values: Vector, column: Column) -> list[Figure]:
    return [board.ledger.given(value, column) for value in values]


def _matrix(board: Board, projection: Projection, name: Words, column: Column) -> Table:
    """All of the head's matrix, transposed: a row for each feature of x."""
    of_x, _ = board.columns_of(projection)
    x, matrix, size = _row(board, projection.input, of_x), _figures(board, projection), len(projection.plain)
    results = [matrix.result(board.ledger, projection.plain[one], x, one, column) for one in range(size)]
    rows = [Row((str(line), x[line], *(row[line] for row in matrix.rows))) for line in range(len(x))]
    if matrix.bias is not None:
        rows.append(Row((symbols("b"), None, *matrix.bias)))
    rows.append(Row((ROUNDING, None, *map(Remainder, results)), Tone.QUIET))
    rows.append(Row((name, None, *results), Tone.TOTAL))
    return Table([_names(), TableColumn(symbols("x")), *_numbered(size)], rows)


def inputs_table(board: Board, projection: Projection) -> Iterator[Block]:
    """x of every token on the side of the keys."""
    of_x, _ = board.columns_of(projection)
    yield Paragraph(words("x of every token:", "x de cada token:"))
    rows = [
        Row((token_label(board.sides.keys, place), *_row(board, x, of_x)))
        for place, x in enumerate(projection.inputs)
    ]
    yield Table([_names(), *_numbered(len(projection.input))], rows)


def every_key(board: Board, projection: Projection, column: Column) -> Iterator[Block]:
    """The key or the value of every token: from its x, where nothing but the matrix makes it."""
    explanation = board.explanation
    is_key = projection.step is Step.KEYS
    vectors = explanation.scores.keys if is_key and explanation.scores is not None else explanation.values
    assert vectors is not None, "a layer that is printed whole has keys and values"
    of_x, _ = board.columns_of(projection)
    matrix, rows = _figures(board, projection), list[Row]()
    is_plain = projection.norm is None and projection.turn is None
    for place, (x, vector) in enumerate(zip(projection.inputs, vectors, strict=True)):
        figures = _row(board, x, of_x)
        cells = [
            matrix.result(board.ledger, value, figures, one, column)
            if is_plain
            else board.ledger.given(value, column)
            for one, value in enumerate(vector)
        ]
        rows.append(Row((token_label(board.sides.keys, place), *cells)))
        rows.append(Row((ROUNDING, *map(Remainder, cells)), Tone.QUIET))
    if is_key:
        yield Paragraph(
            words(
                "The keys of all tokens, {how}:",
                "As chaves de todos os tokens, {how}:",
                how=_made(projection),
            )
        )
    else:
        yield Paragraph(
            words("The values of all tokens, likewise:", "Os valores de todos os tokens, do mesmo modo:")
        )
    yield Table([_names(), *_numbered(vectors.shape[1])], rows)


def _made(projection: Projection) -> Words:
    """How the keys of all tokens come about."""
    if projection.norm is None and projection.turn is None:
        return words("likewise", "do mesmo modo")
    if projection.turn is None:
        return words("after QK-norm", "depois da QK-norm")
    if projection.norm is None:
        return words("after RoPE", "depois do RoPE")
    return words("after QK-norm and RoPE", "depois da QK-norm e do RoPE")


def is_root(scores: RowScores) -> bool:
    """Whether the scale divides by √D."""
    return math.isclose(scores.scale * math.sqrt(len(scores.query)), 1, rel_tol=1e-6)


def every_dot(board: Board, scores: RowScores, of_dot: Column, of_score: Column) -> Iterator[Block]:
    """q·k and the score of the query with every key."""
    ledger = board.ledger
    query, rows = _row(board, scores.query, board.queries), list[Row]()
    scale = [] if is_root(scores) else [ledger.given(scores.scale, board.scale)]

    def _scaled(one: float, by: float = 1 / math.sqrt(len(query))) -> float:
        return one * by

    for place, key in enumerate(scores.keys):
        product = ledger.result(scores.dots[place], dot, [*query, *_row(board, key, board.keys)], of_dot)
        score = ledger.result(scores.scores[place], _scaled, (product, *scale), of_score)
        rows.append(Row((token_label(board.sides.keys, place), product, score)))
        rows.append(Row((ROUNDING, Remainder(product), Remainder(score)), Tone.QUIET))
    yield Paragraph(
        words(
            "q·k with every key, and the score that the scale makes of it:",
            "q·k com cada chave, e o escore em que a escala o transforma:",
        )
    )
    yield Table([_names(), TableColumn(symbols("q·k")), TableColumn(words("score", "escore"))], rows)


def _names() -> TableColumn:
    return TableColumn(symbols(""), is_number=False)


def _numbered(count: int) -> list[TableColumn]:
    return [TableColumn(symbols(str(one))) for one in range(count)]


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
    """A name, and all numbers of a vector, eight on a line, each line with the index of its first."""
    figures: list[Figure | None] = [board.ledger.given(value, column) for value in values]
    yield Paragraph(
        words(
            "{name}, all {count} numbers:", "{name}, todos os {count} números:", name=name, count=len(figures)
        )
    )
    figures += [None] * (-len(figures) % _ON_A_LINE)
    starts = range(0, len(figures), _ON_A_LINE)
    rows = [Row((str(start), *figures[start : start + _ON_A_LINE])) for start in starts]
    yield Table([_names(), *(TableColumn(symbols(f"+{one}")) for one in range(_ON_A_LINE))], rows)
