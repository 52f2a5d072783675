"""One meter under several ids whose services overlap counts once; a change of meters stays."""

import re
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.accounting.twin_series import twins_between
from mrv.registry.project import ACCOUNTING, FIRST, Besides, Project, ProjectDevice
from mrv.rules.closing import close
from tests.mrv import plant

DAY = plant.DAY
DAYS = 28
COUNT = DAYS * DAY
BOOK = factors.load()
ROOF = Path(__file__).parents[2] / "deploy/data/nrel_rsf2_inverter_15min.csv"


CHARGER = {"ch-1": (np.full(COUNT, 12_000), 0, DAYS)}


def sun(seed=1):
    """Energy of some weeks behind clouds. [Wh per quarter hour]"""
    rng = np.random.default_rng(seed)
    hour = np.arange(COUNT) % DAY / 4
    day = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0)
    return (day * (1 - 0.6 * rng.random(COUNT)) * 20_000).astype(int)


def closed(meters, accounting=ACCOUNTING, classes="pv_inverter", chargers=None):
    """
    Close some weeks of meters, each with its values, and when it serves. [days, half-open]

    Parameters
    ----------
    meters : mapping of str to (values, first, last)
    """
    rated = 100_000 if classes == "pv_inverter" else None
    devices = [
        Device(i, "s", classes, rated_power_w=rated, installed_us=plant.FROM) for i in meters
    ]
    given, bound = {}, []
    role, quantity = ("generation", "energy_export")
    params, base = {"case": 1}, plant.PV
    if classes == "vehicle":
        role, quantity, params, base = "vehicle", "distance", {"kwh_per_km": 0.9}, plant.BUS
    for name, (values, first, last) in meters.items():
        some = values.tolist()
        given[name, quantity] = [None] * first * DAY + some[first * DAY : last * DAY]
        given[name, quantity] += [None] * (DAYS - last) * DAY
        edges = (plant.FROM + day * DAY * INTERVAL_US for day in (first, last))
        bound.append(ProjectDevice(name, role, params, *edges))
    if classes == "vehicle":
        for name, (values, first, last) in (chargers or CHARGER).items():
            devices.append(Device(name, "s", "ev_charger", 120_000, plant.FROM))
            edges = (plant.FROM + day * DAY * INTERVAL_US for day in (first, last))
            bound.append(ProjectDevice(name, "charging", {}, *edges))
            some = values.tolist()[first * DAY : last * DAY]
            given[name, "energy_import"] = (
                [None] * first * DAY + some + [None] * (DAYS - last) * DAY
            )
    fleet = Fleet(devices)
    names = [n for n in Project.__slots__ if n != "devices"]
    project = Project(**{n: getattr(base, n) for n in names}, devices=tuple(bound))
    papers = dict.fromkeys([d.id for d in devices], plant.CERTIFICATES["inv-1"])
    end = plant.FROM + COUNT * INTERVAL_US
    return close(
        project, fleet, papers, plant.laid_out(fleet, given), plant.FROM, end, BOOK,
        besides=Besides(accounting=accounting, documents=plant.papers("tdl")),
    )  # fmt: skip


def chain(values, count, more):
    """Return one meter under some ids, each of which serves some days longer than its time."""
    long = DAYS // count
    return {
        f"m-{i}": (values, max(0, i * long - more), min(DAYS, (i + 1) * long + more))
        for i in range(count)
    }


def said(result):
    return "".join(f.detail for f in result.applicability if f.rule == "MTR-03")


def taken(result):
    """What deductions of copies cost. [tCO2e]"""
    copies = (d for d in result.deductions if d.reason.code == "MTR-03.copy_overlap")
    return sum(float(d.cost_t) for d in copies)


def test_seven_ids_that_overlap_by_days_count_as_one_meter():
    """A meter of a heat recovery earned 1.9 times its tonnes with no word about it."""
    truth = closed({"m": (sun(), 0, DAYS)}).net.reduction.ug
    found = closed(chain(sun(), 7, 2))
    assert closed(chain(sun(), 7, 2), FIRST).net.reduction.ug > 1.8 * truth
    assert 0.97 * truth < found.net.reduction.ug <= truth
    assert "m-1 is identical to m-0 from 2026-01-0" in said(found)
    assert re.search(r"[0-9,.]+ kWh, [0-9.]+ t, are counted once. End the service", said(found))
    before = closed(chain(sun(), 7, 2), FIRST).net.reduction.ug
    assert taken(found) == pytest.approx((before - found.net.reduction.ug) / 10**12, rel=0.03)


def test_one_day_of_two_ids_counts_once():
    """The registry's days are whole, and one of each month would be a thirtieth more."""
    truth = closed({"m": (sun(), 0, DAYS)}).net.reduction.ug
    found = closed({"a": (sun(), 0, 15), "b": (sun(), 14, DAYS)})
    assert found.net.reduction.ug <= truth
    assert "b is identical to a" in said(found)


def test_a_bus_under_two_ids_counts_once():
    """Kilometres of eight days each counted twice."""
    metres = sun() // 5
    truth = closed({"m": (metres, 0, DAYS)}, classes="vehicle").net
    found = closed({"a": (metres, 0, 16), "b": (metres, 12, DAYS)}, classes="vehicle")
    assert found.net.baseline.ug <= truth.baseline.ug
    assert "b is identical to a" in said(found)


def test_a_copy_that_is_late_or_has_gaps_counts_once():
    """A clock half an hour off, and a day of the overlap that is left out."""
    late = np.roll(sun(), 2)
    late[20 * DAY : 21 * DAY] = 0
    found = closed({"a": (sun(), 0, 24), "b": (late, 16, DAYS)})
    assert "b is identical to a" in said(found)
    assert found.net.reduction.ug <= closed({"m": (sun(), 0, DAYS)}).net.reduction.ug * 1.01


def test_registers_that_are_rounded_otherwise_say_the_same():
    """A copy whose register began at another value differs by a watt hour now and then."""
    other = np.diff(np.floor(np.cumsum(sun() + 0.4) + 0.7), prepend=0).astype(int)
    other = np.where(sun() > 0, other, 0)
    assert 0.2 < np.mean(other[sun() > 0] == sun()[sun() > 0]) < 0.8
    found = closed({"a": (sun(), 0, 20), "b": (other, 8, DAYS)})
    assert "b is identical to a" in said(found)
    assert found.net.reduction.ug <= closed({"m": (sun(), 0, DAYS)}).net.reduction.ug * 1.001


def test_a_copy_with_a_little_noise_is_named_with_its_tonnes():
    """It may be another meter: what it comes to is for whoever checks."""
    noise = 1 + np.random.default_rng(3).uniform(-0.008, 0.008, COUNT)
    meters = {"a": (sun(), 0, 20), "b": ((sun() * noise).astype(int), 8, DAYS)}
    found, before = closed(meters), closed(meters, FIRST)
    assert found.net == before.net
    assert re.search(
        "b is proportional to a from .* kWh, [0-9.]+ t, are counted twice", said(found)
    )
    (alike,) = [f for f in found.applicability if f.rule == "MTR-03"]
    assert alike.severity == "CL"


def test_a_meter_of_the_project_that_two_ids_tell_is_told_with_its_tonnes():
    """Both power meters of a change were bound for a day, and no line said what that took off."""
    bus = {"m": (sun() // 5, 0, DAYS)}
    both = {"ch-1": (sun(5), 0, 15), "ch-2": (sun(5), 14, DAYS)}
    found, before = (closed(bus, now, "vehicle", both) for now in (ACCOUNTING, FIRST))
    assert found.net == before.net
    (told,) = [f for f in found.applicability if f.rule == "REG-03"]
    assert told.severity == "observation"
    assert re.search("ch-2 is identical to ch-1 .* t, are counted twice on the", told.detail)
    both["ch-2"] = (sun(6), 14, DAYS)
    assert not [
        f for f in closed(bus, ACCOUNTING, "vehicle", both).applicability if f.rule == "REG-03"
    ]


@pytest.mark.parametrize("classes", ["pv_inverter", "vehicle"])
def test_a_fleet_in_which_one_joins_while_another_leaves_keeps_its_tonnes(classes):
    meters = {"a": (sun(1), 0, 20), "b": (sun(2), 8, DAYS), "c": (sun(3), 0, DAYS)}
    if classes == "vehicle":
        meters = {k: (v // 5, a, b) for k, (v, a, b) in meters.items()}
    found, before = closed(meters, classes=classes), closed(meters, FIRST, classes)
    assert found.net == before.net
    assert not said(found)


def test_two_inverters_of_one_roof_are_two():
    """NREL's RSF II, five days of 2022: one inverter, and the others of that roof."""
    table = np.genfromtxt(ROOF, delimiter=",", skip_header=1, usecols=(1, 3))
    own = np.nan_to_num(table[:, 1] / 4)
    rest = np.nan_to_num(table[:, 0] * 1000 / 4 - own)
    for days in (1, 2, 3):
        for begin in range(0, len(own) - days * DAY + 1, DAY):
            some = [v[begin:][: days * DAY].clip(0).astype(np.int32)[None] for v in (own, rest)]
            assert not list(twins_between(*some))


def test_a_meter_that_is_replaced_at_once_keeps_its_tonnes():
    found = closed({"a": (sun(), 0, 14), "b": (sun(), 14, DAYS)})
    assert found.net == closed({"m": (sun(), 0, DAYS)}).net
    assert not said(found)


def test_coarse_registers_that_agree_for_a_day_are_two():
    """Two pumps that run the same hours, by registers that count whole cubic metres."""
    steps = np.where(np.arange(COUNT) % 4 < 2, 1_000, 2_000)
    found = closed({"a": (steps, 0, 14), "b": (steps, 13, DAYS)})
    assert not said(found)


def test_days_of_a_meter_under_one_id_are_not_held_against_each_other():
    """A device that leaves and comes back has two services."""
    one = [sun()[:DAY].astype(np.int32)]
    assert not list(twins_between(one, [sun(2)[:DAY].astype(np.int32)]))
    assert [t.equal for t in twins_between(one, one)] == [True]


def test_a_hundred_meters_of_which_one_joins_are_compared_at_once():
    """Each period is closed some times; a fleet must not wait for it."""
    rng = np.random.default_rng(1)
    many = [(sun() * rng.random(COUNT)).astype(np.int32) for _ in range(99)]
    begin = perf_counter()
    assert not list(twins_between(many, [sun(2).astype(np.int32)]))
    assert perf_counter() - begin < 2
