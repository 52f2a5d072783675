"""
Powers and exponentials, the only numbers here that no fraction holds.

Decimals of fifty digits: correctly rounded by the language's definition, hence
the same on every machine, which no floating-point library promises.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

_DIGITS = 50


def exponential(exponent: Fraction) -> Fraction:
    """Return e to a power, to fifty digits."""
    with localcontext(prec=_DIGITS):
        return Fraction(_decimal(exponent).exp())


def power(base: Fraction, exponent: Fraction) -> Fraction:
    """Return a positive number to a power, to fifty digits."""
    with localcontext(prec=_DIGITS):
        return Fraction(_decimal(base) ** _decimal(exponent))


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)
