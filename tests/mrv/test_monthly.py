"""Composting by months, from meters: the same decay, month by month."""

from datetime import date
from fractions import Fraction
from math import exp

import pytest

from mrv import calendar, factors, methodologies
from mrv.model import GAINING, LENGTH, MONTH, PERIOD, Activity
from mrv.parameters import read
from tests.mrv import plant

METHOD = methodologies.find("ams-iii-f-monthly")
BOOK = factors.load().within("VN")
T = 10**6
FIXED = {"first_year": 2026, "share_food": 1, "phi": Fraction("0.85"), "f_captured": 0, "mcf": 1,
         "tdl": Fraction("0.0615")}  # fmt: skip
# by hand: P of TOOL04, DOC and k of food in the wet tropics
POTENTIAL = 0.85 * 28 * 0.9 * 16 / 12 * 0.5 * 0.5
CARBON, K = 0.15, 0.4


def _given_off(waste_t, months):
    """
    Return the emissions of one month from waste of some months before,
    calculated here. [tCO2e]
    """
    return waste_t * POTENTIAL * CARBON * exp(-K * months / 12) * (1 - exp(-K / 12))


def _year(part=1):
    """Return the activities of a year with partly covered months, with 1000/12 t in each."""
    for month in range(1, 13):
        length = Fraction(
            calendar.month_us(2026, month, plant.ZONE), calendar.year_us(2026, plant.ZONE)
        )
        share = {GAINING: length * part, MONTH: month, LENGTH: length}
        yield Activity(PERIOD, share, length * part)
        yield Activity("waste", {MONTH: month}, Fraction(1000, 12) * T)


def _baseline(activities, year=2026, **more):
    fixed = read(METHOD.parameters, {**FIXED, **more}, "p")
    inputs = METHOD.inputs_of(list(activities), fixed, BOOK, year)
    return float(METHOD.reductions(inputs, BOOK).baseline_t)


def test_a_year_of_loads_gives_the_published_sum():
    """The live form would be another equation than the one that was checked."""
    assert _baseline(_year()) == pytest.approx(202.9122, abs=5e-5)
    own = sum(_given_off(1000 / 12, 0) for _ in range(12))
    assert _baseline(_year(0)) == pytest.approx(own)
    assert _baseline(_year(Fraction(1, 2))) == pytest.approx((own + 202.91220) / 2, abs=5e-5)


def test_earlier_years_count_as_their_january():
    """Waste of a year that is over would be taken for waste of its last day."""
    alone, both = _baseline(_year(), 2027), _baseline(_year(), 2027, waste_t_year_1=1000)
    assert both - alone == pytest.approx(sum(_given_off(1000, 12 + m) for m in range(12)))


def test_a_whole_year_is_twelve_whole_months():
    """A plan would be compared with a year in which earlier waste lies still."""
    loads = [one for one in _year() if one.role == "waste"]
    whole = Activity(PERIOD, {GAINING: Fraction(1)}, Fraction(1))
    assert _baseline([whole, *loads]) == _baseline(_year())


def test_an_interval_counts_as_one_of_december():
    """Dashboards would promise what a load gives off until the end of the year."""
    fixed = read(METHOD.parameters, FIXED, "p")
    unit = methodologies.unit_reductions(METHOD, "waste", {}, fixed, BOOK, 2026)
    assert float(unit.baseline_t) * T == pytest.approx(_given_off(1, 0))


def test_a_year_of_thirteen_months_is_refused():
    """A list that is one short would move every load by a month."""
    year = {"year": 1, "waste_t_by_month": [{}] * 12}
    assert methodologies.implausible(METHOD, {**year, "month_parts": [{"part": 1}] * 12}) is None
    said = methodologies.implausible(METHOD, {**year, "month_parts": [{"part": 1}] * 13})
    assert said is not None
    assert "month_parts holds 13 months" in said


def test_months_of_a_year_with_a_shorter_day():
    """A month would begin an hour late for the rest of the year."""
    zone = "Europe/Berlin"
    begin, end = calendar.period_us(date(2026, 3, 15), date(2026, 5, 2), zone)
    found = calendar.months(begin, end, zone)
    assert [(y, m) for y, m, *_ in found] == [(2026, 3), (2026, 4), (2026, 5)]
    assert (found[0][2], found[-1][3]) == (begin, end)
    assert found[0][3] == calendar.midnight_us(date(2026, 4, 1), zone)
    assert calendar.month_us(2026, 3, zone) == (31 * 24 - 1) * 3_600_000_000
    assert calendar.month_us(2026, 12, zone) == 31 * 24 * 3_600_000_000
