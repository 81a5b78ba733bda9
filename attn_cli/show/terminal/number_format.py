"""One number format for all cells of a matrix: decimals, exponents, width."""

import math

import numpy as np
import numpy.typing as npt

from attn_cli.grid import Grid, Matrix
from attn_cli.record import record

_LONG = 1e6  # from this value on, an exponent is shorter and easier to read
_AROUND_DECIMALS = len("-1.") + len("e-300")


@record(frozen=True, slots=True)
class NumberFormat:
    """A format for numbers, and the largest width of a formatted number."""

    spec: str
    width: int
    compact: bool = False

    def __call__(self, value: float) -> str:
        """`value` as it is written in a cell, without padding."""
        text = format(value, self.spec)
        return _without_zero(text) if self.compact else text

    def zeros(self, values: Matrix) -> npt.NDArray[np.bool_]:
        """(R, C) whether each value is written as zero."""
        return np.asarray(np.abs(values.astype(np.float64)) <= self.largest_zero)

    @property
    def largest_zero(self) -> float:
        """The largest number that is written as zero: half of the last decimal, or the number before it."""
        if self.spec.endswith("e"):
            return 0.0
        half = 0.5 / 10 ** int(self.spec.removeprefix("z.").removesuffix("f"))
        return half if float(format(half, self.spec)) == 0 else math.nextafter(half, 0)


def format_for(grid: Grid, digits: int, *, compact: bool = False) -> NumberFormat:
    """The format for the visible numbers of `grid`: no decimals if all are integers, else `digits`.

    `compact` drops the zero before the decimal point if no number exceeds 1 (`.42`, `1.0`), as is usual
    for quantities that cannot exceed 1 (Publication Manual of the APA, 7th edition, 6.36).
    """
    seen = grid.all_numbers
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
    if max(-low, high) >= _LONG:
        return NumberFormat(f"z.{digits}e", digits + _AROUND_DECIMALS)
    decimals = 0 if np.array_equal(seen, np.rint(seen)) else digits
    spec = f"z.{decimals}f"
    lowest, highest = format(low, spec), format(high, spec)
    width = max(len(lowest), len(highest))
    within_one = max(-float(lowest), float(highest)) <= 1
    if compact and decimals > 1 and within_one:
        return NumberFormat(spec, width - 1, compact=True)
    return NumberFormat(spec, width)


def short(value: float, digits: int) -> str:
    """`value` for a sentence: no trailing zeros, and 0 only for zero itself."""
    fixed = format(value, f"z.{digits}f")
    if float(fixed) == 0 or abs(value) >= _LONG:
        return format(value, f"z.{max(1, digits)}g")
    return fixed.rstrip("0").rstrip(".") if "." in fixed else fixed


def _without_zero(text: str) -> str:
    """`.42` for `0.42`, and `1.0` for `1.00`: all of the same width."""
    sign, size = ("-", text[1:]) if text.startswith("-") else ("", text)
    return sign + (size[1:] if size.startswith("0") else size[:-1])
