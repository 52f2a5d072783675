"""Furnaces and waste heat, closed from what their meters counted, against sums by hand."""

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.registry.project import ACCOUNTING, FIRST, Besides, Calibration, ProjectDevice
from mrv.rounding import UG_PER_T
from mrv.rules.closing import close
from tests.mrv import plant

BILLED = "EVD-03"

FLEET = Fleet(
    [
        Device(
            "turbine", "s", "waste_heat_turbine", rated_power_w=5 * 10**6, installed_us=plant.FROM
        ),
        Device("scale", "s", "weighbridge", installed_us=plant.FROM),
        Device("furnace", "s", "furnace", rated_power_w=10**6, installed_us=plant.FROM),
        Device("gas", "s", "fuel_meter", installed_us=plant.FROM),
        Device("fans", "s", "energy_meter", rated_power_w=50_000, installed_us=plant.FROM),
    ]
)
SURE = {
    d.id: (Calibration(date(2025, 1, 1), date(2040, 1, 1), "C", None, 0),) for d in FLEET.devices
}
WHR = replace(
    plant.PV,
    id="whr",
    methodology="jcm-whr",
    version="1.0",
    expected={},
    parameters={"captive_load_kw": 180, "ef_grid_t_per_mwh": Fraction("0.6592")},
    devices=(ProjectDevice("turbine", "turbine"),),
)
CUPOLA = replace(
    WHR, id="cupola", methodology="ams-ii-d-cupola", version="13.0",
    parameters={"production_hist_t": 12_000, "coke_t_per_t": Fraction("0.14"),
                "limestone_t_per_t": Fraction("0.03"), "tdl": Fraction("0.0615"),
                "leakage_t_per_year": 73},
    devices=(ProjectDevice("scale", "production"), ProjectDevice("furnace", "power")),
)  # fmt: skip
BURNERS = replace(
    WHR,
    id="burners",
    methodology="jcm-id-am009",
    parameters={"eta_reference": Fraction("0.38"), "eta_project": Fraction("0.55")},
    devices=(
        ProjectDevice("gas", "lpg", {"density_kg_per_m3": 540}),
        ProjectDevice("fans", "power"),
    ),
)
DAY = plant.DAY


def _reduced(project, given):
    end = plant.FROM + DAY * INTERVAL_US
    rows = plant.laid_out(FLEET, given)
    return close(project, FLEET, SURE, rows, plant.FROM, end, factors.load()).net.reduction.ug


def _is(ug, tonnes):
    """Whether an amount is the one by hand, rounded down to a whole microgram."""
    return 0 <= tonnes * UG_PER_T - ug < 1


def test_a_day_of_waste_heat():
    """What turbine and name plates say would come to other tonnes than the equation."""
    made = {("turbine", "energy_export"): [1_000_000] * DAY}
    assert _is(_reduced(WHR, made), (96 - Fraction(180 * 24, 1000)) * Fraction("0.6592"))
    gap = {("turbine", "energy_export"): [None] * 48 + [1_000_000] * 48}
    assert _is(_reduced(WHR, gap), (48 - Fraction(180 * 24, 1000)) * Fraction("0.6592"))


def test_auxiliaries_of_a_waste_heat_plant_stand_in_a_document():
    """No meter shows them: a capacity of 0 was taken off as it was typed."""
    end = plant.FROM + DAY * INTERVAL_US
    rows = plant.laid_out(FLEET, {("turbine", "energy_export"): [1_000_000] * DAY})

    def closed(accounting, *papers):
        besides = Besides(accounting=accounting, documents=plant.papers(*papers))
        return close(WHR, FLEET, SURE, rows, plant.FROM, end, factors.load(), besides=besides)

    bare, honest = closed(ACCOUNTING), closed(ACCOUNTING, "captive_load_kw")
    assert bare.net.reduction.ug == 0
    (said,) = [f for f in bare.applicability if f.rule == BILLED]
    assert not said.holds
    assert "captive_load_kw" in said.detail
    assert honest.net == closed(FIRST).net
    assert BILLED not in {f.rule for f in honest.applicability if not f.holds}


def test_a_day_of_a_furnace_in_place_of_a_cupola():
    """Coke that nobody burns any more, against the grid that melts in its place."""
    output, power = Fraction(96, 4), Fraction(96 * 140, 1000)
    coke = output * Fraction("0.14") * Fraction("28.2") * 107 / 1000
    lime = output * Fraction("0.03") * Fraction("0.44")
    grid = Fraction("0.6592") / (1 - Fraction("0.0615"))
    scale, furnace = ("scale", "mass"), ("furnace", "energy_import")
    counted = {scale: [250_000] * DAY, furnace: [140_000] * DAY}
    found = Fraction(_reduced(CUPOLA, counted), UG_PER_T)
    assert found == pytest.approx(coke + lime - power * grid - Fraction(73, 365), abs=1e-9)
    # a gap of the furnace's meter is charged at its rated power, one of the scale earns nothing
    lost = {scale: [250_000] * DAY, furnace: [None] + [140_000] * (DAY - 1)}
    more = Fraction(250 - 140, 1000) * grid
    assert found - Fraction(_reduced(CUPOLA, lost), UG_PER_T) == pytest.approx(more, abs=1e-9)
    # output above history: 12,000 t a year are 32.9 t a day
    most = {scale: [500_000] * DAY, furnace: [140_000] * DAY}
    cap = Fraction(12_000, 365)
    credited = (coke + lime) / output * cap - power * grid - Fraction(73, 365)
    assert Fraction(_reduced(CUPOLA, most), UG_PER_T) == pytest.approx(credited, abs=1e-9)


def test_a_day_of_regenerative_burners():
    """Litres would be taken for tonnes, or the fans for nothing."""
    gas, fans = ("gas", "flow"), ("fans", "energy_import")
    litres, kwh = 96 * 20, Fraction(96 * 5)
    fuel = Fraction(litres * 540, 10**6) * Fraction("47.3") * Fraction("0.0631")
    counted = {gas: [20_000] * DAY, fans: [5_000] * DAY}
    by_hand = fuel * Fraction(55, 38) - fuel - kwh / 1000 * Fraction("0.6592")
    assert _is(_reduced(BURNERS, counted), by_hand)
    lost = counted | {fans: [None] + [5_000] * (DAY - 1)}
    rated = Fraction(50_000 // 4 - 5_000, 10**6) * Fraction("0.6592")
    assert _is(_reduced(BURNERS, lost), by_hand - rated)
