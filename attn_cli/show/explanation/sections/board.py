"""What the sections of an explanation share: the numbers, the ledger, and columns that recur."""

import math
from collections.abc import Callable, Generator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.answers.weight import Explanation, Projection, Vector
from attn_cli.grid import Sides
from attn_cli.record import record
from attn_cli.show.explanation.document import (
    Block,
    Cell,
    Operand,
    Outside,
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
from attn_cli.show.explanation.labels import ROUNDING, token_name
from attn_cli.vocabulary import Step

Steps: TypeAlias = Generator[Block, None, Figure]
"""Blocks that end in the figure that the next step goes on from."""

_MANY = 1_000_000
_FEW = 16  # keys that are all listed, in the order of the text


@record(frozen=True, slots=True, eq=False)
class Board:
    """One explanation on its way to the page.

    A number that is printed twice has the same column both times, and so the same decimals.
    """

    explanation: Explanation
    ledger: Ledger
    sides: Sides
    model: str
    most: int  # rows of a table before the rest is summed up
    has_matrices: bool  # whether the rows of the matrices are printed
    queries: Column
    keys: Column
    logits: Column
    weights: Column
    context: Column
    output: Column
    output_matrix: Column
    query_input: Column
    key_input: Column
    query_matrix: Column
    key_matrix: Column
    value_matrix: Column
    frequency: Column  # of RoPE
    scale: Column

    @classmethod
    def of(
        cls,
        explanation: Explanation,
        sides: Sides,
        model: str,
        *,
        digits: int,
        most: int,
        has_matrices: bool,
    ) -> "Board":
        """A board with a new ledger."""
        ledger = Ledger(digits)
        columns = (ledger.column() for _ in range(14))
        return cls(explanation, ledger, sides, model, most, has_matrices, *columns)

    def columns_of(self, projection: Projection) -> tuple[Column, Column]:
        """The columns of the x and the matrix of a projection."""
        if projection.step is Step.QUERIES:
            return self.query_input, self.query_matrix
        return self.key_input, self.key_matrix if projection.step is Step.KEYS else self.value_matrix

    @property
    def model_name(self) -> Outside:
        """The name of the model."""
        return Outside(self.model)

    @property
    def query(self) -> Words:
        """The query token with its position."""
        return token_name(self.sides.queries, self.explanation.query)

    @property
    def key(self) -> Words:
        """The key token with its position."""
        return self.key_at(self.explanation.key)

    def key_at(self, position: int) -> Words:
        """Any key token with its position."""
        return token_name(self.sides.keys, position)


def not_listed(count: int, listed: Sequence[int]) -> npt.NDArray[np.intp]:
    """The indices below `count` that are not listed."""  # np.setdiff1d imports numpy.ma: 10 ms
    is_left = np.ones(count, bool)
    is_left[list(listed)] = False
    return np.flatnonzero(is_left)


def largest(values: Vector, most: int) -> list[int]:
    """The indices of the largest magnitudes, the largest first; all of them if only one would be left out."""
    order = np.argsort(-np.abs(values), kind="stable")
    return [int(index) for index in (order if len(order) <= most + 1 else order[:most])]


def listed_keys(explanation: Explanation, most: int) -> list[int]:
    """The keys of a row that are listed: all in the order of the text if they are few, else the largest.

    The key that is explained is always among them, if the query may look at it.
    """
    softmax, key = explanation.softmax, explanation.key
    seen = np.flatnonzero(softmax.mask)
    if len(seen) <= _FEW:
        return [int(one) for one in seen]
    order = seen[np.argsort(-softmax.weights[seen], kind="stable")]
    chosen = [int(one) for one in order[:most]]
    if softmax.mask[key] and key not in chosen:
        chosen[-1] = key
    return chosen


def ratio(ledger: Ledger, own: Figure, other: Figure) -> Words:
    """How many times the weight of another logit: `exp(2.0 - 1.0) = 2.7`."""
    gap = own.value - other.value
    if abs(gap) > math.log(_MANY):
        return words(
            "more than {many}" if gap > 0 else "less than 1/{many}",
            "mais de {many}" if gap > 0 else "menos de 1/{many}",
            many=_MANY,
        )
    least = max(0, 2 - int(gap / math.log(10))) if gap > 0 else 4
    times = ledger.result(
        math.exp(gap), lambda one, less: math.exp(one - less), (own, other), ledger.column(least)
    )
    return symbols("exp({own} - {other}) = {times}", own=own, other=Operand(other), times=times)


@record(frozen=True, slots=True, eq=False)
class Factor:
    """One of the two factors of a sum of products."""

    values: Vector  # (N,)
    column: Column
    heading: Words


@record(frozen=True, slots=True, eq=False)
class SumOfProducts:
    """A sum of products as a table, and its figures."""

    table: Table
    total: Figure
    left: dict[int, Figure]
    right: dict[int, Figure]


def sum_of_products(
    ledger: Ledger,
    factors: tuple[Factor, Factor],
    total: tuple[Words, float, Column],
    *,
    most: int,
    names: tuple[Words, Callable[[int], Cell]],
    rest: Callable[[int], Words],
    added: Sequence[tuple[Words, float]] = (),
    are_printed: bool = False,
) -> SumOfProducts:
    """Σ left × right + what is `added`: the largest products line by line, the rest as one sum.

    `names` are the heading and the names of the lines, `rest` names the sum of the others by their number;
    `are_printed`: all factors are printed above, so that the rest follows from them too.
    """
    left, right = factors
    products = left.values.astype(np.float64) * right.values.astype(np.float64)
    listed = largest(products, most)
    column = ledger.column()
    lefts = {one: ledger.given(left.values[one], left.column) for one in listed}
    rights = {one: ledger.given(right.values[one], right.column) for one in listed}
    rows, terms = list[Row](), list[Figure]()
    for one in listed:
        terms.append(ledger.result(products[one], _times, (lefts[one], rights[one]), column))
        rows.append(Row((names[1](one), lefts[one], rights[one], terms[-1], Remainder(terms[-1]))))
    others = not_listed(len(products), listed)
    if others.size:
        factors_of_rest = [
            ledger.given(factor.values[one], factor.column)
            for factor in factors
            for one in (others if are_printed else ())
        ]
        terms.append(_rest(ledger, products[others].sum(), factors_of_rest, column))
        rows.append(Row((rest(len(others)), None, None, terms[-1], Remainder(terms[-1])), Tone.QUIET))
    for name, value in added:
        terms.append(ledger.given(value, column))
        rows.append(Row((name, None, None, terms[-1], None)))
    title, value, own = total
    figure = ledger.total(value, terms, own)
    rows.append(Row((ROUNDING, None, None, Remainder(figure), None), Tone.QUIET))
    rows.append(Row((title, None, None, figure, None), Tone.TOTAL))
    heads = (
        TableColumn(names[0], is_number=False),
        TableColumn(left.heading),
        TableColumn(right.heading),
        TableColumn(words("product", "produto")),
        TableColumn(ROUNDING, is_rounding=True),
    )
    return SumOfProducts(Table(heads, rows), figure, lefts, rights)


def _rest(ledger: Ledger, value: float, factors: Sequence[Figure], column: Column) -> Figure:
    """The sum of the products that are not listed; `factors` are the left ones, then the right ones."""
    return ledger.result(value, dot, factors, column) if factors else ledger.given(value, column)


def dot(*values: float) -> float:
    """Σ left × right of the left ones, then as many right ones, and perhaps something to add."""
    count = len(values) // 2
    return float(np.dot(values[:count], values[count : 2 * count])) + sum(values[2 * count :])


def _times(left: float, right: float) -> float:
    return left * right
