"""Chooses the decimals of printed numbers such that the printed arithmetic closes.

A reader with a calculator sees only rounded numbers. A `Ledger` is told how each number was computed from
others, and gives the operands as many decimals as the printed result needs: with them the result is
recomputed to within one unit of its last digit. A column of a sum is printed with the decimals of its total,
and what rounding left over is a line of its own, so that columns add up exactly. What no number of decimals
can close, because the model computed in float16 for example, has a remainder too.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import SupportsFloat, TypeAlias

from attn_cli.record import record

MOST_DECIMALS = 15
_TOLERANCE = 0.75  # units of the last digit: then a rounded recomputation differs by at most one

Arithmetic: TypeAlias = Callable[..., float]
"""How a printed number follows from printed ones."""


@record(frozen=True, slots=True, eq=False)
class Column:
    """Numbers with the same decimals: a column of a table, or a single number."""

    least: int


@record(frozen=True, slots=True, eq=False)
class Figure:
    """A number to be printed; its value is exact, its column decides its decimals."""

    value: float
    column: Column


@record(frozen=True, slots=True, eq=False)
class _Relation:
    """How a figure follows from others: by a formula, or as their sum if there is none."""

    result: Figure
    operands: tuple[Figure, ...]
    formula: Arithmetic | None


class Ledger:
    """Collects figures in the order in which they are printed, and how they follow from earlier ones."""

    def __init__(self, digits: int) -> None:
        """`digits`: the decimals of a number that nothing else is computed from."""
        self._digits = digits
        self._relations: list[_Relation] = []

    def column(self, least: int | None = None) -> Column:
        """A new column, of at least so many decimals."""
        return Column(self._digits if least is None else least)

    def given(self, value: SupportsFloat, column: Column | None = None) -> Figure:
        """A number that is not computed from printed ones."""
        return Figure(float(value), column or self.column())

    def result(
        self,
        value: SupportsFloat,
        formula: Arithmetic,
        operands: Sequence[Figure],
        column: Column | None = None,
    ) -> Figure:
        """A number that `formula` gives for the values of `operands`, all of which are printed before it."""
        figure = self.given(value, column)
        self._relations.append(_Relation(figure, tuple(operands), formula))
        return figure

    def total(self, value: SupportsFloat, terms: Iterable[Figure], column: Column | None = None) -> Figure:
        """The sum of printed terms; print its remainder as one more term."""
        figure = self.given(value, column)
        self._relations.append(_Relation(figure, tuple(terms), None))
        return figure

    def difference(
        self, value: SupportsFloat, own: Figure, other: Figure, column: Column | None = None
    ) -> Figure:
        """A number less another."""
        return self.result(value, _subtracted, (own, other), column)

    def settle(self) -> "Settled":
        """The decimals of all columns: from the last result back to the numbers it was computed from.

        A column that several results share may get more decimals after one of them has been settled, so
        the results are gone through until nothing changes.
        """
        decimals: dict[int, int] = {}
        before: dict[int, int] | None = None
        while decimals != before:
            before = dict(decimals)
            for relation in reversed(self._relations):
                _refine(relation, decimals)
        return Settled(decimals, {id(relation.result): relation for relation in self._relations})


class Settled:
    """The decimals of the figures of a ledger, and what is left of each relation between them."""

    def __init__(self, decimals: dict[int, int], relations: dict[int, _Relation]) -> None:
        self._decimals, self._relations = decimals, relations

    def decimal(self, figure: Figure) -> Decimal:
        """The number as it is printed."""
        return _printed(figure, self._decimals)

    def remainder(self, figure: Figure) -> Decimal | None:
        """What must be added to the recomputed number to get the printed one; None if it closes."""
        relation = self._relations.get(id(figure))
        if relation is None:
            return None
        found = self.decimal(figure)
        unit = Decimal(1).scaleb(-_decimals_of(figure.column, self._decimals))
        if relation.formula is None:
            left = found - sum((self.decimal(term) for term in relation.operands), Decimal(0))
            return left or None
        if _closes(relation, self._decimals):
            return None
        computed = _evaluated(relation.formula, [float(self.decimal(one)) for one in relation.operands])
        return None if computed is None else (found - Decimal(computed)).quantize(unit) or None


def _subtracted(own: float, other: float) -> float:
    return own - other


def _decimals_of(column: Column, decimals: dict[int, int]) -> int:
    return max(column.least, decimals.get(id(column), 0))


def _printed(figure: Figure, decimals: dict[int, int]) -> Decimal:
    text = f"{figure.value:.{_decimals_of(figure.column, decimals)}f}"
    return Decimal(text)


def _refine(relation: _Relation, decimals: dict[int, int]) -> None:
    """Give the operands as many decimals as the result needs."""
    own = _decimals_of(relation.result.column, decimals)
    columns = {id(one.column): one.column for one in relation.operands}
    if relation.formula is None:
        for key, column in columns.items():
            decimals[key] = max(own, _decimals_of(column, decimals))
        return
    goal = _goal(relation, decimals)
    if goal is None:
        return
    while not _is_near(relation, goal, decimals):
        coarse = [column for column in columns.values() if _decimals_of(column, decimals) < MOST_DECIMALS]
        if not coarse:
            return
        worst = max(coarse, key=lambda column: _error_of(relation, column, decimals))
        decimals[id(worst)] = 1 + _decimals_of(worst, decimals)


def _error_of(relation: _Relation, column: Column, decimals: dict[int, int]) -> tuple[float, int]:
    """How far the rounding of one column moves the result, and among equals who has the fewest decimals."""
    exact = [one.value for one in relation.operands]
    rounded = [
        float(_printed(one, decimals)) if one.column is column else one.value for one in relation.operands
    ]
    true, moved = _evaluated(relation.formula, exact), _evaluated(relation.formula, rounded)
    error = float("inf") if true is None or moved is None else abs(moved - true)
    return error, -_decimals_of(column, decimals)


def _goal(relation: _Relation, decimals: dict[int, int]) -> float | None:
    """What the printed operands must give: the printed result, or what the exact operands give.

    The latter where the model computed in a format that is coarser than the decimals, so that the remainder
    is the model's rounding and not that of the page.
    """
    if _closes(relation, decimals):
        return float(_printed(relation.result, decimals))
    exact = _evaluated(relation.formula, [one.value for one in relation.operands])
    wanted = float(_printed(relation.result, decimals))
    if exact is None or abs(exact - wanted) <= _TOLERANCE * _unit_of(relation, decimals):
        return wanted
    return exact


def _closes(relation: _Relation, decimals: dict[int, int]) -> bool:
    """Whether the printed operands give the printed result."""
    return _is_near(relation, float(_printed(relation.result, decimals)), decimals)


def _is_near(relation: _Relation, goal: float, decimals: dict[int, int]) -> bool:
    """Whether the printed operands give a number."""
    computed = _evaluated(relation.formula, [float(_printed(one, decimals)) for one in relation.operands])
    return computed is not None and abs(computed - goal) <= _TOLERANCE * _unit_of(relation, decimals)


def _unit_of(relation: _Relation, decimals: dict[int, int]) -> float:
    """One unit of the last printed digit of the result."""
    unit: float = 10.0 ** -_decimals_of(relation.result.column, decimals)
    return unit


def _evaluated(formula: Arithmetic | None, values: Sequence[float]) -> float | None:
    assert formula is not None, "sums close by their remainder"
    try:
        return formula(*values)
    except (ArithmeticError, ValueError):  # a divisor that is printed as zero, for example
        return None
