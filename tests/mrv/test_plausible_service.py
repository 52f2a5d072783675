"""Service without consumption, and what no device can have done: it earns nothing."""

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.errors import MethodologyError
from mrv.methodologies import evaluate, find
from mrv.registry.project import ACCOUNTING, Besides, Project, ProjectDevice, Usage
from mrv.rules.closing import close
from tests.mrv import plant

DAY = plant.DAY
WEEK = 7 * DAY
KM_PER_QUARTER = 4_500  # 18 h of service at 18 km/h: 324 km a day
NIGHT = 5 * 4  # quarter hours of charging
SAFE = Besides(accounting=ACCOUNTING, documents=plant.LOSSES)
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


def project(*chargers):
    """A project of one bus and some chargers."""
    charging = (ProjectDevice(name, "charging") for name in chargers)
    return Project(**BUS, devices=(*charging, ProjectDevice("bus-1", "vehicle")))


def driven(days, metres=KM_PER_QUARTER):
    """Metres a quarter hour: by day, from six to midnight."""
    return ([0] * 24 + [metres] * 72) * days


def charged(days, kwh, of=1):
    """Watt hours a quarter hour: by night, some part of a day's need."""
    return ([kwh * 1000 // NIGHT // of] * NIGHT + [0] * (DAY - NIGHT)) * days


def closed(rows, *chargers, weeks=1, besides=SAFE):
    """Close weeks over rows by device and quantity."""
    given = plant.laid_out(FLEET, rows)
    end = plant.FROM + weeks * WEEK * INTERVAL_US
    return close(project(*chargers), FLEET, PAPERS, given, plant.FROM, end, BOOK, besides=besides)


def unmet(result):
    """Conditions that do not hold, but for the one of the model's own consumption."""
    return [
        f
        for f in result.applicability
        if not f.holds
        and f.rule in {"MTR-01", "MTR-05", "MTR-06"}
        and "no kwh_per_km" not in f.detail
    ]


def test_charger_that_stands_still_earns_nothing():
    """A bus would earn 1.756 t for 1,949 km that it drove without electricity."""
    rows = {("ch-1", "energy_import"): [0] * WEEK, ("bus-1", "distance"): driven(7)}
    assert float(closed(rows, "ch-1", besides=None).net.reduction.t) > 1.7
    result = closed(rows, "ch-1")
    assert float(result.net.reduction.t) < 0
    assert "0 kWh/km" in unmet(result)[0].detail
    charge = next(d for d in result.deductions if d.kind == "MTR-05")
    assert charge.device == "ch-1"
    # 2,268 km at the highest of its class
    assert charge.quantity == "4536000.000000"


def test_charger_in_reserve_costs_nothing():
    """An honest project would pay for a charger that nobody needed."""
    rows = {
        ("ch-1", "energy_import"): charged(7, 340),
        ("ch-2", "energy_import"): [0] * WEEK,
        ("bus-1", "distance"): driven(7),
    }
    result = closed(rows, "ch-1", "ch-2")
    assert result.net == closed(rows, "ch-1").net
    assert "end its service with `to`" in unmet(result)[0].detail


def test_a_bus_that_takes_more_than_others_is_no_fault():
    """An operator whose buses idle with their air conditioning on would need a reason for it."""
    night = charged(7, 972, of=2)
    rows = {("ch-1", "energy_import"): night, ("ch-2", "energy_import"): night}
    found = closed({**rows, ("bus-1", "distance"): driven(7)}, "ch-1", "ch-2")
    assert not unmet(found)
    (said,) = [f for f in found.applicability if f.rule == "MTR-05" and "charging" in f.detail]
    assert said.holds
    assert "3 kWh/km is more than the 2 kWh/km that such services take" in said.detail


@pytest.mark.parametrize("kwh", [0, 1_000])
def test_evaluation_refuses_charging_that_moves_no_bus(kwh):
    """`tonne evaluate` would give 2,702.7 t for buses that charge nothing."""
    case = json.loads(Path("tests/golden/ams-iii-c.json").read_text("utf-8"))
    inputs = {**case["inputs"], "charging_mwh": kwh / 1000}
    with pytest.raises(MethodologyError, match=r"kWh/km, and such services take 0\.6 to 2"):
        evaluate(find("ams-iii-c"), inputs, BOOK, "in.json")


def test_energy_above_the_rating_of_its_time_counts_nothing():
    """A rating that was raised a thousandfold would make a past week earn 12.5 t, not 0.45."""
    fleet = Fleet(
        [Device("inv-1", "s", "pv_inverter", rated_power_w=10**8, installed_us=plant.FROM)]
    )
    rows = plant.laid_out(fleet, {("inv-1", "energy_export"): [250_000] * WEEK})
    one = Project(
        **{n: getattr(plant.PV, n) for n in plant.PV.__slots__ if n != "devices"},
        devices=plant.PV.devices[:1],
    )
    end = plant.FROM + WEEK * INTERVAL_US
    later = Besides(accounting=ACCOUNTING, ratings={"inv-1": ((plant.FROM, 100_000), (end, 10**8))})
    result = close(
        one, fleet, PAPERS | plant.CERTIFICATES, rows, plant.FROM, end, BOOK, besides=later
    )
    assert result.devices[0].counted == f"{27_500 * WEEK}.000000"
    assert unmet(result)


def _three(values, ids=("inv-1", "inv-2", "inv-3"), watt=100_000, besides=SAFE):
    """Close a week of some inverters, each with its own quarter hours."""
    fleet = Fleet(
        [Device(i, "s", "pv_inverter", rated_power_w=watt, installed_us=plant.FROM) for i in ids]
    )
    one = Project(
        **{n: getattr(plant.PV, n) for n in plant.PV.__slots__ if n != "devices"},
        devices=tuple(ProjectDevice(i, "generation", {"case": 1}) for i in ids),
    )
    rows = plant.laid_out(
        fleet, {(i, "energy_export"): v for i, v in zip(ids, values, strict=True)}
    )
    end = plant.FROM + WEEK * INTERVAL_US
    papers = dict.fromkeys(ids, plant.CERTIFICATES["inv-1"])
    return close(one, fleet, papers, rows, plant.FROM, end, BOOK, besides=besides)


def _sun(seed, scale=1.0):
    """A week of sun behind clouds, in watt hours a quarter hour; meters differ by a per cent."""
    clouds = np.random.default_rng(7).random(WEEK)
    own = 1 + 0.01 * np.random.default_rng(seed).standard_normal(WEEK)
    hour = np.arange(WEEK) % DAY / 4
    day = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0)
    return (day * (1 - 0.6 * clouds) * own * 20_000 * scale).astype(int).tolist()


def test_one_meter_under_three_ids_counts_once():
    """The same meter would be credited three times."""
    result = _three([_sun(1)] * 3)
    assert [float(d.counted) > 0 for d in result.devices] == [True, False, False]
    assert "inv-2 is identical to inv-1" in _of(result, "MTR-03")


def test_meters_side_by_side_are_not_taken_for_one():
    """An honest roof would lose all but one inverter."""
    result = _three([_sun(1), _sun(2), _sun(3, 0.5)])
    assert all(float(d.counted) > 0 for d in result.devices)
    assert not _of(result, "MTR-03")


def test_series_that_was_scaled_or_shifted_is_named():
    """A copy that is a quarter hour late, or a third larger, would pass for another meter."""
    truth = _sun(1)
    late = [0] * 2 + truth[:-2]
    larger = [round(v * 1.3) for v in truth]
    found = _three([truth, late, larger])
    told = _of(found, "MTR-03")
    assert "inv-3 is proportional to inv-1" in told
    assert told.startswith("inv-2")
    # of a proportional one nothing is taken off: it is asked for
    grades = [{f.severity for f in _three(of).applicability if f.rule == "MTR-03"}
              for of in ([truth, _sun(2), larger], [truth, _sun(2), late])]  # fmt: skip
    assert grades == [{"CL"}, {"CAR"}]


def test_a_tiny_copy_does_not_excuse_a_large_scaled_one():
    """A pair of small identical meters would turn a doubt of half the plant into an observation."""
    truth, small = _sun(1), _sun(2, 1e-3)
    larger = [round(v * 1.3) for v in truth]
    found = _three([truth, larger, small, small], ("inv-1", "inv-2", "inv-3", "inv-4"))
    graded = {f.severity: f.detail for f in found.applicability if f.rule == "MTR-03"}
    costs = {f.severity: f.tonnes for f in found.applicability if f.rule == "MTR-03"}
    assert (float(costs["observation"]) > 0, costs["CL"]) == (True, "")
    assert graded.keys() == {"observation", "CL"}
    assert "inv-4 is identical to inv-3" in graded["observation"]
    assert "inv-2 is proportional to inv-1" in graded["CL"]


def test_copy_with_a_little_noise_is_named():
    """A copy of which each quarter hour is a little off would pass for another meter."""
    noise = np.random.default_rng(4).uniform(-0.003, 0.003, WEEK)
    told = {k: _told_of(k * noise) for k in (1, 5, 10)}
    alike = "inv-3 is proportional to inv-1 in nearly every 15-minute interval"
    assert told == {1: alike, 5: alike, 10: ""}


def _told_of(noise):
    copy = _noisy(_sun(1), noise)
    return _of(_three([_sun(1), _sun(2), copy]), "MTR-03")


def _noisy(values, noise):
    return np.rint(np.array(values) * (1 + noise)).astype(int).tolist()


def test_inverter_without_a_rating_earns_nothing():
    """A single reading 50 MWh too high would be credited where nothing bounds it."""
    result = _three([_sun(1)], ids=("inv-1",), watt=None)
    assert result.devices[0].counted == "0.000000"
    assert "no rated_power_w" in _of(result, "REG-01")


def test_a_meter_that_counts_nothing_has_no_error_that_counts():
    """Its certificate had ended, and the project's baseline was below zero."""
    fleet = Fleet([Device("inv-1", "s", "pv_inverter", installed_us=plant.FROM)])
    one = replace(plant.PV, devices=(ProjectDevice("inv-1", "generation", {"case": 1}),))
    rows = plant.laid_out(fleet, {("inv-1", "energy_export"): _sun(1)})
    end = plant.FROM + WEEK * INTERVAL_US
    assert close(one, fleet, {}, rows, plant.FROM, end, BOOK, besides=SAFE).net.baseline.ug == 0


def _of(result, clause):
    """Detail of a condition that does not hold; nothing where it does."""
    return "".join(f.detail for f in result.applicability if f.rule.startswith(clause))


def year_of(kwh, metres=KM_PER_QUARTER, weeks=8, history=(), *, billed=False):
    """Close some weeks of a bus that charges at its depot, with what it took before."""
    rows = {
        ("ch-1", "energy_import"): charged(7, kwh) * weeks,
        ("bus-1", "distance"): metres if isinstance(metres, list) else driven(7 * weeks, metres),
    }
    bills = plant.bills(rows, "ch-1") if billed else ()
    bills = tuple(replace(one, issued=date(2026, 6, 1)) for one in bills)
    besides = Besides(accounting=ACCOUNTING, history=history, invoices=bills)
    return closed(rows, "ch-1", weeks=weeks, besides=besides)


BEFORE = Usage(
    "TN-before", plant.FROM - 28 * DAY * INTERVAL_US, plant.FROM, 340_000 * 28, 324_000 * 28
)


def test_odometer_that_runs_fast_gains_nothing():
    """An odometer a quarter fast would earn a quarter more, inside the range of its class."""
    truth = year_of(340, weeks=4, history=(BEFORE,))
    fast = year_of(340, KM_PER_QUARTER * 5 // 4, weeks=4, history=(BEFORE,))
    without = year_of(340, KM_PER_QUARTER * 5 // 4, weeks=4)
    assert float(without.net.reduction.t) > 1.3 * float(truth.net.reduction.t)
    assert float(fast.net.reduction.t) <= float(truth.net.reduction.t) + 1e-4
    assert unmet(fast)
    assert not unmet(truth)
    assert truth.net == year_of(340, weeks=4).net
    assert any("1.049 kWh/km in earlier periods" in str(d.reason) for d in fast.deductions)


def test_invoiced_charging_is_no_leave_for_an_odometer_that_left_its_own_past():
    """A bill of the charging is true of any distance: a year of statements would count for none."""
    truth = year_of(340, weeks=4, history=(BEFORE,), billed=True)
    fast = year_of(340, KM_PER_QUARTER * 5 // 4, weeks=4, history=(BEFORE,), billed=True)
    assert not unmet(truth)
    assert float(fast.net.reduction.t) <= float(truth.net.reduction.t) + 1e-4
    assert unmet(fast)


def by_model(kwh_per_km, metres, *, weeks=4, given=True, fixed=()):
    """Close some weeks of a bus whose model's consumption the project gives, or does not."""
    rows = {
        ("ch-1", "energy_import"): charged(7, 340) * weeks,
        ("bus-1", "distance"): driven(7 * weeks, metres),
    }
    params = {"kwh_per_km": kwh_per_km} if given else {}
    bound = (ProjectDevice("ch-1", "charging"), ProjectDevice("bus-1", "vehicle", params))
    one = Project(**{**BUS, "devices": bound})
    end = plant.FROM + weeks * WEEK * INTERVAL_US
    besides = Besides(accounting=ACCOUNTING, fixed=fixed)
    given_rows = plant.laid_out(FLEET, rows)
    return close(one, FLEET, PAPERS, given_rows, plant.FROM, end, BOOK, besides=besides)


MODEL = "MTR-06"


def test_odometer_that_is_fast_from_the_first_day_gains_nothing():
    """An odometer half as fast again would earn it inside the range of the class, for ever."""
    fast = KM_PER_QUARTER * 3 // 2
    bare, truth = by_model(1, fast, given=False), by_model(1, KM_PER_QUARTER)
    assert float(bare.net.reduction.t) > 1.4 * float(truth.net.reduction.t)
    assert "bus-1: no kwh_per_km is entered" in _of(bare, MODEL)
    assert not _of(truth, MODEL)
    assert truth.net == by_model(1, KM_PER_QUARTER, given=False).net
    found = by_model(1, fast)
    # by as much as the bus takes more in service than its type approval says
    assert float(found.net.baseline.t) < 1.05 * float(truth.net.baseline.t)
    assert "1 kWh/km by the type approval" in _of(found, MODEL)
    assert any("1 kWh/km by the type" in str(d.reason) for d in found.deductions)


def test_a_model_that_takes_far_less_than_the_bus_is_named():
    """A value typed low would let a fast odometer through, and look like a type approval."""
    found = by_model(Decimal("0.5"), KM_PER_QUARTER)
    assert "kwh_per_km is not the value of this equipment" in _of(found, MODEL)
    assert found.net == by_model(1, KM_PER_QUARTER).net
