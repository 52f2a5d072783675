"""Closing a period: exact sums, conservative gaps, whole tonnes."""

from calendar import monthrange
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.model import INTERVAL_US, Fleet, IntervalRows
from mrv import factors
from mrv.calendar import local_date, period_us
from mrv.errors import PeriodError
from mrv.registry import Calibration
from mrv.registry.project import ProjectDevice
from mrv.rules.closing import close
from tests.mrv import plant
from tests.soak import often

BOOK = factors.load()
DAY_US = plant.DAY * INTERVAL_US
ONE = replace(plant.PV, devices=plant.PV.devices[:1])


def closed(project, rows, days=1, fleet=plant.FLEET, certificates=plant.CERTIFICATES, **more):
    end = plant.FROM + days * DAY_US
    return close(project, fleet, certificates, rows, plant.FROM, end, BOOK, **more)


def test_a_design_by_month_is_compared_month_by_month():
    """A monthly design estimate is compared month by month."""
    by_month = [*[100] * 11, 25]
    design = replace(ONE, expected={**ONE.expected, "by_month": by_month})
    result = closed(design, plant.full("inv-1", "energy_export", plant.DAY, 100_000))
    month = local_date(plant.FROM, design.timezone).month
    days = monthrange(local_date(plant.FROM, design.timezone).year, month)[1]
    share = Fraction(by_month[month - 1], sum(by_month)) / days
    (energy, reduction) = result.comparisons
    assert Fraction(energy.expected) == round(120_000 * share, 6)
    assert Fraction(reduction.expected) == round(Fraction("39.9") * share, 6)


def test_a_charger_without_rating_is_charged_at_its_largest_interval():
    """A gap would cost nothing because the registry lacks a number."""
    bus = replace(plant.BUS, devices=(ProjectDevice("ch-2", "charging"),))
    rows = IntervalRows.concat(
        [
            plant.rows(("ch-2", "energy_import", 0, 5000)),
            plant.rows(*(("ch-2", "energy_import", i, 1) for i in range(2, plant.DAY))),
        ]
    )
    assert closed(bus, rows).devices[0].substituted == "5000.000000"
    with pytest.raises(PeriodError, match=r"ch-2: no reading.*rated_power_w"):
        closed(bus, IntervalRows.empty())


def test_a_late_calibration_is_deducted_as_the_dossier_shows():
    """The deduction for a late calibration is that of the worked example."""
    first = date(2026, 1, 1)
    late = {
        "inv-1": [
            Calibration(first, date(2026, 11, 17), "A", None, 1),
            Calibration(date(2027, 1, 1), date(2028, 1, 1), "B", None, Decimal("0.5")),
        ]
    }
    start, end = period_us(first, date(2027, 1, 1), plant.ZONE)
    count = (end - start) // INTERVAL_US
    energy = np.full(count, 10**9 // count, dtype=np.int64)
    energy[: 10**9 % count] += 1
    rows = IntervalRows(
        np.zeros(count, np.int32),
        np.zeros(count, np.int16),
        start + np.arange(count) * INTERVAL_US,
        energy,
        np.full(count, INTERVAL_US),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
    )
    result = close(ONE, plant.FLEET, late, rows, start, end, BOOK)
    assert result.devices[0].metered == 10**9
    assert result.devices[0].counted[:7] == "9987671"[:7]
    (deduction,) = result.deductions
    assert (deduction.percent, str(deduction.reason)) == ("1.000000", "certificate A has expired")
    assert (deduction.end_us - deduction.start_us) // DAY_US == 45
    assert result.devices[0].coverage.calibrated_share == "0.876712"


def test_rows_that_do_not_belong_are_refused():
    """A query with the wrong edges would go unnoticed into a statement."""
    for place in (-1, plant.DAY):
        with pytest.raises(PeriodError, match="outside of the period"):
            closed(ONE, plant.rows(("inv-1", "energy_export", place, 1)))
    with pytest.raises(PeriodError, match="appears twice"):
        closed(ONE, plant.rows(*[("inv-1", "energy_export", 0, 1)] * 2))
    with pytest.raises(PeriodError, match="no device in this period"):
        closed(replace(ONE, devices=()), IntervalRows.empty())
    with pytest.raises(PeriodError, match="inv-1 is not in the registry"):
        closed(ONE, IntervalRows.empty(), fleet=Fleet([]))


kinds = st.sampled_from(
    [
        ("inv-1", "energy_export"),
        ("inv-2", "energy_export"),
        ("bus-1", "distance"),
        ("ch-1", "energy_import"),
    ]
)
shares = st.sampled_from(
    [(INTERVAL_US, 0, 0), (0, INTERVAL_US, 0), (0, 0, INTERVAL_US), (INTERVAL_US // 2, 0, 7)]
)
tables = st.dictionaries(
    st.tuples(kinds, st.integers(0, plant.DAY - 1)),
    st.tuples(st.integers(0, 15_000), shares),
    max_size=40,
)


def _rows(table):
    """Return no more than the energy at rated power in the known time."""
    return plant.rows(
        *(
            (*kind, at, v * (three[0] + three[1]) // INTERVAL_US, *three)
            for (kind, at), (v, three) in table.items()
        )
    )


@settings(deadline=None, max_examples=often(10, 40))
@given(tables, st.randoms())
def test_order_of_rows_does_not_matter(table, chance):
    """Two closings of one period would give two different statements."""
    entries = list(table.items())
    chance.shuffle(entries)
    for project in (plant.PV, plant.BUS):
        assert closed(project, _rows(table)) == closed(project, _rows(dict(entries)))


@settings(deadline=None, max_examples=often(10, 60))
@given(tables, st.data())
def test_losing_data_never_raises_the_credit(table, data):
    """A claimant would gain by switching meters off."""
    if not table:
        return
    lost = data.draw(st.sets(st.sampled_from(sorted(table, key=str))))
    kept = {k: v for k, v in table.items() if k not in lost}
    for project in (plant.PV, plant.BUS):
        whole, less = closed(project, _rows(table)), closed(project, _rows(kept))
        assert less.net.reduction.ug <= whole.net.reduction.ug
        assert less.credit_t <= whole.credit_t
