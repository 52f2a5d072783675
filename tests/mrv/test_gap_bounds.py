"""The amount charged for a gap on the project side, and the text if it is unknown."""

from dataclasses import replace
from datetime import date

import pytest

from ingest.model import Device, Fleet
from mrv.accounting.device_period import rated_fuel
from mrv.errors import PeriodError
from mrv.registry import Calibration
from mrv.registry.calibration import of_meter, uncovered
from mrv.registry.project import FIRST, ProjectDevice
from mrv.rules.closing import check_edges
from tests.mrv import plant
from tests.mrv.test_design_capacity import WEEK, WEEKS, ended
from tests.mrv.test_monthly import FIXED

BUILT = {"design_mass_t_per_d": 50, "design_kwh_per_t": 10}
WATT = 150_000


def composted(fuel, rated=None, **supporting):
    """Close five weeks of a composting plant; None for a diesel meter without data."""
    count = WEEKS * WEEK
    fleet = Fleet(
        [
            Device("weigh", "s", "weighbridge", installed_us=plant.FROM),
            Device("power", "s", "energy_meter", rated_power_w=50_000, installed_us=plant.FROM),
            Device("fuel", "s", "fuel_meter", rated_power_w=rated, installed_us=plant.FROM),
        ]
    )
    rows = {("weigh", "mass"): [500_000] * count, ("power", "energy_import"): [5_000] * count,
            ("fuel", "flow"): [fuel] * count}  # fmt: skip
    project = replace(
        plant.PV, id="compost", methodology="ams-iii-f", version="12.0", expected={},
        parameters=FIXED,
        devices=(ProjectDevice("weigh", "waste"), ProjectDevice("power", "power"),
                 ProjectDevice("fuel", "fuel")),
    )  # fmt: skip
    ratings = {"fuel": ((0, rated),)} if rated else {}
    return ended(project, fleet, rows, BUILT, ratings=ratings, **supporting)


def test_a_diesel_meter_that_never_told_closes_by_the_power_of_what_it_feeds():
    """The remedy in the message was of no use: `rated_power_w` was not read for fuel."""
    with pytest.raises(PeriodError, match=r"fuel: no reading from 2026-01-01T00:00:00\+07:00 on"):
        composted(None)
    with pytest.raises(PeriodError, match="enter in its `rated_power_w` the power of all engines"):
        composted(None)
    truth, found = composted(2_000), composted(None, WATT)
    (gap,) = (g for g in found.gaps if g.device == "fuel")
    hours = WEEKS * 7 * 24
    assert float(gap.substituted) == pytest.approx(float(rated_fuel(WATT) * hours))
    # 84 L/h of 150 kW, and it took 8
    assert 80_000 < rated_fuel(WATT) < 90_000
    assert 0 < float(found.net.reduction.t) < float(truth.net.reduction.t)
    with pytest.raises(PeriodError, match="send its readings"):
        composted(None, WATT, accounting=FIRST)


def test_a_meter_that_told_something_is_charged_at_that():
    """A small engine would make the gaps of a meter cheap that feeds large ones."""
    assert composted(2_000, 1_000).net == composted(2_000).net


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ((plant.FROM + 1, plant.FROM + 2), r"from = 2026-01-01T00:00:00.000001\+07:00 is inside"),
        ((plant.FROM, plant.FROM), r"from 2026-01-01T00:00:00\+07:00 to 2026-01-01T00:00:00\+07"),
        ((plant.FROM, 2 * plant.TO), r"pv, 2026-01-01T00:00:00\+07:00 to 2036-01-01T00:00:00\+07"),
    ],
)
def test_edges_are_said_as_dates(edges, said):
    """An error message would state a time as 1790787600000000 us."""
    edges = tuple(us - us % 900_000_000 if us > plant.TO else us for us in edges)
    with pytest.raises(PeriodError, match=said):
        check_edges(plant.PV, *edges)


def test_a_certificate_whose_meter_left_has_not_expired():
    """A certificate that is valid until 2028 was reported as expired."""
    paper = Calibration(date(2025, 12, 20), date(2028, 1, 1), "C-1")
    at = plant.us(2026, 2, 1)
    (kept,) = of_meter([paper], [at], None, plant.ZONE)
    begin = plant.FROM // 900_000_000
    (bare,) = uncovered([kept], "energy_export", plant.ZONE, begin, begin + 90 * 96)
    said = "certificate C-1 ended with its meter, which was replaced; enter the new"
    assert str(bare.reason).startswith(said)
    (late,) = uncovered([paper], "energy_export", plant.ZONE, begin + 800 * 96, begin + 900 * 96)
    assert str(late.reason) == "certificate C-1 has expired"
