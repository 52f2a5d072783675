"""Electricity that a project uses, and that nobody but its own meter tells, is a condition."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.methodologies import find
from mrv.registry.project import ACCOUNTING, FIRST, ProjectDevice
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from tests.mrv import plant
from tests.mrv.report.sample import frame
from tests.mrv.test_invoiced_use import bill, two
from tests.mrv.test_invoiced_use import told as turbine
from tests.mrv.test_project_meters import END, PARAMETERS, said
from tests.mrv.test_service_attacks import CASES, bills, earned, tonnes, unmet

RULE = "EVD-07"

BURNERS = "jcm-id-am009"
FAN = "power-1"
WHOLE = range((END - plant.FROM) // INTERVAL_US)


def holds(result):
    return [f.holds for f in result.applicability if f.rule == RULE and "burnt" not in f.detail]


def without_fan():
    """Invoices of the burners' gas, and none of their fan."""
    given, _ = CASES[BURNERS]
    return tuple(i for i in bills(find(BURNERS), given) if i.devices != (FAN,))


def test_a_fan_that_no_invoice_shows_is_named_and_keeps_its_tonnes():
    """A fan's meter at a tenth earned 1.14 times the truth, without a condition."""
    truth = earned(BURNERS)
    assert holds(truth) == [True]
    bare = earned(BURNERS, invoices=without_fan())
    assert holds(bare) == [False]
    # it costs nothing
    assert bare.net == truth.net
    assert not holds(earned(BURNERS, invoices=without_fan(), accounting=FIRST))
    lie = earned(BURNERS, others=Fraction(1, 10), invoices=without_fan())
    detail = said(lie, RULE)
    assert detail.startswith(f"No invoice with its file corroborates {FAN}; ")
    # what it truly took stays below what the rated power would come to
    most = float(detail.rpartition("take off ")[2].split(" t")[0])
    assert most > tonnes(lie) - tonnes(truth) > 0
    # an invoice of it counts instead, and is not asked for a second time
    found = earned(BURNERS, others=Fraction(1, 10))
    assert tonnes(found) == pytest.approx(tonnes(truth), rel=1e-4)
    assert "EVD-05" in unmet(found)
    assert holds(found) == [True]


def test_all_meters_and_nearly_all_of_the_time_are_asked_for():
    """As of other invoices, 95 % of the time are enough; half of it is not."""
    assert holds(turbine(bill("aux"))) == [True]
    assert holds(turbine()) == [False]
    half = plant.FROM + (END - plant.FROM) // 2 // INTERVAL_US * INTERVAL_US
    assert holds(turbine(bill("aux", last=half))) == [False]
    assert "they cover 50 % of its time" in said(turbine(bill("aux", last=half)), RULE)
    assert "has no `sha256`" in said(turbine(bill("aux", sha256=None)), RULE)
    assert holds(two(20_000)) == [True]
    # why one that is there shows nothing
    wide = said(turbine(bill("aux", percent=Decimal("7.5"))), RULE)
    assert "its supplier, 1 has a `tolerance_percent` of 7.5, above 5" in wide
    nothing = said(turbine(bill("aux", scale=0)), RULE)
    assert "i-aux: its supplier, 1 states 0" in nothing
    assert "None" not in nothing


def test_the_condition_says_what_the_rated_power_would_come_to():
    """Figures of it, and of what counts."""
    detail = said(turbine(), RULE)
    # 100 kW over 672 h, and 20 kWh a quarter hour; ten times that is more
    assert f"{20 * len(WHOLE):,} kWh count" in detail
    assert f"it would be {200 * len(WHOLE):,} kWh" in detail
    low = said(turbine(aux=[1_500] * len(WHOLE)), RULE)
    assert "it would be 67,200 kWh" in low


def test_electricity_that_its_own_power_shows_is_not_asked_for():
    """A meter that tells its power each quarter of an hour, in step with its register."""
    assert holds(powered(1.0)) == [True]
    assert holds(powered(None)) == [False]
    # power that tells less than the register shows nothing, and half of the time is not all
    assert holds(powered(0.3)) == [False]
    assert holds(powered(1.0, until=0.5)) == [False]
    assert powered(1.0).net == powered(None).net


def powered(gauge, until=1.0):
    """Close two weeks of a turbine whose auxiliary tells a multiple of its power, or none."""
    count = 14 * plant.DAY + 8
    steps = np.arange(count)
    time_us = plant.FROM + (steps - 4) * INTERVAL_US
    fleet = Fleet(
        [
            Device("gen", "s", "waste_heat_turbine", rated_power_w=2_000_000,
                   installed_us=plant.FROM),
            Device("aux", "s", "energy_meter", rated_power_w=100_000, installed_us=plant.FROM),
            Device("fuel", "s", "fuel_meter", installed_us=plant.FROM),
        ]
    )  # fmt: skip
    project = replace(
        plant.PV, id="whr", methodology="acm0012", version="6.0", expected={},
        parameters=PARAMETERS,
        devices=tuple(ProjectDevice(name, role) for name, role in
                      (("gen", "turbine"), ("aux", "auxiliary"), ("fuel", "fuel"))),
    )  # fmt: skip
    power = {}
    if gauge is not None:
        power["active_power_w"] = np.where(steps < until * count, 80_000.0 * gauge, np.nan)
    frames = [
        frame(fleet, "gen", "energy_export_wh", 325_000 * steps, time_us,
              {"active_power_w": np.full(count, 1_300_000.0)}),
        frame(fleet, "aux", "energy_import_wh", 20_000 * steps, time_us, power),
        frame(fleet, "fuel", "fuel_total_ml", 400 * steps, time_us),
    ]  # fmt: skip
    frames[0].columns["energy_import_wh"][:] = 0
    end = plant.FROM + 14 * plant.DAY * INTERVAL_US
    plan = MonitoringPlan(
        project, tuple(fleet.devices), accounting=ACCOUNTING,
        documents=plant.stating(PARAMETERS, *PARAMETERS),
        calibrations={d.id: plant.CERTIFICATES["inv-1"] for d in fleet.devices},
    )  # fmt: skip
    rows = remeter(fleet, frames, monitored(project, fleet), plant.FROM, end)
    return Case(plan, frames, rows, plant.FROM, end, factors.load()).result
