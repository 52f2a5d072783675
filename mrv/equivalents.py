"""
Illustration of a tonne: litres of diesel with the same CO2.

For illustration only: not used in statements or calculations.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor, log10

from mrv import factors
from mrv.methodologies._shared import diesel
from mrv.steps import steps

_DIGITS = 2


def diesel_litres(tonnes: Fraction) -> int | None:
    """
    Return the litres of diesel that emit the same CO2 when burnt, rounded down to two digits; None
    for less than a litre. [L]

    The fuel's density and the upper bounds of its calorific value and carbon content (IPCC 2006
    Guidelines, volume 2, tables 1.2 and 1.4) give a low value.

    `tonnes`: [tCO2]
    """
    burnt: Fraction = steps(diesel()).values({"diesel_l": Fraction(1)}, factors.load())["fuel_t"]
    litres = tonnes / burnt
    if litres < 1:
        return None
    step = int(10 ** max(0, floor(log10(floor(litres))) + 1 - _DIGITS))
    return floor(litres / step) * step
