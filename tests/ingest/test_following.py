"""A registry version that follows another: reused data equal newly calculated ones."""

from dataclasses import replace

import numpy as np
import pytest

from ingest import classes
from ingest.classes import QUANTITY_INDEX
from ingest.model import Device, Fleet, QualityLimits, Replacement
from ingest.pipeline import Bounds, MeterState
from ingest.pipeline.quality_limits import TIME, Checks, Thresholds
from ingest.pipeline.quality_state import NEVER, Register, RunKey, Watched

CLASSES = ("pv_inverter", "ev_charger", "energy_meter", "vehicle")
DAY_US = 86_400_000_000


def a_device(rng, name):
    class_id = str(rng.choice(CLASSES))
    channel = next(iter(classes.load()[class_id].registers)).name
    swaps = tuple(
        Replacement(channel, int(us), 5, 0) for us in rng.integers(1, 99, rng.integers(2))
    )
    limits = tuple(
        QualityLimits(
            where, int(day) * DAY_US, {"gap_s": 7200.0} if where == TIME else {"spike": 5.0}
        )
        for where in (TIME, channel)[: rng.integers(3)]
        for day in sorted(rng.choice(9, rng.integers(1, 3), replace=False))
    )
    return Device(
        name, "roof", class_id,
        rated_power_w=None if rng.random() < 0.2 else int(rng.integers(1, 9)) * 1_000,
        installed_us=int(rng.integers(9)), replacements=swaps, quality=limits,
        place=None if rng.random() < 0.3 else (float(rng.integers(-60, 60)), 106.6),
    )  # fmt: skip


def ask(bounds, checks):
    """Return all data known of a fleet's devices."""
    found = {"swap": bounds.next_swap_us, "places": bounds._places, "light": bounds.has_light}
    for class_id in CLASSES:
        held = classes.load()[class_id]
        for channel in held.registers:
            found["rate", class_id, channel.name] = bounds.rate(class_id, channel)
        for name in (TIME, *held.channels):
            limits = checks.of(class_id, name)
            for field in Thresholds.__slots__:
                found[class_id, name, field] = None if limits is None else getattr(limits, field)
    for quantity in range(len(QUANTITY_INDEX)):
        found["most", quantity] = bounds.interval_maximum(quantity)
    names = ("rated", "latitude", "longitude", "begin_us", "device", "_first", "_count", "_maximum")
    return found | {name: getattr(checks, name) for name in names}


@pytest.mark.parametrize("seed", range(25))
def test_a_change_gives_what_reading_anew_gives(seed):
    """A limit that stays what it was would let a meter count more than it can make."""
    rng = np.random.default_rng(seed)
    fleet = Fleet(
        [a_device(rng, f"d{i:02d}") for i in range(rng.integers(1, 12))], 1, ["t/{device}"]
    )
    bounds, checks = Bounds(fleet), Checks(fleet)
    if seed % 5:
        ask(bounds, checks)
    for version in range(2, 6):
        # a digit behind a name puts a new device between two that there are
        names = {f"d{i:02d}{'5' * (rng.random() < 0.3)}" for i in rng.integers(0, 12, 3)}
        if version % 2:
            names &= fleet.by_id.keys()
        later = fleet.following([a_device(rng, name) for name in names], version)
        anew = Fleet(later.devices, version, fleet.topics)
        assert [d.id for d in later.devices] == sorted(fleet.by_id.keys() | names)
        for name in Fleet.__slots__:
            assert np.array_equal(getattr(later, name), getattr(anew, name)), name
        here, there = later.unchanged(fleet)
        again = anew.unchanged(Fleet(map(replace, fleet.devices)))
        assert (here.tolist(), there.tolist()) == (again[0].tolist(), again[1].tolist())
        bounds, checks = Bounds(later, bounds, (here, there)), Checks(later, checks, (here, there))
        carried, wanted = ask(bounds, checks), ask(Bounds(anew), Checks(anew))
        for key, value in wanted.items():
            same = value is None or np.array_equal(carried[key], value, equal_nan=True)
            assert same, key
            assert (value is None) == (carried[key] is None), key
        fleet = later


@pytest.mark.parametrize(
    ("here", "there", "size"),
    [([0, 2, 3], [0, 2, 3], 4), ([1, 3, 4], [0, 1, 3], 5), ([0, 1, 2, 3], [0, 1, 2, 3], 5)],
    ids=["one changes", "others move", "one comes at the end"],
)
def test_only_what_is_the_same_is_remembered(here, there, size):
    """A meter of a new device would go on from another's register."""
    before, state = MeterState(4), MeterState(size)
    quality, watched = Watched(4), Watched(size)
    before.loaded[:] = True
    before.last_us[:] = range(4)
    for name in Register.__slots__:
        getattr(before.registers[1], name)[:] = [1, 2, 3, 4]
    pair, key = quality.pair("pv_inverter", "state"), RunKey("pv_inverter", "state", "flat")
    pair.time_us[:], quality.run(key).last_us[:] = range(4), range(4)
    state.take_over(before, np.array(here, np.int32), np.array(there, np.int32))
    watched.take_over(quality, np.array(here, np.int32), np.array(there, np.int32))
    rest = sorted(set(range(size)) - set(here))
    assert not state.loaded[rest].any()
    assert (state.last_us[rest] == NEVER).all()
    assert not state.registers[1].known[rest].any()
    assert (state.last_us[here] == there).all()
    assert (state.registers[1].value[here] == np.array(there) + 1).all()
    assert not state.registers[0].known.any()
    assert (watched.pair("pv_inverter", "state").time_us[here] == there).all()
    assert (watched.pair("pv_inverter", "state").time_us[rest] == NEVER).all()
    assert (watched.run(key).last_us[here] == there).all()
    assert (watched.run(key).last_us[rest] == NEVER).all()
