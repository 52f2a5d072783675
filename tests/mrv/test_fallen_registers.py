"""A register that falls is reported with its values, its tonnes and the entry that corrects it."""

import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from ingest import profiles
from ingest.model import INTERVAL_US, Device, Fleet, Replacement
from mrv import factors
from mrv.registry.project import ACCOUNTING, ProjectDevice
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from tests.mrv import plant
from tests.mrv.report.sample import frame

BOOK = factors.load()
DAYS, DAY = 28, plant.DAY
END = plant.FROM + DAYS * DAY * INTERVAL_US
TIMES = np.arange(plant.FROM - INTERVAL_US, END + 10 * INTERVAL_US, INTERVAL_US)
HOUR = (TIMES / 3_600_000_000 + 7) % 24
ROW = re.compile(r"\{channel: (\w+), at: (\S+), last: ([\d.]+), first: ([\d.]+), reason")
CHARGING, GENERATION = "energy_import_wh", "energy_export_wh"


def site(*devices):
    """Return devices by class, each with its rating."""
    return tuple(
        Device(name, "s", kind, rated_power_w=watts, installed_us=plant.FROM)
        for name, kind, watts in devices
    )


BUSES = site(("ch-1", "ev_charger", 60_000), ("bus-1", "vehicle", None))
PANELS = site(("inv-1", "pv_inverter", 100_000))
BUS = replace(
    plant.BUS, devices=(ProjectDevice("ch-1", "charging"), ProjectDevice("bus-1", "vehicle"))
)
PV = replace(plant.PV, expected={}, devices=(ProjectDevice("inv-1", "generation", {"case": 1}),))


def charge():
    """Return the energy of a charger that charges buses at night. [Wh]"""
    return np.cumsum(np.where((HOUR < 4) | (HOUR >= 22), 9_000, 0))


def sun():
    """Return the power of a solar plant. [W]"""
    return 60_000 * np.clip(np.sin((HOUR - 6.5) / 11 * np.pi), 0, None)


def generated():
    return np.cumsum(sun() / 4).astype(np.int64)


def driven():
    return np.cumsum(np.where((HOUR >= 5) & (HOUR < 21), 3_000, 0))


def closed(project, devices, frames, accounting=ACCOUNTING):
    fleet = Fleet(devices)
    rows = remeter(fleet, frames, monitored(project, fleet), plant.FROM, END)
    papers = {d.id: plant.CERTIFICATES["inv-1"] for d in devices}
    held = MonitoringPlan(
        project, devices, calibrations=papers, accounting=accounting,
        documents=plant.stating(BUS.parameters, "tdl", "sfc_l_per_100km"),
    )  # fmt: skip
    return Case(held, frames, rows, plant.FROM, END, BOOK).result


def buses(register, swaps=(), **plan):
    """Close four weeks of a bus, and of a charger without a power channel."""
    devices = (replace(BUSES[0], replacements=tuple(swaps)), BUSES[1])
    frames = [
        frame(Fleet(devices), "ch-1", CHARGING, register, TIMES),
        frame(Fleet(devices), "bus-1", "odometer_m", driven(), TIMES),
    ]
    return closed(BUS, devices, frames, **plan)


def panels(register, swaps=()):
    devices = (replace(PANELS[0], replacements=tuple(swaps)),)
    shown = {"active_power_w": sun()}
    return closed(PV, devices, [frame(Fleet(devices), "inv-1", GENERATION, register, TIMES, shown)])


def detail(result):
    return "".join(f.detail for f in result.applicability if f.rule == "REG-03")


def tonnes(result):
    return result.net.reduction.ug / 10**12


def charger(result):
    return next(d for d in result.devices if d.device == "ch-1")


def rows_told(result, kind):
    """Return the replacements that the condition asks to enter."""
    for name, at, last, first in ROW.findall(detail(result)):
        register = profiles.registers(kind)[name]
        at_us = round(datetime.fromisoformat(at).timestamp()) * 1_000_000
        values = (register.to_base(Decimal(n)) for n in (last, first))
        yield Replacement(register.column, at_us, *values)


def anew(register, k):
    """Begin at 0 from a reading on."""
    return np.where(np.arange(len(register)) < k, register, register - register[k - 1])


@pytest.mark.parametrize("kept", [300_000, 90_000_000])
def test_a_charger_that_was_replaced_leaves_no_more_than_it_used(kept):
    """A register that fell gave four times the tonnes, with coverage 1.000000 and no finding."""
    truth = buses(charge() + kept)
    found = buses(anew(charge() + kept, 9 * DAY + 91))
    assert not detail(truth)
    assert tonnes(truth) * 0.99 < tonnes(found) <= tonnes(truth)
    said = detail(found)
    assert "ch-1 (charging): energy_import_kwh falls from" in said
    assert " at 2026-01-10T22:" in said
    assert re.search(r"the quantity of 0\.25 h is unknown; 0\.0\d+ t are added", said)
    assert Fraction(charger(found).coverage.unknown_share) > 0
    entered = buses(anew(charge() + kept, 9 * DAY + 91), rows_told(found, "ev_charger"))
    assert not detail(entered)
    # the new meter has no certificate
    assert tonnes(truth) * 0.98 < tonnes(entered) <= tonnes(truth)


def test_both_changes_of_a_spare_meter_are_named():
    """
    Ten days of a spare meter would be discarded as a glitch, and
    their consumption not charged.
    """
    at = np.arange(len(TIMES))
    begin, end = 9 * DAY + 60, 14 * DAY + 60
    used = charge()
    register = np.where(at < begin, used + 90_000_000, used - used[begin - 1])
    after = used - used[end - 1] + register[begin - 1]
    register = np.where(at < end, register, after)
    truth, found = buses(used + 90_000_000), buses(register)
    assert tonnes(found) <= tonnes(truth)
    # the spare meter counted nothing; the time that it took at the rating is charged
    charged, whole = Fraction(charger(found).counted), Fraction(charger(truth).counted)
    assert whole <= charged < whole + Fraction(15, 100) * int(used[end - 1] - used[begin - 1])
    swaps = list(rows_told(found, "ev_charger"))
    assert len(swaps) == 2
    entered = buses(register, swaps)
    assert not detail(entered)
    assert tonnes(truth) * 0.97 < tonnes(entered) <= tonnes(truth)


def test_a_counter_of_each_day_is_told_what_it_is():
    """`Yield today` sent as the register made 0.008 of the tonnes, without a message."""
    day = (TIMES + 7 * 3_600_000_000) // 86_400_000_000
    register = generated() - generated()[np.searchsorted(day, day)]
    truth, found = panels(generated()), panels(register)
    assert 0.97 * tonnes(truth) < tonnes(found) <= tonnes(truth)
    said = detail(found)
    assert said.count("inv-1") == 1
    assert re.search(r"falls to about zero 2\d times from 2026-01-0\d to 2026-01-2\d", said)
    assert "like a counter of each day or charge" in said
    assert said.endswith("as energy_export_kwh the meter's total, which is never reset")


def test_a_rated_power_that_is_too_low_is_told_what_it_is():
    """An operator who typed kW for W would be asked on each day which meter was replaced."""
    small = (replace(PANELS[0], rated_power_w=100),)
    shown = {"active_power_w": sun()}
    reading = frame(Fleet(small), "inv-1", GENERATION, generated(), TIMES, shown)
    said = detail(closed(PV, small, [reading]))
    assert re.search(r"energy_export_kwh rises on \d+ days from .* by up to 4.28 kWh an hour", said)
    assert "rated power allows (0.1 kWh an hour)" in said
    assert "replacements" not in said


@pytest.mark.parametrize(("key", "days"), [("installed_us", 8), ("removed_us", 21), ("", 0)])
def test_what_was_metered_outside_the_time_in_service_is_reported(key, days):
    """An operator who typed the day of the entry as `installed` would lose a week silently."""
    at = {key: plant.FROM + days * DAY * INTERVAL_US} if key else {}
    devices = (replace(PANELS[0], **at),)
    shown = {"active_power_w": sun()}
    found = closed(PV, devices, [frame(Fleet(devices), "inv-1", GENERATION, generated(), TIMES,
                                       shown)])  # fmt: skip
    assert (f"correct `{key[:-3]}`" in detail(found)) == bool(key)


@pytest.mark.parametrize("length", [1, 2, 40])
def test_zeros_of_a_silent_meter_are_no_replacement(length):
    """If a gateway sent zeros for hours, its owner would be suspected of a changed meter."""
    register = charge() + 90_000_000
    register[9 * DAY + 40 : 9 * DAY + 40 + length] = 0
    assert not detail(buses(register))
    assert tonnes(buses(register)) == tonnes(buses(charge() + 90_000_000))


def test_a_single_high_reading_is_no_replacement():
    """A single reading that is too high would raise a finding."""
    register = charge() + 90_000_000
    register[9 * DAY + 40] += 5_000
    assert not detail(buses(register))


def test_a_register_that_left_its_line_before_the_period_is_named_in_it():
    """A meter that no one entered would cost month after month, and no condition name it."""
    register = anew(charge() + 90_000_000, 1)
    register[1:] += 40_000_000 - np.arange(len(register) - 1) * 7_000_000 % 13_000_000
    found = buses(register)
    assert "ch-1 (charging): energy_import_kwh" in detail(found)
    assert Fraction(charger(found).substituted) > 0
