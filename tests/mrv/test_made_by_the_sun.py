"""Solar limits apply by methodology and role, for every class of meter."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from ingest import classes
from ingest.model import NULL, Device, Frame
from mrv import factors, methodologies
from mrv.registry.project import ACCOUNTING, ProjectDevice
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from tests.mrv import frauds
from tests.mrv.plant import CERTIFICATES, FROM, PV, papers

AMS_I_D = {"ef_grid_t_per_mwh": Fraction("0.6592"), "capacity_mw": Fraction(1)}
SOLAR = replace(PV, expected={})
GRID = replace(SOLAR, methodology="ams-i-d", version="18.0", parameters=AMS_I_D)
CASE = {"case": 1}


def _frame(class_id, h):
    """Return readings of a plant by a meter of a class; at the grid, export is negative power."""
    n, columns = len(h.time_us), {}
    for channel in classes.load()[class_id].channels.values():
        register = channel.kind == "register"
        columns[channel.name] = np.full(
            n, NULL if register else np.nan, np.int64 if register else None
        )
    columns["energy_export_wh"] = h.register_wh.astype(np.int64)
    columns["energy_import_wh"] = np.zeros(n, np.int64)
    sign = classes.load()[class_id].channels["energy_export_wh"].direction
    columns["active_power_w"] = sign * h.power_w.astype(np.float64)
    none = np.zeros(n, dtype=np.int32)
    return Frame(class_id, none, h.time_us.astype(np.int64), none, columns)


def _close(class_id, h, project=SOLAR, params=CASE, documents=()):
    """Close the period of a plant whose meter is of a class."""
    meter = Device(
        "m-1", "s", class_id, rated_power_w=frauds.RATED_W, installed_us=FROM, place=frauds.PLACE
    )
    plan = MonitoringPlan(
        replace(project, devices=(ProjectDevice("m-1", "generation", params),)),
        (meter,),
        calibrations={"m-1": CERTIFICATES["inv-1"]},
        accounting=ACCOUNTING,
        documents=documents,
    )
    span = frauds.BEGIN, frauds.BEGIN + frauds.DAYS * frauds.DAY_US
    fleet, frames = plan.fleet(), [_frame(class_id, h)]
    rows = remeter(fleet, frames, monitored(plan.project, fleet), *span)
    return frauds.Closed(Case(plan, frames, rows, *span, factors.load()))


def _said(closed):
    return "; ".join(f.detail for f in closed.case.result.applicability if not f.holds)


def _day_and_night(watts=70_000, minutes=15):
    """Return a plant that reports the same power at all hours."""
    h = frauds.honest(minutes)
    power = np.full(len(h.time_us), float(watts))
    register = np.arange(len(power), dtype=np.int64) * watts * minutes // 60
    return replace(h, power_w=power, register_wh=register)


@pytest.mark.parametrize("class_id", ["pv_inverter", "energy_meter"])
def test_no_photovoltaics_make_the_same_day_and_night(class_id):
    """A solar plant of 100 kW would be issued 3 t for 70 kW at all hours of six days."""
    assert _close(class_id, _day_and_night()).counted_wh == 0


@pytest.mark.parametrize("class_id", ["pv_inverter", "energy_meter"])
def test_an_honest_plant_counts_by_either_meter(class_id):
    """The owner of a plant that a revenue meter counts would lose what the sun made."""
    honest = frauds.honest(15)
    closed = _close(class_id, honest)
    assert closed.counted_wh == pytest.approx(honest.truth_wh, rel=0.01)
    assert "the sun" not in _said(closed)


def test_a_meter_at_the_grid_counts_by_what_its_plant_says():
    """A solar plant would gain by night, or a hydropower plant would not know what to give."""
    flat = _day_and_night()
    whole = int(frauds.DAYS * 24 * 70_000)
    water, licence = {"technology": 2}, papers("technology")
    for silent in (
        _close("energy_meter", flat, GRID, {}),
        _close("energy_meter", flat, GRID, water),
    ):
        assert silent.counted_wh == 0
        assert "Enter `technology` of the device" in _said(silent)
    sun = _close("energy_meter", flat, GRID, {"technology": 1}, licence)
    assert sun.counted_wh == 0
    assert "technology" not in _said(sun)
    for class_id, params in (("energy_meter", water), ("wind_turbine", {})):
        counted = _close(class_id, flat, GRID, params, licence).counted_wh
        assert counted == pytest.approx(whole, rel=1e-3)
    # an inverter of photovoltaics is one, whatever is said of it
    assert _close("pv_inverter", flat, GRID, water, licence).counted_wh == 0


def test_every_role_that_delivers_electricity_says_what_makes_it():
    """A new methodology of solar plants would gain by night, and no one would see it."""
    silent = {
        f"{method.id}: {role}"
        for method in methodologies.load().values()
        for role, needs in method.roles.items()
        if needs.side == "baseline" and needs.quantity == "energy_export" and not needs.made_from
    }
    assert not silent
