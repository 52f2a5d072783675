"""Two registers of a device that arrive under each other's name count as what they are."""

import re
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from ingest import profiles
from ingest.model import INTERVAL_US, Device, Exchange, Fleet, Frame, Replacement
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.plan_reader import read_plan
from tests.mrv import plant
from tests.mrv.report.sample import frame
from tests.mrv.test_fallen_registers import (
    BUS,
    BUSES,
    CHARGING,
    DAY,
    GENERATION,
    PANELS,
    PV,
    TIMES,
    charge,
    closed,
    detail,
    driven,
    generated,
    sun,
    tonnes,
)  # fmt: skip

ROW = re.compile(r"\{channel: (\w+), with: (\w+), from: (\S+), to: (\S+), reason")
IMPORT, POWER = "energy_import_wh", sun()
BEGIN, END = 9 * DAY + 37, 12 * DAY + 50
CROSSED = (np.arange(len(TIMES)) >= BEGIN) & (np.arange(len(TIMES)) < END)
OWN = 90_000 + np.arange(len(TIMES)) * 20


def panels(crossed=None, rows=(), power=POWER, own=OWN, swaps=()):
    """Close four weeks of panels whose registers are crossed in some readings."""
    devices = (replace(PANELS[0], exchanged=tuple(rows), replacements=swaps),)
    made = generated() + 7_000_000
    mask = np.zeros(len(TIMES), dtype=bool) if crossed is None else crossed
    gauges = {IMPORT: np.where(mask, made, own)}
    gauges |= {} if power is None else {"active_power_w": power}
    register = np.where(mask, own, made)
    some = [frame(Fleet(devices), "inv-1", GENERATION, register, TIMES, gauges)]
    return closed(PV, devices, some)


def row(first=BEGIN, last=END, channel=GENERATION, other=IMPORT):
    return Exchange(channel, other, int(TIMES[first]), int(TIMES[last]))


def test_the_row_that_the_finding_names_settles_the_month():
    """Three days of a plant were lost, and no entry could settle the finding."""
    truth, found = panels(), panels(CROSSED)
    assert 0.85 * tonnes(truth) < tonnes(found) <= tonnes(truth)
    register, other, begin, end = ROW.findall(detail(found))[0]
    columns = [profiles.registers("pv_inverter")[name].column for name in (register, other)]
    times = [round(datetime.fromisoformat(at).timestamp()) * 1_000_000 for at in (begin, end)]
    entered = panels(CROSSED, [Exchange(*columns, *times)])
    assert not detail(entered)
    assert tonnes(entered) == pytest.approx(tonnes(truth), rel=1e-3)


def test_without_power_the_lower_reading_counts():
    """An operator who enters a meter's import as its export would be paid for what he bought."""
    truth = panels(power=None)
    assert tonnes(panels(CROSSED, [row()], power=None)) < 0.95 * tonnes(truth)


@pytest.mark.parametrize("power", [None, POWER])
@pytest.mark.parametrize("last", [END, len(TIMES) - 1])
def test_a_row_of_registers_that_were_not_crossed_gives_nothing(power, last):
    """A plant that draws more than it makes would be credited what it draws."""
    bought = 90_000 + np.arange(len(TIMES)) * 15_000
    truth = panels(own=bought, power=power)
    assert tonnes(panels(own=bought, power=power, rows=[row(last=last)])) <= tonnes(truth)
    assert tonnes(panels(own=bought, power=power, rows=[row(0, last)])) <= tonnes(truth)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_row_that_the_readings_contradict_is_named(restarted):
    """A verifier would be asked for a second row, or see only that something was replaced."""
    swaps = ()
    if restarted:
        made = generated() + 7_000_000
        swaps = tuple(
            Replacement(GENERATION, int(TIMES[at]), int(last[at - 1]), int(first[at]), True)
            for at, last, first in ((BEGIN, made, OWN), (END, OWN, made))
        )
    said = detail(panels(rows=[row()], swaps=swaps))
    assert "readings contradict" in said
    assert not ROW.findall(said)


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_row_with_wrong_times_is_to_be_corrected(hours):
    """An operator who entered another hour would be asked to enter the exchange once more."""
    said = detail(panels(CROSSED, [row(BEGIN + 4 * hours)]))
    assert "Correct `from` and `to`" in said
    assert not ROW.findall(said)
    assert not detail(panels(CROSSED, [row()]))


@pytest.mark.parametrize("last", [END, len(TIMES) - 1])
def test_a_charger_does_not_use_less_by_a_row(last):
    """Charging would vanish under the name of a register that stands still."""
    devices = (replace(BUSES[0], exchanged=(row(0, last, CHARGING, GENERATION),)), BUSES[1])
    back = {GENERATION: np.full(len(TIMES), 4_000)}

    def buses(fleet):
        first = frame(Fleet(fleet), "ch-1", CHARGING, charge() + 10**6, TIMES, back)
        return closed(
            BUS, fleet, [first, frame(Fleet(fleet), "bus-1", "odometer_m", driven(), TIMES)]
        )

    assert tonnes(buses(devices)) <= tonnes(buses(BUSES))


def test_a_pack_holds_the_row():
    """The verifier's own calculation would lose the days again."""
    device = replace(PANELS[0], exchanged=(row(),))
    held = MonitoringPlan(PV, (device,), calibrations={"inv-1": plant.CERTIFICATES["inv-1"]})
    assert read_plan(held.to_json()).devices[0].exchanged == device.exchanged


def test_only_its_own_readings_change_their_names():
    """Another device, or another hour, would be read under the wrong name."""
    one, other = (
        Device(name, "s", "pv_inverter", exchanged=rows)
        for name, rows in (("a", (Exchange("x", "y", 0, INTERVAL_US),)), ("b", ()))
    )
    times = np.array([0, INTERVAL_US, 0])
    columns = {"x": np.array([1, 2, 3]), "y": np.array([4, 5, 6])}
    device = np.array([0, 0, 1], dtype=np.int32)
    found = Fleet([one, other]).by_own_name(Frame("pv_inverter", device, times, device, columns))
    assert found.columns["x"].tolist() == [4, 2, 3]
    assert found.columns["y"].tolist() == [1, 5, 6]
    assert columns["x"].tolist() == [1, 2, 3]
