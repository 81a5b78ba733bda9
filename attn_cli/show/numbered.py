"""How small a matrix is whose numbers are written in its cells."""

from collections.abc import Iterable

NUMBERED = 12
"""Rows or columns of tokens, at most."""

NUMBERS = 500
"""Cells of one picture, at most: each number takes 1 ms."""


def are_numbered(shapes: Iterable[tuple[int, int]]) -> bool:
    """Whether matrices of these rows and columns may have their numbers in one picture."""
    sizes = list(shapes)
    are_small = all(max(shape) <= NUMBERED for shape in sizes)
    return are_small and sum(rows * columns for rows, columns in sizes) <= NUMBERS
