"""Decimals are chosen such that printed arithmetic closes, and what cannot close has a remainder."""

import math
from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.show.explanation.figures import Ledger

NUMBERS = st.floats(-1e3, 1e3)  # a product of them has at most 15 digits


def times(left: float, right: float) -> float:
    return left * right


@given(NUMBERS, NUMBERS, st.integers(1, 9))
def test_a_product_follows_from_its_printed_factors(left: float, right: float, digits: int) -> None:
    ledger = Ledger(digits)
    factors = [ledger.given(left), ledger.given(right)]
    product = ledger.result(left * right, times, factors)
    settled = ledger.settle()
    computed = settled.decimal(factors[0]) * settled.decimal(factors[1])
    assert settled.remainder(product) is None
    assert abs(computed - settled.decimal(product)) <= Decimal(1).scaleb(-digits)


@given(st.lists(NUMBERS, min_size=1, max_size=20), st.integers(1, 9))
def test_a_column_and_its_remainder_add_up_exactly(terms: list[float], digits: int) -> None:
    ledger = Ledger(digits)
    column = ledger.column()
    figures = [ledger.given(term, column) for term in terms]
    total = ledger.total(math.fsum(terms), figures)
    settled = ledger.settle()
    left = settled.remainder(total) or Decimal(0)
    assert sum(map(settled.decimal, figures), left) == settled.decimal(total)
    assert abs(left) <= Decimal(len(terms) + 1).scaleb(-digits) / 2


def test_a_number_has_no_more_decimals_than_its_results_need() -> None:
    ledger = Ledger(4)
    logit, largest = ledger.given(-2.0), ledger.given(3.0)
    ledger.result(math.exp(-5), lambda one, less: math.exp(one - less), [logit, largest])
    assert str(ledger.settle().decimal(logit)) == "-2.0000"


def test_a_factor_of_a_large_number_has_more_decimals() -> None:
    ledger = Ledger(2)
    factor, large = ledger.given(1 / 3), ledger.given(1000)
    product = ledger.result(1000 / 3, times, [factor, large])
    settled = ledger.settle()
    assert (str(settled.decimal(factor)), str(settled.decimal(product))) == ("0.33333", "333.33")


def test_what_was_computed_in_a_coarse_format_has_a_remainder() -> None:
    ledger = Ledger(4)
    factors = [ledger.given(0.3), ledger.given(0.7)]
    product = ledger.result(float(np.float16(0.3 * 0.7)), times, factors)
    settled = ledger.settle()
    assert (str(settled.decimal(product)), str(settled.remainder(product))) == ("0.2100", "None")
    ledger = Ledger(6)
    factors = [ledger.given(0.3), ledger.given(0.7)]
    product = ledger.result(float(np.float16(0.3 * 0.7)), times, factors)
    settled = ledger.settle()
    assert str(settled.decimal(product)) == "0.209961"
    assert str(settled.remainder(product)) == "-0.000039"


def test_the_remainder_of_a_coarse_format_is_the_formats_and_not_the_pages() -> None:
    ledger = Ledger(2)
    factors = [ledger.given(1 / 3), ledger.given(1000)]
    product = ledger.result(333.5, times, factors)
    settled = ledger.settle()
    assert str(settled.decimal(factors[0])) == "0.33333"  # and not 0.33, which would leave 3.50
    assert str(settled.remainder(product)) == "0.17"


def test_a_result_that_shares_a_column_is_settled_again() -> None:
    """The column of the first product gets more decimals from the second, which is printed later."""
    ledger = Ledger(2)
    shared = ledger.column()
    factors = [ledger.given(1 / 3), ledger.given(2 / 7)]
    product = ledger.result(2 / 21, times, factors, shared)
    large = ledger.given(1e5)
    ledger.result(0.5e5, times, [ledger.given(0.5, shared), large])
    later = ledger.given(1 / 7, shared)
    ledger.result(1e5 / 7, times, [later, large])
    settled = ledger.settle()
    computed = settled.decimal(factors[0]) * settled.decimal(factors[1])
    found = settled.decimal(product)
    assert found.as_tuple().exponent == settled.decimal(later).as_tuple().exponent
    assert abs(computed - found) <= Decimal(1).scaleb(int(found.as_tuple().exponent))


def test_a_divisor_that_is_printed_as_zero_gets_decimals() -> None:
    ledger = Ledger(2)
    own, by = ledger.given(0.004), ledger.given(0.002)
    ledger.result(2, lambda one, other: one / other, [own, by])
    settled = ledger.settle()
    assert settled.decimal(own) / settled.decimal(by) == 2


def test_numbers_of_one_column_have_the_same_decimals() -> None:
    ledger = Ledger(3)
    column = ledger.column()
    one, other = ledger.given(1 / 3, column), ledger.given(2, column)
    ledger.result(1000 / 3, times, [one, ledger.given(1000)])
    settled = ledger.settle()
    assert settled.decimal(one).as_tuple().exponent == settled.decimal(other).as_tuple().exponent
