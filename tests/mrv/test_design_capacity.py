"""
Meters that are all too high: the output of a plant is limited by its design.

Output above the design is not credited, and its consumption is still charged.
"""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.model import INTERVAL_US, Device, Fleet, IntervalRows
from ingest.quality.energy_budget import WH_PER_ML_M, max_flow
from mrv import factors
from mrv.registry.project import ACCOUNTING, FIRST, Measured, ProjectDevice, SupportingData
from mrv.rules.closing import close
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from tests.mrv import plant
from tests.mrv.plant import BUS, CERTIFICATES, DAY, FLEET, FROM, full
from tests.mrv.report.sample import frame
from tests.mrv.test_owner_inputs import COD, PLANT
from tests.soak import SOAK

DAY_US = DAY * 900_000_000
BUS_2 = replace(FLEET.devices[FLEET.by_id["bus-1"]], id="bus-2")
BUSES = replace(BUS, devices=(*BUS.devices, ProjectDevice("bus-2", "vehicle")))
WIDER = Fleet([*FLEET.devices, BUS_2])
METRES = 1000  # an interval


def _closed(cap=None, metres=METRES, days=1, begin=FROM):
    """Return two buses, the second with half the distance, and a charger."""
    rows = IntervalRows.concat(
        [
            full("bus-1", "distance", DAY * days, metres),
            _of("bus-2", full("bus-1", "distance", DAY * days, metres // 2)),
            full("ch-1", "energy_import", DAY * days, 500),
        ]
    )
    rows.start_us += begin - FROM
    more = {} if cap is None else {"service_km_per_year": cap}
    project = replace(BUSES, parameters={**BUS.parameters, **more})
    certificates = {**CERTIFICATES, "bus-2": CERTIFICATES["bus-1"]}
    return close(project, WIDER, certificates, rows, begin, begin + DAY_US * days, factors.load())


def _of(device, rows):
    rows.device[:] = WIDER.by_id[device]
    return rows


@settings(max_examples=25, deadline=None)
@given(small=st.integers(0, 60_000), more=st.integers(0, 60_000))
def test_a_larger_design_never_earns_less(small, more):
    """A reversed cap would credit more for a smaller capacity."""
    low, high = _closed(cap=small), _closed(cap=small + more)
    assert low.net.reduction.ug <= high.net.reduction.ug <= _closed().net.reduction.ug


BOOK = factors.load()
WEEKS = 5
WEEK = 7 * plant.DAY
# 480 m3/d of 6 kg/m3, which take 0.8 kWh/m3
WATER = ("in", "flow"), ("gas", "biogas"), ("power", "energy_import")
BUILT = {"design_flow_m3_per_d": 600, "design_cod_kg_per_d": 3600,
         "design_kwh_per_m3": Decimal("0.8")}  # fmt: skip
TREATED = replace(
    plant.PV, id="treated", methodology="ams-iii-h", version="19.0", expected={}, parameters=COD,
    devices=tuple(ProjectDevice(n, r) for n, r in
                  {"in": "inflow", "gas": "biogas", "power": "power"}.items()),
)  # fmt: skip


def ended(project, fleet, rows, built, weeks=WEEKS, *, certified=True, **supporting):
    """Close weeks of rows by device and quantity."""
    one = replace(project, parameters={**project.parameters, **built})
    papers = {d.id: plant.CERTIFICATES["inv-1"] for d in fleet.devices if certified}
    end = plant.FROM + weeks * WEEK * INTERVAL_US
    held = SupportingData(
        **{
            "accounting": ACCOUNTING, "documents": (*plant.papers(*built), *plant.LOSSES),
            "invoices": plant.bills(rows, "power"), **supporting,
        }
    )  # fmt: skip
    given = plant.laid_out(fleet, rows)
    return close(one, fleet, papers, given, plant.FROM, end, BOOK, supporting=held)


def treated(flow=1.0, gas=1.0, cod=1.0, power=1.0, built=BUILT, **supporting):
    """Close five weeks of a plant whose meters report too much, each by its factor."""
    values = (5 * 10**6 * flow, 12 * 10**6 * gas, 4_000 * power)
    steady = {key: [int(v)] * (WEEKS * WEEK) for key, v in zip(WATER, values, strict=True)}
    analysed = {
        "cod_in_kg_per_m3": Decimal(6) * Decimal(cod), "cod_out_kg_per_m3": Decimal("0.15"),
        "eta_cod_project": Decimal("0.8"), "ch4_fraction": Decimal("0.62"),
        "flare_efficiency": Decimal("0.9"),
    }  # fmt: skip
    channels = {n: Measured(Fraction(v), "by its analyser", 1, 1) for n, v in analysed.items()}
    return ended(TREATED, PLANT, steady, built, channels=channels, **supporting)


def unmet(result, what="design"):
    """Return the conditions of a plant's design that are not met, by clause."""
    rules = {"design": ("MTR-07",), "takes": ("MTR-06",), "channels": ("MTR-02",)}[what]
    found = (f for f in result.applicability if not f.holds and f.rule in rules)
    return {f"{f.rule} {k}": f.detail for k, f in enumerate(found)}


PUMP = (
    Device("pump", "s", "pump", rated_power_w=40_000, installed_us=plant.FROM),
    Device("power", "s", "energy_meter", rated_power_w=40_000, installed_us=plant.FROM),
)


def pumped(flow, head=30.0, accounting=ACCOUNTING):
    """
    Close three days of a pump of 20 kW that runs in daytime and lifts 30
    m with 70 % efficiency.
    """
    built = {"design_flow_m3_per_d": 4000 * max(flow, 1), "design_kwh_per_m3": Decimal("0.085")}
    fleet, step = Fleet(PUMP), INTERVAL_US
    times = np.arange(plant.FROM - step, plant.FROM + 3 * plant.DAY * step + 1, step)
    runs = (times // (12 * 4 * step)) % 2 == 0
    watts = np.where(runs, 20_000.0, 0.0)
    rose = (watts[:-1] + watts[1:]) / 8  # Wh of each quarter hour
    litres = np.concatenate([[0], np.cumsum(rose * 0.7 * flow / (WH_PER_ML_M * 30))])
    energy = np.concatenate([[0], np.cumsum(rose)])
    gauges = {"active_power_w": watts, "head_m": np.full(len(times), head)}
    frames = [
        frame(fleet, "pump", "flow_total_ml", litres, times, gauges),
        frame(fleet, "power", "energy_import_wh", energy, times, {"active_power_w": watts}),
    ]
    project = replace(
        plant.PV, id="pumps", methodology="am0020", version="2.0", expected={},
        parameters={"kwh_per_m3_baseline": Decimal("0.14"), "ef_grid_t_per_mwh": Decimal("0.6592"),
                    **built},
        devices=(ProjectDevice("pump", "volume"), ProjectDevice("power", "power")),
    )  # fmt: skip
    papers = plant.stating(project.parameters, *built, "kwh_per_m3_baseline")
    end = plant.FROM + 3 * plant.DAY * step
    paid = plant.bills({("power", "energy_import"): [int(one) for one in rose]}, "power")
    plan = MonitoringPlan(
        project, PUMP, accounting=accounting, documents=papers,
        invoices=tuple(replace(one, from_us=plant.FROM, to_us=end) for one in paid),
    )  # fmt: skip
    rows = remeter(fleet, frames, monitored(project, fleet), plant.FROM, end)
    return Case(plan, frames, rows, plant.FROM, end, BOOK).result


def test_a_pump_lifts_no_more_than_its_power_does():
    """
    Without an entered head any flow could be claimed, since no
    range of the methodology applied.
    """
    truth, false = pumped(1), pumped(3)
    assert truth.net == pumped(1, accounting=FIRST).net
    assert not unmet(truth, "channels")
    assert unmet(false, "channels")
    assert any("lift to its head" in str(d.reason) for d in false.deductions)
    counted = [float(d.counted) for r in (truth, false) for d in r.devices if d.device == "pump"]
    assert counted[1] == pytest.approx(counted[0] / 0.7, rel=0.03)
    # what runs by itself is not bound by any power
    assert not unmet(pumped(3, head=0.1), "channels")


def test_head_that_was_not_read_lets_the_most_through():
    """A gauge of the head that fails would cost an honest plant its water."""
    power, nan = np.array([1000.0, 1000.0, np.nan]), np.nan
    found = max_flow(power, np.array([40.0, nan, 20.0]))
    assert found[0] == pytest.approx(1000 / (WH_PER_ML_M * 40))
    assert found[1] == pytest.approx(1000 / (WH_PER_ML_M * 20))
    assert np.isnan(found[2])
    assert np.isnan(max_flow(power, np.full(3, nan))).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_power_of_the_other_sign_is_named(sign):
    """The owner of a meter with the other convention would look for a fault in the register."""
    device = replace(plant.FLEET.devices[0], class_id="energy_meter")
    fleet, step = Fleet((device,)), INTERVAL_US
    times = np.arange(plant.FROM - step, plant.FROM + 3 * plant.DAY * step + 1, step)
    watts = np.where((times // (12 * 4 * step)) % 2 == 0, 20_000.0, 0.0)
    energy = np.concatenate([[0], np.cumsum((watts[:-1] + watts[1:]) / 8)])
    one = frame(fleet, "inv-1", "energy_export_wh", energy, times, {"active_power_w": sign * watts})
    project = replace(plant.PV, devices=plant.PV.devices[:1])
    plan = MonitoringPlan(project, (device,), accounting=ACCOUNTING)
    end = plant.FROM + 3 * plant.DAY * step
    rows = remeter(fleet, [one], monitored(project, fleet), plant.FROM, end)
    said = unmet(Case(plan, [one], rows, plant.FROM, end, BOOK).result, "channels")
    assert ("the sign is reversed" in "".join(said.values())) == (sign > 0) == bool(said)


@pytest.mark.parametrize(("flow", "last"), [(1, 10), (1, 1.5), (2.5, 10)][: 3 if SOAK else 1])
def test_use_without_an_invoice_carries_no_more_than_its_mean(flow, last):
    """An excess of two days was deducted twice, also from an honest month, or not at all."""
    count, two = WEEKS * WEEK, 2 * plant.DAY
    built = {"design_flow_m3_per_d": 2000, "design_cod_kg_per_d": 12_000,
             "design_kwh_per_m3": Decimal("0.8")}  # fmt: skip
    each = {WATER[0]: int(5 * 10**6 * flow), WATER[1]: (12 * 10**6), WATER[2]: 4_000}
    rows = {k: [v] * (count - two) + [int(v * last)] * two for k, v in each.items()}
    known = {k: v[:-two] for k, v in rows.items()}
    analysed = {"cod_in_kg_per_m3": 6, "cod_out_kg_per_m3": Fraction("0.15"),
            "eta_cod_project": Fraction("0.8"), "ch4_fraction": Fraction("0.62"),
            "flare_efficiency": Fraction("0.9")}  # fmt: skip
    channels = {n: Measured(Fraction(v), "by its analyser", 1, 1) for n, v in analysed.items()}
    found = ended(TREATED, PLANT, rows, built, channels=channels,
                  invoices=plant.bills(known, "power"))  # fmt: skip
    (water,) = (m for m in found.devices if m.role == "inflow")
    assert float(water.counted) == pytest.approx(5 * 10**6 * count, rel=1e-6)
    (cost,) = (one for one in found.rules if one.rule == "EVD-03")
    assert float(cost.deducted_alone_t) > 0


def test_what_invoices_cover_is_counted_above_the_design_and_said_so():
    """A finding would say that the capacity is applied, and the whole service counted."""
    flow = 1.5
    means = zip(WATER, (5e6 * flow, 0, 4e3), strict=True)
    rows = {key: [int(v)] * (WEEKS * WEEK) for key, v in means}
    limited = treated(flow, built={**BUILT, "design_cod_kg_per_d": 9000})
    bills = plant.bills(rows, "in", "power")
    whole = treated(flow, built={**BUILT, "design_cod_kg_per_d": 9000}, invoices=bills)
    assert all("the capacity is applied" in detail for detail in unmet(limited).values())
    (finding,) = [f for f in whole.applicability if f.rule == "MTR-07" and not f.holds]
    assert finding.severity == "observation"
    assert "invoices cover the service, so the capacity does not limit it" in finding.detail
    counted = [next(d.counted for d in r.devices if d.device == "in") for r in (limited, whole)]
    assert Fraction(counted[0]) < Fraction(counted[1]) * Fraction(9, 10)
