"""Electricity that a project uses, and that nobody but its own meter tells, is a condition."""

from dataclasses import replace
from decimal import Decimal

import numpy as np

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.registry.project import ACCOUNTING, ProjectDevice
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from tests.mrv import plant
from tests.mrv.report.sample import frame

RULE = "EVD-07"
PARAMETERS = {
    "f_cap": Decimal("0.95"), "f_wcm": 1, "tdl": Decimal("0.0615"), "steam_kj_per_kg": 2776,
    "feedwater_kj_per_kg": 420, "boiler_efficiency": Decimal("0.85"),
    "ef_grid_t_per_mwh": Decimal("0.6592"), "design_steam_t_per_d": 150,
}  # fmt: skip


def holds(result):
    return [f.holds for f in result.applicability if f.rule == RULE and "burnt" not in f.detail]


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
