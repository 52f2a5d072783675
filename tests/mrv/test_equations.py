"""Equations where the worked examples have a 1 or a 0, which hides what they do."""

import sys
from dataclasses import replace
from fractions import Fraction

import pytest

from mrv.equations import (
    degree_days,
    electricity,
    landfill,
    modal_shift,
    reductions,
    rice,
    waste_heat,
)
from mrv.errors import MethodologyError


def F(text):  # noqa: N802 - a short name for a number that is written as text
    return Fraction(text)


def test_leakage_is_taken_off():
    """Leakage would be credited on top."""
    assert reductions.reduction(F(10), F(3), F(2)) == 5


def test_an_uncaptured_share_and_a_shallow_site_emit_less():
    """A site that burns its gas would be credited for what it never gave off."""
    full = landfill.methane_potential(F("0.85"), F(0), F(28), F("0.1"), F("0.5"), F("0.5"), F(1))
    assert full == F("7.14")
    less = landfill.methane_potential(
        F("0.85"), F("0.45"), F(28), F("0.1"), F("0.5"), F("0.5"), F("0.8")
    )
    assert less == full * F("0.55") * F("0.8")


def test_technology_improves_every_year_anew():
    """The second year would improve twice as much, not by the same share again."""
    assert modal_shift.passenger_factor(F(100), F(2), F("0.9"), 2) == F("40.5")


def test_a_retrofit_is_held_against_its_history_and_its_spread():
    """A plant's old output, or half of the doubt about it, would be credited as new."""
    assert electricity.beyond_history(F(100), F(60), F(7)) == 33
    assert electricity.beyond_history(F(50), F(60), F(7)) == -17


def test_shares_of_waste_energy_multiply():
    """Output from other fuel would be credited."""
    assert waste_heat.credited_share(F("0.9"), F("0.5")) == F("0.45")


def test_organic_matter_and_water_before_the_season():
    """Compost would weigh as fresh straw, and a dry winter as a flooded one."""
    straw = rice.amended(rice.as_fresh_straw(F(2), F("0.19")), F("0.59"))
    assert float(straw) == pytest.approx(1.38**0.59, rel=1e-12)
    assert rice.daily_methane(F(2), F("0.5"), F("0.89"), F(3)) == F("2.67")


def test_even_a_small_gain_carries_the_deduction():
    """A gain below a tonne would escape the deduction for uncertainty."""
    assert rice.after_deduction(F("1.5"), F(1), F("0.15"), F(0)) == F("0.425")


def test_a_line_says_how_well_it_fits():
    """A verifier would judge a building's regression by figures that are not its own."""
    line = degree_days.fit([F(0), F(1), F(2), F(3)], [F(1), F(3), F(5), F(8)])
    assert line.months == 4
    # by hand: residuals 0.2, -0.1, -0.4, 0.3; their squares 0.30 of 26.75 in all
    assert line.r_squared == pytest.approx(1 - 0.30 / 26.75)
    assert line.cv == pytest.approx((0.30 / 2) ** 0.5 / 4.25)


def test_a_line_that_cannot_be_fitted_says_why(monkeypatch):
    """An engineer would be told of no remedy, or of none at all."""
    with pytest.raises(MethodologyError) as found:
        degree_days.fit([F(5), F(5), F(5)], [F(1), F(2), F(3)])
    assert str(found.value) == "all months have the same cdd; no slope follows from them"
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MethodologyError) as found:
        degree_days.fit([F(1), F(2), F(3)], [F(1), F(2), F(3)])
    assert str(found.value) == (
        "a regression needs scipy, which is not installed: tonne's extra `estimate`;"
        " or give intercept_mwh and slope_mwh_per_cdd"
    )


def test_a_small_building_has_a_small_lower_bound():
    """A building of less than a megawatt hour would be credited with a whole one."""
    line = degree_days.Line(12, 0.0, 0.5, 0.0, 0.0, 0.0, 0.125, 1.0, 0.0, 2.0)
    assert degree_days.lower_bound(line, 1, F(0)) == F("0.25")
    assert degree_days.lower_bound(replace(line, intercept=-5.0), 1, F(0)) == 0
