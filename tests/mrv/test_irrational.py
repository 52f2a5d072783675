"""Powers and exponentials against other ways to compute them."""

import math
from decimal import localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv.steps import exponential, power

numbers = st.fractions(Fraction(1, 100), 10, max_denominator=1000)


@given(st.fractions(-5, 5, max_denominator=1000))
def test_exponential(exponent):
    """Every year of a landfill would decay at another rate."""
    assert float(exponential(exponent)) == pytest.approx(math.exp(exponent), rel=1e-14)
    assert abs(exponential(exponent) * exponential(-exponent) - 1) < Fraction(1, 10**45)


@given(numbers, numbers)
def test_power(base, exponent):
    """Straw on a field would weigh otherwise."""
    assert float(power(base, exponent)) == pytest.approx(float(base) ** float(exponent), rel=1e-13)


def test_fifty_digits_do_not_depend_on_the_caller():
    """Another program's decimal context would change a statement's digits."""
    with localcontext(prec=5):
        assert float(power(Fraction(3), Fraction("0.59"))) == pytest.approx(1.912060, abs=5e-7)
        assert power(Fraction(2), Fraction(10)) == 1024
