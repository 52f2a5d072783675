"""Service without consumption, and quantities that no device can reach, are not credited."""

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.errors import MethodologyError
from mrv.methodologies import evaluate, find
from mrv.methodologies.acm0012 import max_enthalpy
from mrv.registry.project import ACCOUNTING, Project, ProjectDevice, SupportingData
from mrv.rules.closing import close
from tests.golden import case
from tests.mrv import plant

DAY = plant.DAY
WEEK = 7 * DAY
KM_PER_QUARTER = 4_500  # 18 h of service at 18 km/h: 324 km a day
NIGHT = 5 * 4  # quarter hours of charging
MODEL = "MTR-06"
BOOK = factors.load()
FLEET = Fleet(
    [
        *(
            Device(f"ch-{n}", "s", "ev_charger", rated_power_w=120_000, installed_us=plant.FROM)
            for n in (1, 2, 3)
        ),
        Device("bus-1", "s", "vehicle", installed_us=plant.FROM),
    ]
)
BUS = {
    "id": "bus",
    "name": "Buses",
    "methodology": "ams-iii-c",
    "version": "16.0",
    "timezone": plant.ZONE,
    "from_us": plant.FROM,
    "to_us": plant.TO,
    "parameters": plant.BUS.parameters,
}
PAPERS = {d.id: plant.CERTIFICATES["inv-1"] for d in FLEET.devices}


def unmet(result):
    """Return the conditions that are not met, except that on the model's own consumption."""
    return [
        f
        for f in result.applicability
        if not f.holds
        and f.rule in {"MTR-01", "MTR-05", "MTR-06"}
        and "no kwh_per_km" not in f.detail
    ]


@pytest.mark.parametrize("kwh", [0, 1_000])
def test_evaluation_refuses_charging_that_moves_no_bus(kwh):
    """`tonne evaluate` would give 2,702.7 t for buses that charge nothing."""
    inputs = {**case("ams-iii-c")["inputs"], "charging_mwh": kwh / 1000}
    with pytest.raises(MethodologyError, match=r"kWh/km; such services take 0\.6 to 2"):
        evaluate(find("ams-iii-c"), inputs, BOOK, "in.json")


def test_energy_above_the_rating_of_its_time_counts_nothing():
    """Energy above the rated power registered at its time is not credited."""
    fleet = Fleet(
        [Device("inv-1", "s", "pv_inverter", rated_power_w=10**8, installed_us=plant.FROM)]
    )
    rows = plant.laid_out(fleet, {("inv-1", "energy_export"): [250_000] * WEEK})
    one = Project(
        **{n: getattr(plant.PV, n) for n in plant.PV.__slots__ if n != "devices"},
        devices=plant.PV.devices[:1],
    )
    end = plant.FROM + WEEK * INTERVAL_US
    later = SupportingData(
        accounting=ACCOUNTING, ratings={"inv-1": ((plant.FROM, 100_000), (end, 10**8))}
    )
    result = close(
        one, fleet, PAPERS | plant.CERTIFICATES, rows, plant.FROM, end, BOOK, supporting=later
    )
    assert result.devices[0].counted == f"{27_500 * WEEK}.000000"
    assert unmet(result)


def driven(days, metres=KM_PER_QUARTER):
    """Return the metres of each 15-minute interval: in daytime, from six to midnight."""
    return ([0] * 24 + [metres] * 72) * days


def charged(days, kwh, of=1):
    """
    Return the energy of each 15-minute interval: at night, a share of a
    day's consumption. [Wh]
    """
    return ([kwh * 1000 // NIGHT // of] * NIGHT + [0] * (DAY - NIGHT)) * days


def _of(result, clause):
    """Return the text of a condition that is not met; empty if it is met."""
    return "".join(f.detail for f in result.applicability if f.rule.startswith(clause))


def by_model(kwh_per_km, metres, *, weeks=4, given=True, fixed=(), billed=False):
    """Close some weeks of a bus; the project enters its model's consumption, or does not."""
    rows = {
        ("ch-1", "energy_import"): charged(7, 340) * weeks,
        ("bus-1", "distance"): driven(7 * weeks, metres),
    }
    params = {"kwh_per_km": kwh_per_km} if given else {}
    bound = (ProjectDevice("ch-1", "charging"), ProjectDevice("bus-1", "vehicle", params))
    one = Project(**{**BUS, "devices": bound})
    end = plant.FROM + weeks * WEEK * INTERVAL_US
    bills = plant.bills(rows, "ch-1") if billed else ()
    bills = tuple(replace(bill, issued=date(2026, 6, 1)) for bill in bills)
    supporting = SupportingData(accounting=ACCOUNTING, fixed=fixed, invoices=bills)
    given_rows = plant.laid_out(FLEET, rows)
    return close(one, FLEET, PAPERS, given_rows, plant.FROM, end, BOOK, supporting=supporting)


def test_odometer_that_is_fast_from_the_first_day_gains_nothing():
    """
    An odometer half as fast again would stay within the range of its class, and be credited
    permanently.
    """
    fast = KM_PER_QUARTER * 3 // 2
    bare, truth = by_model(1, fast, given=False), by_model(1, KM_PER_QUARTER)
    assert float(bare.net.reduction.t) > 1.4 * float(truth.net.reduction.t)
    assert "bus-1: no kwh_per_km is entered" in _of(bare, MODEL)
    assert not _of(truth, MODEL)
    assert truth.net == by_model(1, KM_PER_QUARTER, given=False).net
    # a bill of the charging is true of any distance, and a line may take a fifth less
    careful = by_model(1, KM_PER_QUARTER * 5 // 4, billed=True)
    assert float(careful.net.baseline.t) > 1.2 * float(truth.net.baseline.t)
    for found in (by_model(1, fast), by_model(1, fast, billed=True)):
        # by as much as the bus takes more in service than its type approval says
        assert float(found.net.baseline.t) < 1.05 * float(truth.net.baseline.t)
        assert "1 kWh/km by the type approval" in _of(found, MODEL)
        assert any("1 kWh/km by the type" in str(d.reason) for d in found.deductions)


@pytest.mark.parametrize(("celsius", "real"), [(120, 2716), (170, 2769), (250, 2943), (450, 3384)])
def test_no_real_steam_is_above_the_bound(celsius, real):
    """An honest plant would lose heat: steam tables at 100, 792, 1000 and 400 kPa."""
    assert real < max_enthalpy(Fraction(celsius)) < 1.03 * real
