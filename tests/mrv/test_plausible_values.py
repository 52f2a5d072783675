"""Values that an owner types, in an invented document too, earn no more than what is plausible."""

from fractions import Fraction

import pytest

from mrv.methodologies.acm0012 import most_enthalpy


@pytest.mark.parametrize(("celsius", "real"), [(120, 2716), (170, 2769), (250, 2943), (450, 3384)])
def test_no_real_steam_is_above_the_bound(celsius, real):
    """An honest plant would lose heat: steam tables at 100, 792, 1000 and 400 kPa."""
    assert real < most_enthalpy(Fraction(celsius)) < 1.03 * real
