"""What a plant's own meter imports is taken off what it exports."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.model import INTERVAL_US, Device, Fleet, IntervalRows
from mrv import factors
from mrv.registry.project import ProjectDevice
from mrv.rules.closing import close
from mrv.statement.evidence import monitored
from tests.mrv.plant import CERTIFICATES, DAY, FLEET, FROM, PV, full
from tests.soak import often

EF = Fraction("0.63767")
WIND = replace(
    PV,
    id="wind",
    methodology="ams-i-d",
    version="18.0",
    parameters={"ef_grid_t_per_mwh": Decimal(str(float(EF))), "capacity_mw": 14},
    expected={},
    devices=(ProjectDevice("m-1", "generation"),),
)
METER = Device("m-1", "s", "energy_meter", rated_power_w=10**6, installed_us=FROM)
WIDER = Fleet([*FLEET.devices, METER])
DAY_US = DAY * INTERVAL_US


def _of(quantity, value, skip=()):
    rows = full("inv-1", quantity, DAY, value, skip)
    rows.device[:] = WIDER.by_id["m-1"]
    return rows


def _closed(*parts, certificates=None, meter=METER, days=1):
    found = {"m-1": CERTIFICATES["inv-1"]} if certificates is None else certificates
    fleet = Fleet([*FLEET.devices, meter])
    rows = IntervalRows.concat(list(parts))
    return close(WIND, fleet, found, rows, FROM, FROM + DAY_US * days, factors.load())


def test_a_wind_farm_is_credited_for_its_net_electricity():
    """A farm would be credited for what it fetched from the grid to turn its own blades."""
    result = _closed(_of("energy_export", 100_000), _of("energy_import", 2_000))
    assert result.net.reduction.ug == (100_000 - 2_000) * DAY * EF * 10**6
    # the live rows show the export alone
    assert result.gross.reduction.ug == 100_000 * DAY * EF * 10**6
    (line,) = result.deductions
    assert line.quantity == "192000.000000"
    assert line.percent == "2.000000"
    assert str(line.reason) == "energy_import of the same meter in 2026, with its gaps"
    (device,) = result.devices
    assert Fraction(device.counted) == device.metered - Fraction(device.deducted)


def test_a_day_without_wind_is_owed():
    """Standing still would cost nothing, and its import be forgotten."""
    result = _closed(_of("energy_export", 0), _of("energy_import", 2_000))
    assert result.net.reduction.ug == -2_000 * DAY * EF * 10**6
    assert result.carry_ug == result.net.reduction.ug
    assert result.credit_t == 0
    assert result.deductions[0].percent == "100.000000"


def test_a_gap_of_the_import_counts_at_the_rated_power():
    """Switching off the import channel at night would earn."""
    whole = _closed(_of("energy_export", 10**5), _of("energy_import", 2_000))
    gap = _closed(_of("energy_export", 10**5), _of("energy_import", 2_000, skip=(0, 1)))
    cost = 2 * (METER.rated_power_w // 4 - 2_000)
    assert whole.net.reduction.ug - gap.net.reduction.ug == cost * EF * 10**6


def test_a_meter_without_rating_counts_a_gap_at_its_largest_import():
    """A gap would cost nothing where nobody gave the rated power."""
    bare = replace(METER, rated_power_w=None)
    gap = _closed(_of("energy_export", 10**5), _of("energy_import", 2_000, skip=(0,)), meter=bare)
    assert Fraction(gap.deductions[0].quantity) == 2_000 * DAY
    still = _closed(_of("energy_export", 10**5), _of("energy_import", 0, skip=(0,)), meter=bare)
    assert not still.deductions


def test_an_import_that_nobody_meters_is_said():
    """A verifier would take the export for the net."""
    result = _closed(_of("energy_export", 10**5))
    broken = [f for f in result.applicability if not f.holds]
    assert "no import of m-1 is metered" in broken[0].detail
    assert result.net.reduction.ug == 10**5 * DAY * EF * 10**6
    held = _closed(_of("energy_export", 10**5), _of("energy_import", 0))
    assert not [f for f in held.applicability if "import" in f.rule and not f.holds]


def test_a_late_calibration_counts_against_both():
    """A meter that reads its import too low would pay for itself."""
    late = _closed(_of("energy_export", 10**5), _of("energy_import", 2_000), certificates={})
    percent = Fraction(2, 100)  # no class known
    counted = DAY * (10**5 * (1 - percent) - 2_000 * (1 + percent))
    assert late.net.reduction.ug == pytest.approx(float(counted * EF * 10**6), rel=1e-12)


def test_a_year_above_the_limit_is_named():
    """A farm of 30 MW would be credited under a small-scale methodology."""
    clause = "AMS-I.D limit, 15 MW"
    for export, holds in ((10**5, True), (2 * 10**9, False)):
        found = {f.rule: f for f in _closed(_of("energy_export", export)).applicability}
        assert found[clause].holds is holds
    assert found[clause].detail.startswith("2026: eg_mwh = 192000 is more than the 131760 MWh")


def test_the_import_is_evidence():
    """A pack would leave out the rows that the deduction rests on."""
    quantities = {"energy_export", "energy_import"}
    assert len(monitored(WIND, WIDER)) == len(quantities)


@settings(max_examples=often(15, 30), deadline=None)
@given(
    export=st.integers(0, 250_000),
    imported=st.integers(0, 250_000),
    skip=st.sets(st.integers(0, DAY - 1), max_size=DAY - 1),
)
def test_import_that_is_lost_never_earns(export, imported, skip):
    """Losing rows of the import would raise the net."""
    whole = _closed(_of("energy_export", export), _of("energy_import", imported))
    less = _closed(_of("energy_export", export), _of("energy_import", imported, skip))
    assert less.net.reduction.ug <= whole.net.reduction.ug
