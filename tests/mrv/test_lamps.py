"""Lamps: hours and power of a group, compared with the electricity of their controller."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from ingest.model import INTERVAL_US, NULL, Device, Fleet
from mrv import factors
from mrv.registry.project import ACCOUNTING, FIRST, Invoice, ProjectDevice
from mrv.report.sheets.calculation import Reckoning
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from tests.mrv import plant
from tests.mrv.plant import tonnes, unmet
from tests.mrv.report.sample import draft, frame

MEASURED, CARRIED = "MTR-12", "MTR-09"

BOOK = factors.load()
DAYS = 56
LAMPS = Device("lamps", "s", "lamp_controller", rated_power_w=25_000, installed_us=plant.FROM)
HONEST, HALF = ((120, "0.08"),), ((120, "0.04"),)
TWO, TWO_HALF = ((60, "0.08"),) * 2, ((60, "0.08"), (60, "0.04"))


def lit(drawn, **more):
    """Close eight weeks of street lamps."""
    return of_lamps(drawn, **more).result


def stated(groups, before):
    """Return documents that state the number of lamps, where all groups are alike."""
    values = {"count": {n for n, _ in groups}, "kw_project": {kw for _, kw in groups}}
    values["kw_baseline"] = {before}
    return tuple(
        one if len(values[one.parameter]) > 1
        else replace(one, value=Fraction(next(iter(values[one.parameter]))))
        for one in plant.papers("count", "kw_baseline", "kw_project")
    )  # fmt: skip


def of_lamps(
    drawn, *, groups=HONEST, accounting=ACCOUNTING, known=None, late=0, standby_w=0, told=None,
    daily=False, hours=12, schedule="13.5", before="0.15", bills=(),
):  # fmt: skip
    """
    Return eight weeks of street lamps that draw a share of 9.6 kW.

    `known` and `told` are the shares of time with readings of electricity and of hours; `daily`
    reads electricity once per day at noon.
    """
    fleet, step = Fleet((LAMPS,)), 4 * INTERVAL_US
    times = np.arange(plant.FROM - step, plant.FROM + DAYS * plant.DAY * INTERVAL_US + 1, step)
    on = np.where((times // step) % 24 >= 24 - hours, 3600, 0)
    seconds = np.cumsum(on)
    energy = np.floor(np.cumsum(on * drawn * 9_600 / 3600 + standby_w)).astype(np.int64)
    one = frame(fleet, "lamps", "operating_s", seconds, times, {})
    heard = np.arange(len(times)) < len(times) * (1 if known is None else known)
    if daily:
        heard &= (times // step) % 24 == 5
    one.columns["energy_import_wh"][heard] = energy[heard]
    if told is not None:
        one.columns["operating_s"][int(len(times) * told) :] = NULL
    built = {"design_hours_per_d": Decimal(schedule)}
    project = replace(
        plant.PV, id="lamps", methodology="ams-ii-c", version="15.0", expected={},
        parameters={"ef_grid_t_per_mwh": Decimal("0.6592"), **built},
        devices=tuple(
            ProjectDevice("lamps", "equipment", {"count": n, "kw_baseline": Decimal(before),
                                                 "kw_project": Decimal(kw)},
                          from_us=plant.FROM + late * plant.DAY * INTERVAL_US)
            for n, kw in groups
        ),
    )  # fmt: skip
    plan = MonitoringPlan(
        project, (LAMPS,), calibrations={"lamps": plant.CERTIFICATES["inv-1"]},
        accounting=accounting,
        documents=(*plant.papers(*built), *stated(groups, before)),
        invoices=tuple(bills),
    )  # fmt: skip
    end = plant.FROM + DAYS * plant.DAY * INTERVAL_US
    rows = remeter(fleet, [one], monitored(project, fleet), plant.FROM, end)
    return Case(plan, [one], rows, plant.FROM, end, BOOK)


BILL = Invoice(
    "b", "Power Company", "7", date(2026, 3, 1), ("lamps",), "energy_import", plant.FROM,
    plant.FROM + DAYS * plant.DAY * INTERVAL_US, 56 * 12 * 9_600, Decimal(5), "f1" * 32,
)  # fmt: skip


@pytest.mark.parametrize(
    ("bill", "groups", "settled"),
    [
        ({}, HONEST, True),
        ({"value": 56 * 12 * 9_600 * 104 // 100}, HONEST, True),
        ({"value": 56 * 12 * 9_600 * 9 // 10}, HONEST, False),  # clocks count a ninth more
        ({}, ((168, "0.08"),), False),  # more lamps than there are
        ({}, ((120, "0.07"),), False),  # of less power
        ({"sha256": None}, HONEST, False),
        ({"doubt": "operator"}, HONEST, False),
        ({"to_us": plant.FROM + 28 * plant.DAY * INTERVAL_US}, HONEST, False),
        ({"issued": date(2026, 1, 5)}, HONEST, False),
    ],
)
def test_a_bill_of_electricity_corroborates_hours(bill, groups, settled):
    """Hours of lamps are not invoiced: an honest owner could not provide the requested invoice."""
    found = lit(1.0, known=0, groups=groups, bills=[replace(BILL, **bill)])
    assert ("EVD-03" not in unmet(found)) == settled
    met = [f.detail for f in found.applicability if f.rule == "EVD-03" and f.holds]
    sums = f"{(replace(BILL, **bill).value) / 1000:,.3f}".rstrip("0").rstrip(".")
    said = f"hours of lamps: {sums} kWh invoiced, 6,451.2 kWh by hours"
    assert any(said in detail for detail in met) == settled
    if not settled:
        assert "Invoices of their electricity" in unmet(found)["EVD-03"]


@pytest.mark.parametrize(("schedule", "said"), [("12", None), ("12.05", "observation")])
def test_hours_without_room_are_not_asked_about(schedule, said):
    """Hours that a schedule holds to the hour would be too high "by up to 0 %", month by month."""
    found = lit(1.0, schedule=schedule, known=0)
    assert {f.rule: f.severity for f in found.applicability if not f.holds}.get("EVD-03") == said
    assert unmet(lit(1.0, known=0))["EVD-03"]


def test_own_electricity_corroborates_hours():
    """Lamps on a flat tariff would be asked for an invoice that no supplier writes."""
    assert "EVD-03" not in unmet(lit(1.0))
    # of lamps that take less than is typed it says nothing
    assert unmet(lit(1.0, told=0.9))["EVD-03"]


@pytest.mark.parametrize(
    ("typed", "more"),
    [("0.04", {}), ("0", {"late": 14}), ("0.04", {"daily": True}), ("0", {"standby_w": 200}),
     ("0.06", {"known": 0.1}), ("0.04", {"told": 0.7, "known": 0.6})],
)  # fmt: skip
def test_a_power_that_is_typed_too_low_earns_no_more_than_the_truth(typed, more):
    """Half of the power of its lamps gave an owner 1.6 times the true reduction."""
    truth, false = lit(1.0, **more), lit(1.0, groups=((120, typed),), **more)
    before = lit(1.0, groups=((120, typed),), accounting=FIRST, **more)
    assert tonnes(before) > 1.2 * tonnes(truth)
    assert tonnes(false) <= tonnes(truth) * (1 + 1e-6)
    assert MEASURED in unmet(false)
    assert MEASURED not in unmet(truth)


@pytest.mark.parametrize("groups", [TWO_HALF, ((60, "0.04"), (60, "0.04")), ((60, "0"),) * 2])
def test_groups_that_share_a_controller_share_what_it_measures(groups):
    """Lamp groups of one controller are compared with its electricity together."""
    truth, false = lit(1.0, groups=TWO), lit(1.0, groups=groups)
    assert tonnes(false) <= tonnes(truth) * (1 + 1e-6)
    assert tonnes(false) == pytest.approx(tonnes(truth), rel=2e-3)
    assert MEASURED in unmet(false)


@pytest.mark.parametrize(
    ("drawn", "more"),
    [(1.0, {"standby_w": 200, "known": 0.1}), (1.0, {"standby_w": 200, "told": 0.6}),
     (0.97, {"daily": True}), (0.97, {"late": 14}), (1.0, {"groups": TWO})],
)  # fmt: skip
def test_lamps_within_a_twentieth_are_as_before_the_rule(drawn, more):
    """Standby, lost hours and lost electricity would cost an honest fleet its tonnes."""
    found = lit(drawn, **more)
    assert found.net == lit(drawn, accounting=FIRST, **more).net
    assert not {CARRIED, MEASURED} & {*unmet(found)}


@pytest.mark.parametrize("groups", [HONEST, HALF, TWO, TWO_HALF])
def test_the_workbook_shows_the_power_that_counted(groups):
    """An auditor who puts its inputs into the equation would find other tonnes."""
    case = of_lamps(1.0, groups=groups)
    facts = draft(case)
    inputs = Reckoning(facts).inputs(2026)
    found = facts.methodology.reductions(inputs, BOOK)
    assert float(found.project_t) == pytest.approx(float(case.result.net.project.t), rel=1e-6)
    assert float(found.baseline_t) == pytest.approx(float(case.result.net.baseline.t), rel=1e-6)
