"""Large and small quantities as a reader takes them in: 206 billion operations, 4.29 GB, 52.6 s.

A quantity has three significant digits, or more where what follows from it needs them; counts below a million
are exact.
"""

import math
from collections.abc import Callable, Sequence

from attn_cli.record import record
from attn_cli.show.explanation.document import Word, symbols, words
from attn_cli.show.explanation.figures import Column, Figure, Ledger
from attn_cli.show.explanation.phrases import Phrase

_DIGITS = 3  # significant
_ESTIMATED = 2  # of what is only expected
_SINGULAR = 2  # Portuguese has a plural from 2 on: 1,9 milhão, 2 milhões


@record(frozen=True, slots=True)
class Unit:
    """A unit, as it follows a number."""

    size: float
    name: Phrase
    names: Phrase  # from 2 on


@record(frozen=True, slots=True)
class Scale:
    """The units of a quantity, the smallest first."""

    units: Sequence[Unit]
    exact: int  # whole numbers below it are printed as they are

    def unit_of(self, value: float, digits: int = _DIGITS) -> Unit:
        """The largest unit of which there is at least one, or else the smallest."""
        rounded = _rounded(value, digits)
        fitting = [unit for unit in self.units if unit.size <= rounded]
        return fitting[-1] if fitting else self.units[0]


@record(frozen=True, slots=True, eq=False)
class Quantity:
    """A quantity as it is printed."""

    value: float
    word: Word
    figure: Figure | None  # the number before the unit; None: the value is printed in full
    size: float = 1.0  # of the unit

    def read(self, printed: float) -> float:
        """The value that a reader gets from the printed number."""
        return printed * self.size


def _unit(size: float, en: str, pt: str = "", plural: str = "", many: str = "") -> Unit:
    name = Phrase(en, pt or en)
    return Unit(size, name, Phrase(many or en, plural or pt or en))


COUNTS = Scale(
    (
        _unit(1, "", ""),
        _unit(1e6, " million", " milhão", " milhões"),
        _unit(1e9, " billion", " bilhão", " bilhões"),
        _unit(1e12, " trillion", " trilhão", " trilhões"),
        _unit(1e15, " quadrillion", " quatrilhão", " quatrilhões"),
        _unit(1e18, " quintillion", " quintilhão", " quintilhões"),
    ),
    exact=1_000_000,
)
"""Counts, of operations for example."""

BYTES = Scale(
    (
        _unit(1, " B"),
        _unit(1e3, " kB"),
        _unit(1e6, " MB"),
        _unit(1e9, " GB"),
        _unit(1e12, " TB"),
        _unit(1e15, " PB"),
    ),
    exact=10_000,
)
"""Bytes, with decimal prefixes."""

SECONDS = Scale(
    (
        _unit(1e-6, " µs"),
        _unit(1e-3, " ms"),
        _unit(1, " s"),
        _unit(60, " min"),
        _unit(3600, " h"),
        _unit(86400, " days", " dia", " dias"),
        _unit(365.25 * 86400, " years", " ano", " anos"),
    ),
    exact=0,
)
"""Times in seconds."""


def quantity(ledger: Ledger, scale: Scale, value: float) -> Quantity:
    """A quantity that is not computed from printed ones."""
    return derived(ledger, scale, value, lambda: value, ())


def derived(
    ledger: Ledger,
    scale: Scale,
    value: float,
    formula: Callable[..., float],
    operands: Sequence[Quantity],
    digits: int = _DIGITS,
) -> Quantity:
    """A quantity that `formula` gives for others, which are printed before it."""
    if value == int(value) and abs(value) < scale.exact:
        return Quantity(value, int(value), None)
    unit = scale.unit_of(value, digits)
    column = ledger.column(_decimals(value / unit.size, digits))
    number = computed(ledger, value / unit.size, lambda *given: formula(*given) / unit.size, operands, column)
    name = unit.name if abs(value) < _SINGULAR * unit.size else unit.names
    return Quantity(
        value, words("{number}{unit}", "{number}{unit}", number=number, unit=name), number, unit.size
    )


def computed(
    ledger: Ledger, value: float, formula: Callable[..., float], operands: Sequence[Quantity], column: Column
) -> Figure:
    """A number that `formula` gives for quantities, as a reader gets them from their printed numbers."""

    def of_printed(*printed: float) -> float:
        shown = iter(printed)
        return formula(*(one.value if one.figure is None else one.read(next(shown)) for one in operands))

    figures = [one.figure for one in operands if one.figure is not None]
    return ledger.result(value, of_printed, figures, column)


def in_scientific_notation(ledger: Ledger, value: float) -> Word:
    """A small number in two digits: 1.2 × 10⁻⁷."""
    if not value:
        return "0"
    digits, _, power = f"{value:.1e}".partition("e")
    exponent = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return symbols(
        "{digits} × 10{exponent}", digits=ledger.given(float(digits), ledger.column(1)), exponent=exponent
    )


def estimate(
    ledger: Ledger, scale: Scale, value: float, formula: Callable[..., float], operands: Sequence[Quantity]
) -> Quantity:
    """The same in two digits, for what is only expected: 3.1 min, 180 ms."""
    unit = scale.unit_of(value, _ESTIMATED)

    def rounded(*found: float) -> float:
        return _rounded(formula(*found) / unit.size, _ESTIMATED) * unit.size

    return derived(
        ledger, scale, _rounded(value / unit.size, _ESTIMATED) * unit.size, rounded, operands, _ESTIMATED
    )


def _rounded(number: float, digits: int) -> float:
    """The number with so many significant digits."""
    return float(f"{number:.{digits - 1}e}")


def plural(count: int, one: Phrase, many: Phrase) -> Word:
    """A count with its noun: 1 layer, 6 layers."""
    return words("{count} {noun}", "{count} {noun}", count=count, noun=one if count == 1 else many)


def features(count: int) -> Word:
    """A number of features: 1 feature, 32 features."""
    return plural(count, Phrase("feature", "componente"), Phrase("features", "componentes"))


def _decimals(number: float, digits: int) -> int:
    """How many decimals so many significant digits have."""
    return max(0, digits - 1 - math.floor(math.log10(abs(number)))) if number else 0
