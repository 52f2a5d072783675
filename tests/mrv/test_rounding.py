"""
Conservative rounding, exact at any size.

Powers and exponentials compared with other ways of calculation.
"""

import math
from decimal import localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv.rounding import (
    LIMIT,
    Rates,
    decimal_text,
    exact_sum,
    exact_text,
    figure,
    floor_credit,
    half_up,
    share_text,
)
from mrv.steps import exponential, power

numbers = st.fractions(Fraction(1, 100), 10, max_denominator=1000)


@given(st.fractions(-5, 5, max_denominator=1000))
def test_exponential(exponent):
    """Every year of a landfill would decay at another rate."""
    assert float(exponential(exponent)) == pytest.approx(math.exp(exponent), rel=1e-14)
    assert abs(exponential(exponent) * exponential(-exponent) - 1) < Fraction(1, 10**45)


@given(numbers, numbers)
def test_power(base, exponent):
    """The scaling factor of straw on a rice field would be inexact."""
    assert float(power(base, exponent)) == pytest.approx(float(base) ** float(exponent), rel=1e-13)


def test_fifty_digits_do_not_depend_on_the_caller():
    """Another program's decimal context would change a statement's digits."""
    with localcontext(prec=5):
        assert float(power(Fraction(3), Fraction("0.59"))) == pytest.approx(1.912060, abs=5e-7)
        assert power(Fraction(2), Fraction(10)) == 1024


rates = st.fractions(min_value=0, max_value=10**7, max_denominator=10**15)
values = st.integers(min_value=0, max_value=2**62)


@pytest.mark.parametrize(
    ("tonnes", "credit"),
    [("71497.999999", 71497), ("8584", 8584), ("0.999999999999", 0), ("-0.5", 0), ("-3", 0)],
)
def test_credit_rounds_down_and_never_below_zero(tonnes, credit):
    """Credits are rounded down and are never negative."""
    assert floor_credit(Fraction(tonnes)) == credit


@pytest.mark.parametrize(
    ("value", "places", "mode", "text"),
    [
        ("1.0000005", 6, "down", "1.000000"),
        ("1.0000005", 6, "up", "1.000001"),
        ("1.0000005", 6, "half_even", "1.000000"),
        ("1.0000015", 6, "half_even", "1.000002"),
        ("-0.0000001", 6, "down", "-0.000001"),
        ("-12.5", 0, "up", "-12"),
        ("0.07", 6, "down", "0.070000"),
    ],
)
def test_decimal_text_rounds_as_asked(value, places, mode, text):
    """A statement's figure would differ in its last digit from the auditor's."""
    assert decimal_text(Fraction(value), places, mode) == text


def test_a_share_of_nothing_is_nothing():
    """A device that was never installed would end the close with a division by zero."""
    assert share_text(0, 0) == "0.000000"
    assert share_text(2, 3) == "0.666666"


@given(st.lists(st.integers(min_value=-(2**62), max_value=2**62), max_size=20))
def test_sums_pass_int64(numbers):
    """A sum that wraps would turn a large emission into a reduction."""
    assert exact_sum(np.array(numbers, dtype=np.int64)) == sum(numbers)


@given(st.lists(st.tuples(values, rates), min_size=1, max_size=20))
def test_rates_are_exact_for_every_value(pairs):
    """The fast path and the slow one must not disagree by a microgram."""
    table = Rates([rate for _, rate in pairs])
    number = np.array([value for value, _ in pairs], dtype=np.int64)
    index = np.arange(len(pairs), dtype=np.int32)
    down, up = (table.apply(number, index, mode).tolist() for mode in ("down", "up"))
    for (value, rate), low, high in zip(pairs, down, up, strict=True):
        product = value * rate
        floor, ceiling = product.__floor__(), product.__ceil__()
        assert low == (floor if floor < LIMIT else 0)
        assert high == min(LIMIT, ceiling)


@pytest.mark.parametrize(
    ("value", "places", "rounded"),
    [
        ("59.35", 0, "59"),
        ("59.5", 0, "60"),
        ("-0.5", 0, "-1"),
        ("-0.4", 0, "0"),
        ("144.9643125", 6, "144.964313"),
    ],
)
def test_half_rounds_up_as_standards_do(value, places, rounded):
    """An air quality index of 50.5 would stay in the better band."""
    assert half_up(Fraction(value), places) == Fraction(rounded)


@given(st.decimals(places=20, min_value=-(10**9), max_value=10**9))
def test_exact_text_loses_no_digit(value):
    """A statement would name another parameter than the project gave."""
    assert Fraction(exact_text(Fraction(value))) == Fraction(value)


def test_what_is_no_decimal_has_no_exact_text():
    """One third would be written as a finite decimal number."""
    with pytest.raises(ValueError, match="1/3 has no exact decimal text"):
        exact_text(Fraction(1, 3))


@given(st.fractions(min_value=-(10**12), max_value=10**12))
def test_a_figure_is_plain_decimal_text_near_its_value(value):
    """A finding would state 1e+06 t, which cannot be formatted in the reader's language."""
    written = figure(value)
    assert "E" not in written.upper()
    assert abs(Fraction(written) - value) <= abs(value) / 1000
