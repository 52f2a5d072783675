"""Detection of the faults marked in recorded data by the quality tests; docs/quality.md."""

import csv
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from ingest import classes
from ingest.model import NULL, Device, Fleet, Frame
from ingest.pipeline.quality_limits import TESTS, Checks
from ingest.pipeline.quality_state import Watched
from ingest.pipeline.quality_tests import judge
from ingest.quality import energy_budget
from ingest.quality.energy_budget import METERS, Tolerance, integral

DATA = Path("tests/data")
OUTLIERS = DATA / "inverter_7539_outliers.csv", "outlier"
STALE = DATA / "inverter_2173_stale.csv", "stale_data_mask"
SERF = Path("deploy/data/nrel_serf_east_1min.csv")
RSF2 = Path("deploy/data/nrel_rsf2_inverter_15min.csv")
RATED_W = 100_000
INTERVAL_US = 900_000_000
# what is flagged of the stale data and is not stale
BESIDE = {"time_gap": (9, 0), "unit_scale": (2, 0)}


def _read(path, mark):
    with path.open(encoding="utf-8") as lines:
        rows = [r for r in csv.DictReader(lines) if r["value_normalized"]]
    time_us = np.array([int(datetime.fromisoformat(r["timestamp"]).timestamp()) for r in rows])
    share = np.array([float(r["value_normalized"]) for r in rows])
    return time_us * 1_000_000, share, np.array([r[mark].upper() == "TRUE" for r in rows])


def _flagged(time_us, power_w, *, whole, place=None, **more):
    """Return the readings that each test flags."""
    n = len(time_us)
    columns = {
        name: np.full(n, NULL, dtype=np.int64) if c.kind == "register" else np.full(n, np.nan)
        for name, c in classes.load()["pv_inverter"].channels.items()
    }
    none = np.zeros(n, dtype=np.int32)
    frame = Frame("pv_inverter", none, time_us, none, columns | more | {"active_power_w": power_w})
    fleet = Fleet([Device("d", "s", "pv_inverter", rated_power_w=RATED_W, place=place)])
    flags = judge(Checks(fleet), Watched(1), [frame], whole=whole).flags
    by_test = {
        name: np.isin(time_us, flags.time_us[flags.test == k]) for k, name in enumerate(TESTS)
    }
    return {name: found for name, found in by_test.items() if found.any()}


# of each test: readings flagged, those of them that are marked
@pytest.mark.parametrize(
    ("data", "whole", "readings", "marked", "expected"),
    [
        (OUTLIERS, True, 500, 6, {"gross_range": (5, 5), "spike": (3, 3), "time_gap": (10, 0)}),
        (STALE, False, 1851, 245, {"flat_line": (170, 170), **BESIDE}),
        (STALE, True, 1851, 245, {"flat_line": (245, 245), **BESIDE}),
    ],
)
def test_the_published_recall_and_precision_are_those_of_the_data(
    data, whole, readings, marked, expected
):
    """Anyone who reads the figures in docs/quality.md would trust tests that find less."""
    time_us, share, marks = _read(*data)
    # one data set is of its own rated power, the other of its peak
    rated = 1.0 if data is OUTLIERS else share.max()
    found = _flagged(time_us, share / rated * RATED_W, whole=whole)
    assert (len(time_us), int(marks.sum())) == (readings, marked)
    counts = {name: (int(at.sum()), int((at & marks).sum())) for name, at in found.items()}
    assert counts == expected


@pytest.mark.parametrize(("hours", "expected"), [(-5, {}), (-7, {"night_generation": 13})])
def test_a_recording_of_which_nothing_is_marked(hours, expected):
    """A plant without a fault would be sent a technician; one whose clock is off would not."""
    with RSF2.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    zone = timezone(timedelta(hours=hours))
    stamps = [datetime.strptime(r[""], "%m/%d/%Y %H:%M").replace(tzinfo=zone) for r in rows]
    time_us = np.array([int(at.timestamp()) for at in stamps]) * 1_000_000
    channels = {
        "active_power_w": "inv2_ac_power_w__1047",
        "dc_power_w": "inv2_dc_power__1135",
        "irradiance_w_m2": "poa_irradiance__1055",
        "module_temperature_c": "module_temp__1056",
    }
    given = {one: np.array([float(r[column]) for r in rows]) for one, column in channels.items()}
    power = given.pop("active_power_w")
    found = _flagged(time_us, power, whole=True, place=(39.74, -105.17), **given)
    assert {name: int(at.sum()) for name, at in found.items()} == expected


@pytest.mark.parametrize("minutes", [1, 2, 5, 10, 15, 30])
def test_a_recorded_plant_shows_the_energy_that_it_made(minutes):
    """Clouds between two power samples would be deducted from honest plants."""
    with SERF.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    time_us = np.array([int(datetime.fromisoformat(r["measured_on"]).timestamp()) for r in rows])
    time_us, power = time_us * 1_000_000, np.array([float(r["ac_power__752"]) for r in rows])
    made = np.maximum(power, 0)
    total = np.concatenate([[0], np.cumsum((made[1:] + made[:-1]) / 120)])
    first, last = -(-int(time_us[0]) // INTERVAL_US), int(time_us[-1]) // INTERVAL_US
    edges = np.arange(first, last + 1) * INTERVAL_US
    value = np.diff(np.floor(np.interp(edges, time_us, total))).astype(np.int64)
    none = np.zeros(len(value), dtype=np.bool_)
    for begin in range(minutes):
        of = slice(begin, None, minutes)
        shown = integral(time_us[of], power[of], time_us[of], first, last)
        beyond = energy_budget.above(value, *shown[:3], none, 24, Tolerance(METERS, 100))
        assert int(beyond.sum()) <= int(value.sum()) // 1000


@pytest.mark.parametrize("seed", range(40))
def test_a_whole_history_has_the_flags_of_its_readings(seed):
    """
    A statement would count other flags than the pipeline set,
    except at the start of a standstill.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for device in range(3):
        n = int(rng.integers(1, 1_500))
        time_us = np.cumsum(rng.choice([60, 300, 900, 900, 30_000], n)) * 1_000_000
        power = rng.choice([0, 500, 3_000, 60_000], n).astype(np.float64)
        power += rng.choice([0.0, 1.0], n)
        for _ in range(4):
            begin = int(rng.integers(0, n))
            power[begin : begin + int(rng.integers(1, 200))] = power[begin]
        register = np.cumsum(rng.choice([0, 0, 10], n)).astype(np.int64)
        if rng.random() < 0.5:
            power = np.minimum(power, rng.choice([100, 1_500, 20_000]))
        parts.append((np.full(n, device, dtype=np.int32), time_us, power, register))
    device, time_us, power, register = (np.concatenate(c) for c in zip(*parts, strict=True))
    n = len(device)
    columns = {
        name: np.full(n, NULL, dtype=np.int64) if c.kind == "register" else np.full(n, np.nan)
        for name, c in classes.load()["pv_inverter"].channels.items()
    }
    columns |= {"active_power_w": power, "energy_export_wh": register}
    frame = Frame("pv_inverter", device, time_us, np.zeros(n, dtype=np.int32), columns)
    fleet = Fleet([Device(f"d{i}", "s", "pv_inverter", rated_power_w=RATED_W) for i in range(3)])
    found = []
    for whole in (False, True):
        flags = judge(Checks(fleet), Watched(3), [frame], whole=whole).flags
        rows = zip(*(getattr(flags, name).tolist() for name in flags.__slots__), strict=True)
        found.append(set(rows))
    arrived, at_close = found
    standing = {TESTS.index("flat_line"), TESTS.index("frozen_register")}
    assert arrived <= at_close
    assert {test for *_, test in at_close - arrived} <= standing
