"""One meter under several ids whose services overlap counts once; a change of meters stays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.accounting.twin_series import twins_between
from mrv.registry.project import ACCOUNTING, FIRST, Besides, ProjectDevice
from mrv.rules.closing import close
from tests.mrv import plant

DAY = plant.DAY
DAYS = 28
COUNT = DAYS * DAY
BOOK = factors.load()
ROOF = Path(__file__).parents[2] / "deploy/data/nrel_rsf2_inverter_15min.csv"


def sun(seed=1):
    """Energy of some weeks behind clouds. [Wh per quarter hour]"""
    rng = np.random.default_rng(seed)
    hour = np.arange(COUNT) % DAY / 4
    day = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0)
    return (day * (1 - 0.6 * rng.random(COUNT)) * 20_000).astype(int)


def closed(meters, accounting=ACCOUNTING):
    """
    Close some weeks of inverters, each with its values, and when it serves. [days, half-open]

    Parameters
    ----------
    meters : mapping of str to (values, first, last)
    """
    rated = {"rated_power_w": 100_000, "installed_us": plant.FROM}
    fleet = Fleet([Device(i, "s", "pv_inverter", **rated) for i in meters])
    given, bound = {}, []
    for name, (values, first, last) in meters.items():
        there = values.tolist()[first * DAY : last * DAY]
        given[name, "energy_export"] = [None] * first * DAY + there + [None] * (DAYS - last) * DAY
        edges = (plant.FROM + day * DAY * INTERVAL_US for day in (first, last))
        bound.append(ProjectDevice(name, "generation", {"case": 1}, *edges))
    papers = dict.fromkeys(meters, plant.CERTIFICATES["inv-1"])
    end = plant.FROM + COUNT * INTERVAL_US
    return close(
        replace(plant.PV, devices=tuple(bound)), fleet, papers, plant.laid_out(fleet, given),
        plant.FROM, end, BOOK, besides=Besides(accounting=accounting),
    )  # fmt: skip


def said(result):
    return "".join(f.detail for f in result.applicability if f.rule == "MTR-03")


def _late():
    """Half an hour behind, and a day of the overlap left out."""
    late = np.roll(sun(), 2)
    late[20 * DAY : 21 * DAY] = 0
    return late


def _rounded():
    """Of a register that began at another value: a watt hour off now and then."""
    other = np.diff(np.floor(np.cumsum(sun() + 0.4) + 0.7), prepend=0).astype(int)
    return np.where(sun() > 0, other, 0)


@pytest.mark.parametrize(
    ("copy", "first", "last", "most"),
    [(sun, 14, 15, 1), (_late, 16, 24, 1.01), (_rounded, 8, 20, 1.001)],
)
def test_one_meter_under_two_ids_counts_once(copy, first, last, most):
    """A meter whose ids overlap by some days earned them twice, with no word about it."""
    truth = closed({"m": (sun(), 0, DAYS)}).net.reduction.ug
    found = closed({"a": (sun(), 0, last), "b": (copy(), first, DAYS)})
    assert 0.97 * truth < found.net.reduction.ug <= most * truth
    assert "b is identical to a" in said(found)


STEPS = np.where(np.arange(COUNT) % 4 < 2, 1_000, 2_000)


@pytest.mark.parametrize(
    "meters",
    [
        {"a": (sun(1), 0, 20), "b": (sun(2), 8, DAYS), "c": (sun(3), 0, DAYS)},
        {"a": (sun(), 0, 14), "b": (sun(), 14, DAYS)},
        # two pumps that run the same hours, by registers that count whole cubic metres
        {"a": (STEPS, 0, 14), "b": (STEPS, 13, DAYS)},
    ],
)
def test_meters_that_follow_or_join_each_other_keep_their_tonnes(meters):
    """An honest fleet would lose what its meters share by chance."""
    found = closed(meters)
    assert found.net == closed(meters, FIRST).net
    assert found.net.reduction.ug > 0
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


def test_days_of_a_meter_under_one_id_are_not_held_against_each_other():
    """A device that leaves and comes back has two services."""
    one = [sun()[:DAY].astype(np.int32)]
    assert not list(twins_between(one, [sun(2)[:DAY].astype(np.int32)]))
    assert [t.equal for t in twins_between(one, one)] == [True]
