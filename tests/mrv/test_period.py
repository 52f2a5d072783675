"""Closing a period: exact sums, costly gaps, whole tonnes."""

import json
from dataclasses import asdict, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.model import INTERVAL_US, Fleet, IntervalRows
from mrv import factors
from mrv.accounting import factor_acceptance as acceptance
from mrv.accounting.live_emissions import account, compile_bindings
from mrv.calendar import period_us
from mrv.errors import PeriodError
from mrv.registry.project import Calibration, ProjectDevice
from mrv.rules.closing import close
from tests.mrv import plant
from tests.soak import often

BOOK = factors.load()
DAY_US = plant.DAY * INTERVAL_US
ONE = replace(plant.PV, devices=plant.PV.devices[:1])


def closed(project, rows, days=1, fleet=plant.FLEET, certificates=plant.CERTIFICATES, **more):
    end = plant.FROM + days * DAY_US
    return close(project, fleet, certificates, rows, plant.FROM, end, BOOK, **more)


def test_a_full_day_of_sun_is_credited_to_the_watt_hour():
    """The simplest statement there is would be wrong."""
    result = closed(ONE, plant.full("inv-1", "energy_export", plant.DAY, 100_000))
    assert result.net.reduction.ug == 96 * 100_000 * 333_000
    assert result.net.reduction.t == "3.196800"
    assert (result.credit_t, result.covered_share, result.carry_ug) == (3, "1.000000", 0)
    assert result.gross == result.net
    assert (result.gaps, result.deductions) == ((), ())
    (device,) = result.devices
    assert (device.metered, device.counted, device.emissions_t) == (
        9_600_000,
        "9600000.000000",
        "3.196800",
    )
    assert device.certificates == ("C-inv-1",)
    assert [f.id for f in result.factors] == ["jcm-vn-am007-case-1"]
    assert [f.holds for f in result.applicability if f.rule != acceptance.RULE] == [True]
    energy, reduction = result.comparisons
    assert (energy.expected, energy.actual) == ("328.767123", "9600.000000")
    assert (reduction.expected, reduction.actual) == ("0.109315", "3.196800")


def test_a_result_is_plain_data():
    """A statement could not hold it without a rounding of its own."""
    result = closed(ONE, plant.full("inv-1", "energy_export", 90, 100_000))
    assert "float" not in {type(v).__name__ for v in _leaves(asdict(result))}
    assert json.loads(json.dumps(asdict(result)))["credit_t"] == result.credit_t


def _leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [leaf for one in value for leaf in _leaves(one)]
    return [value]


def test_golden_bus_year_from_intervals():
    """The statement would not follow the equations that `tonne evaluate` shows."""
    bus = replace(plant.BUS, parameters={**plant.BUS.parameters, "baseline_year": 2025})
    rows = IntervalRows.concat(
        [
            plant.full("bus-1", "distance", plant.DAY, 31_250_000),
            plant.full("ch-1", "energy_import", plant.DAY, 35_937_500),
        ]
    )
    result = closed(bus, rows)
    assert result.net.baseline.t == "2702.721621"
    assert result.net.project.t == "2423.271178"
    assert (result.net.reduction.t, result.credit_t) == ("279.450444", 279)
    assert [(f.id, f.provisional) for f in result.factors][-1] == ("vn-grid-2023", True)


def test_a_gap_of_the_sun_counts_zero_and_says_what_it_cost():
    """Energy that nobody measured would be claimed, or its loss be hidden."""
    result = closed(ONE, plant.full("inv-1", "energy_export", plant.DAY, 1000, range(8, 12)))
    (gap,) = result.gaps
    assert (gap.kind, gap.time_us) == ("missing", 4 * INTERVAL_US)
    assert (gap.start_us, gap.end_us) == (
        plant.FROM + 8 * INTERVAL_US,
        plant.FROM + 12 * INTERVAL_US,
    )
    assert (gap.substituted, gap.cost_t) == ("0.000000", "0.000000")
    assert gap.forgone_at_most_t == "0.033300"  # 100 kW, one hour
    assert result.devices[0].coverage.missing_share == "0.041666"
    assert result.covered_share == "0.958333"


def test_a_gap_of_a_charger_is_charged_at_rated_power():
    """Switching a meter off would lower the project's emissions."""
    rows = plant.full("ch-1", "energy_import", plant.DAY, 1000, range(4))
    result = closed(plant.BUS, rows)
    charger = next(d for d in result.devices if d.device == "ch-1")
    assert (charger.metered, charger.substituted) == (92_000, "60000.000000")
    assert charger.counted == "152000.000000"
    gap = next(g for g in result.gaps if g.device == "ch-1")
    rate = Fraction("0.6592") / (1 - Fraction("0.0615"))
    assert (
        Fraction(gap.cost_t)
        >= Fraction(60, 1000) * rate
        > Fraction(gap.cost_t) - Fraction(1, 10**6)
    )
    assert result.net.reduction.ug < 0 == result.credit_t
    assert result.gross.project.ug < result.net.project.ug


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
    """1,000 MWh with 45 of 365 days late at 1 % are 998,767.1 kWh, not 1,000 MWh."""
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


def test_a_meter_error_of_a_charger_is_added():
    """An unattested meter would be wrong in the claimant's favour."""
    rows = IntervalRows.concat(
        [
            plant.full("bus-1", "distance", plant.DAY, 10_000),
            plant.full("ch-1", "energy_import", plant.DAY, 10_000),
        ]
    )
    result = closed(plant.BUS, rows, certificates={})
    counted = {d.device: (d.deducted, d.counted) for d in result.devices}
    assert counted == {
        "bus-1": ("38400.000000", "921600.000000"),
        "ch-1": ("19200.000000", "979200.000000"),
    }


def test_time_before_installation_and_after_removal_does_not_count():
    """Months before the meter hung on the wall would be claimed."""
    inverter = replace(
        plant.FLEET.devices[0],
        installed_us=plant.FROM + 10 * INTERVAL_US + 1,
        removed_us=plant.FROM + 20 * INTERVAL_US,
    )
    rows = plant.full("inv-1", "energy_export", plant.DAY, 100)
    (device,) = closed(ONE, rows, fleet=Fleet([inverter])).devices
    assert (device.metered, device.outside_service) == (900, 8700)
    assert device.coverage.installed_us == 9 * INTERVAL_US
    assert device.coverage.measured_share == "1.000000"


def test_vintages_round_down_year_by_year():
    """Two half tonnes of two years would become one whole tonne of neither."""
    start = plant.us(2026, 12, 31)
    end = plant.us(2027, 1, 1)
    half = np.arange(plant.DAY) < 68  # New Year in Hai Phong is 17:00 UTC
    value = np.where(half, 3_600_000 // 68, 3_600_000 // 28)
    rows = replace(
        plant.full("inv-1", "energy_export", plant.DAY, 0),
        start_us=start + np.arange(plant.DAY) * INTERVAL_US,
        value=value,
    )
    result = close(ONE, plant.FLEET, plant.CERTIFICATES, rows, start, end, BOOK)
    assert [(v.year, v.credit_t, v.reduction_t[:3]) for v in result.vintages] == [
        (2026, 1, "1.1"),
        (2027, 1, "1.1"),
    ]
    assert (result.credit_t, result.net.reduction.t[:3]) == (2, "2.3")


def test_a_negative_reduction_is_kept_and_carried():
    """A bad month would be forgotten, and the next credited in full."""
    loss = closed(plant.BUS, plant.full("ch-1", "energy_import", plant.DAY, 15_000))
    assert loss.credit_t == 0
    assert loss.carry_ug == loss.net.reduction.ug < -(10**12)
    sun = plant.full("inv-1", "energy_export", plant.DAY, 100_000)
    after = closed(ONE, sun, carried_ug=loss.carry_ug)
    assert after.net.reduction.t == "3.196800"
    assert after.credit_t == (after.net.reduction.ug + loss.carry_ug) // 10**12
    assert after.carry_ug == 0


@pytest.mark.parametrize(
    ("edges", "says"),
    [
        ((plant.FROM + 1, plant.TO), "inside an interval"),
        ((plant.FROM, plant.FROM), "empty"),
        ((plant.FROM - DAY_US, plant.FROM), "leaves the crediting period"),
        ((plant.TO - DAY_US, plant.TO + DAY_US), "leaves the crediting period"),
    ],
)
def test_impossible_edges_are_refused(edges, says):
    """Minutes would be credited that no interval, or no approval, covers."""
    with pytest.raises(PeriodError, match=says):
        close(ONE, plant.FLEET, {}, IntervalRows.empty(), *edges, BOOK)


def test_rows_that_do_not_belong_are_refused():
    """A query with the wrong edges would go unnoticed into a statement."""
    for place in (-1, plant.DAY):
        with pytest.raises(PeriodError, match="outside of the period"):
            closed(ONE, plant.rows(("inv-1", "energy_export", place, 1)))
    with pytest.raises(PeriodError, match="comes twice"):
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
    """No more than the rated power makes in the time that is known."""
    return plant.rows(
        *(
            (*kind, at, v * (three[0] + three[1]) // INTERVAL_US, *three)
            for (kind, at), (v, three) in table.items()
        )
    )


@settings(deadline=None, max_examples=often(20, 40))
@given(tables, st.randoms())
def test_order_of_rows_does_not_matter(table, chance):
    """Two closings of one period would give two different statements."""
    entries = list(table.items())
    chance.shuffle(entries)
    for project in (plant.PV, plant.BUS):
        assert closed(project, _rows(table)) == closed(project, _rows(dict(entries)))


@settings(deadline=None, max_examples=often(20, 40))
@given(tables)
def test_additive_intervals_add_up_to_the_gross_period(table):
    """The dashboard and the statement would show two different sums."""
    bound = compile_bindings([plant.PV], plant.FLEET, BOOK)
    live = account(_rows(table), bound)
    assert int(live.reduction_ug.sum()) == closed(plant.PV, _rows(table)).gross.reduction.ug


@settings(deadline=None, max_examples=often(20, 40))
@given(tables)
def test_live_rows_of_buses_never_promise_more_than_the_period(table):
    """The console would show tonnes that no statement can issue."""
    bound = compile_bindings([plant.BUS], plant.FLEET, BOOK)
    live = account(_rows(table), bound)
    gross = closed(plant.BUS, _rows(table)).gross.reduction.ug
    assert gross - len(live) <= int(live.reduction_ug.sum()) <= gross


@settings(deadline=None, max_examples=often(30, 60))
@given(tables, st.data())
def test_losing_data_never_raises_the_credit(table, data):
    """A claimant would earn by switching meters off."""
    if not table:
        return
    lost = data.draw(st.sets(st.sampled_from(sorted(table, key=str))))
    kept = {k: v for k, v in table.items() if k not in lost}
    for project in (plant.PV, plant.BUS):
        whole, less = closed(project, _rows(table)), closed(project, _rows(kept))
        assert less.net.reduction.ug <= whole.net.reduction.ug
        assert less.credit_t <= whole.credit_t


@settings(deadline=None, max_examples=often(20, 40))
@given(tables, st.integers(-60, 400), st.integers(0, 400))
def test_deductions_never_raise_the_reduction(table, begin, length):
    """A missing certificate would be worth something."""
    days = [date.fromordinal(date(2026, 1, 1).toordinal() + d) for d in (begin, begin + length)]
    some = {d.id: [Calibration(*days, "C", "1")] for d in plant.FLEET.devices}
    for project in (plant.PV, plant.BUS):
        best = closed(project, _rows(table))
        assert (
            closed(project, _rows(table), certificates=some).net.reduction.ug
            <= best.net.reduction.ug
        )
        assert best.net.reduction.ug <= best.gross.reduction.ug
