"""Stored readings tested by their class's limits: recorded data, and changes by a profile."""

import csv
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ingest import classes
from ingest.classes import Limits
from ingest.errors import ProfileError
from ingest.model import NULL, Device, Fleet, Frame, QualityLimits
from ingest.pipeline.quality_limits import CHANNELS, TESTS, Checks
from ingest.pipeline.quality_state import Watched
from ingest.pipeline.quality_tests import judge as judge_frames
from tests.soak import often

OUTLIERS = Path("tests/data/inverter_7539_outliers.csv")
SERF = Path("deploy/data/nrel_serf_east_1min.csv")
GOLDEN = (39.74, -105.18)  # NREL's campus
MINUTE_US = 60_000_000


def _frame(time_us, device_class="pv_inverter", **columns):
    n = len(time_us)
    absent = {
        name: np.full(n, NULL, dtype=np.int64) if c.kind == "register" else np.full(n, np.nan)
        for name, c in classes.load()[device_class].channels.items()
    }
    index = np.zeros(n, dtype=np.int32)
    return Frame(device_class, index, np.asarray(time_us, dtype=np.int64), index, absent | columns)


def _recorded(file, time, value):
    with file.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    moments = [np.datetime64(_utc(row[time]), "us") for row in rows]
    return rows, np.array(moments).astype(np.int64), np.array([float(row[value]) for row in rows])


def _utc(text):
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)


def judge(device, frame):
    """Return all flags of one device's readings in one pass: (row, channel, test)."""
    checks = Checks(Fleet([device]))
    flags = judge_frames(checks, Watched(1), [frame]).flags
    rows = {int(us): row for row, us in enumerate(frame.time_us)}
    return [
        (rows[int(us)], CHANNELS[channel], TESTS[test])
        for us, channel, test in zip(flags.time_us, flags.channel, flags.test, strict=True)
    ]


def _marked(found, *tests):
    return {row for row, _, test in found if not tests or test in tests}


def test_the_marked_outliers_of_a_recorded_inverter_are_found():
    """An auditor would find by eye what the tests let pass, or drown in false alarms."""
    rows, time_us, share = _recorded(OUTLIERS, "timestamp", "value_normalized")
    frame = _frame(time_us, active_power_w=share * 100_000)
    found = judge(Device("d", "s", "pv_inverter", rated_power_w=100_000), frame)
    marked = _marked(found)  # gaps too: this inverter is silent at night, and its place not known
    outliers = {i for i, row in enumerate(rows) if row["outlier"] == "TRUE"}
    assert len(outliers) == 6
    assert len(outliers & marked) / len(outliers) >= 0.95
    assert len(marked - outliers) / (len(rows) - len(outliers)) < 0.05


def test_night_standby_is_no_fault_and_no_generation():
    """An inverter that draws three watts at night would be reported each night."""
    _, time_us, power = _recorded(SERF, "measured_on", "ac_power__752")
    assert (power < 0).any()
    device = Device("d", "s", "pv_inverter", rated_power_w=6_000, place=GOLDEN)
    assert judge(device, _frame(time_us, active_power_w=power)) == []


def test_an_inverter_that_sleeps_at_night_has_no_gap_each_morning():
    """Each morning would bring a flag for every inverter that switches off with the sun."""
    day = np.arange(0, 12 * 60, 5)
    minutes = np.concatenate([day, day + 1440, day[:70] + 2880, day[80:] + 2880])
    time_us = 1_773_961_200_000_000 + minutes * MINUTE_US  # 2026-03-19T23:00Z: sunrise in Hai Phong
    frame = _frame(time_us, active_power_w=500.0 + minutes % 7)
    inverter = Device("d", "s", "pv_inverter", rated_power_w=1_000, place=(20.9, 106.6))
    # the hour that is missing on the third day is told
    assert _marked(judge(inverter, frame), "time_gap") == {2 * len(day) + 70}
    assert len(_marked(judge(replace(inverter, place=None), frame), "time_gap")) == 3
    meter = _frame(time_us, "energy_meter", active_power_w=500.0 + minutes % 7)
    at_meter = replace(inverter, class_id="energy_meter")
    assert len(_marked(judge(at_meter, meter), "time_gap")) == 3


def test_a_clock_that_is_off_by_half_a_day_is_found():
    """A device that sends its local time as UTC would be credited at the wrong hours."""
    _, time_us, power = _recorded(SERF, "measured_on", "ac_power__752")
    shifted = time_us + 12 * 60 * MINUTE_US
    device = Device("d", "s", "pv_inverter", rated_power_w=6_000, place=GOLDEN)
    found = judge(device, _frame(shifted, active_power_w=power))
    assert len(_marked(found, "night_generation")) > 300


def test_a_frozen_register_of_a_working_inverter_is_found():
    """A register that hangs while the sun shines would be a day without generation."""
    time_us = np.arange(40) * 15 * MINUTE_US
    register = np.concatenate([np.arange(10), np.full(20, 9), np.arange(10, 20)]).astype(np.int64)
    device = Device("d", "s", "pv_inverter", rated_power_w=1_000)
    # it stands from row 9 on; four hours later, after 16 steps, it has stood for too long
    for power, expected in ((500.0, set(range(26, 30))), (50.0, set())):
        frame = _frame(
            time_us, energy_export_wh=register * 1000, active_power_w=power + np.arange(40.0)
        )
        assert _marked(judge(device, frame), "frozen_register") == expected


HOLIDAY_H = 9 * 24


def _base_load(minutes, step_wh=1, power_w=20_000.0, *, counts=1.0, shown_in_w=1.0):
    """
    Return a factory over a long holiday, whose register counts a
    different share of its power.
    """
    begin = 3 * 60 + 52  # of the first part of the day hardly anything is left
    time_us = (begin + np.arange(0, HOLIDAY_H * 60, minutes)) * MINUTE_US
    wh = np.arange(len(time_us)) * (power_w * counts * minutes / 60)
    shown = np.full(len(time_us), np.round(power_w / shown_in_w) * shown_in_w)
    register = 123_456_000 + (wh // step_wh * step_wh).astype(np.int64)
    return time_us, shown, register


@pytest.mark.parametrize("minutes", [1, 15, 60])
@pytest.mark.parametrize(("step_wh", "power_w"), [(1, 20_000), (1_000, 20_000), (1_000, 2_300)])
def test_a_base_load_whose_register_rises_is_none(minutes, step_wh, power_w):
    """A works that rests over a holiday would be reported with a sensor that hangs."""
    device = Device("d", "s", "energy_meter", rated_power_w=400_000 * power_w // 20_000)
    time_us, shown, register = _base_load(minutes, step_wh, power_w)
    for imported in (True, False):
        name, power = ("import", shown) if imported else ("export", -shown)
        columns = {"active_power_w": power, f"energy_{name}_wh": register}
        assert judge(device, _frame(time_us, "energy_meter", **columns)) == []


def test_a_power_in_whole_kilowatts_is_corroborated():
    """A meter with a coarse display would be flagged each weekend."""
    device = Device("d", "s", "energy_meter", rated_power_w=40_000)
    time_us, shown, register = _base_load(15, 1, 2_450.0, shown_in_w=1_000.0)
    columns = {"active_power_w": shown, "energy_import_wh": register}
    assert judge(device, _frame(time_us, "energy_meter", **columns)) == []


@pytest.mark.parametrize("counts", [0.0, 0.6, 1.6])
def test_a_standstill_that_its_register_contradicts_is_found(counts):
    """A gateway that repeats a dead meter's last values, or a power that hangs, would pass."""
    device = Device("d", "s", "energy_meter", rated_power_w=400_000)
    time_us, shown, register = _base_load(15, counts=counts)
    columns = {"active_power_w": shown, "energy_import_wh": register}
    found = judge(device, _frame(time_us, "energy_meter", **columns))
    assert _marked(found, "flat_line") == set(range(12 * 4 + 1, len(time_us)))
    # 5 % of the rated power, and it counts nothing
    at_work = judge(
        replace(device, rated_power_w=390_000), _frame(time_us, "energy_meter", **columns)
    )
    frozen = set() if counts else set(range(4 * 4 + 1, len(time_us)))
    assert _marked(at_work, "frozen_register") == frozen


def test_what_counts_nothing_corroborates_nothing():
    """
    A standstill at a small load would be within the tolerance of
    its registers, and not be flagged.
    """
    limits = (QualityLimits("active_power_w", 0, {"flat_s": 3_600}),)
    device = Device("d", "s", "energy_meter", rated_power_w=10_000, quality=limits)
    time_us = np.arange(0, 3 * 60, 5) * MINUTE_US
    columns = {
        "active_power_w": np.full(len(time_us), 400.0),
        "energy_import_wh": np.full(len(time_us), 10**6),
    }
    found = judge(device, _frame(time_us, "energy_meter", **columns))
    assert _marked(found, "flat_line") == set(range(13, len(time_us)))


def test_a_power_that_hangs_by_day_is_found_although_its_register_follows_the_sun():
    """A sensor that stopped in the morning would be read for the day's power."""
    time_us = 1_773_961_200_000_000 + np.arange(0, 26 * 60, 15) * MINUTE_US  # before sunrise
    hour = (time_us / 3.6e9 + 7) % 24
    sun = 90_000 * np.clip(np.sin((hour - 6) / 12 * np.pi), 0, None)
    register = np.cumsum(sun / 4).astype(np.int64)
    device = Device("d", "s", "pv_inverter", rated_power_w=100_000)
    stuck = np.where((hour >= 7) & (hour < 19), 23_294.3, sun)
    for power, expected in ((sun, False), (stuck, True)):
        found = judge(device, _frame(time_us, active_power_w=power, energy_export_wh=register))
        assert bool(_marked(found, "flat_line")) == expected


def test_an_inverter_at_a_fixed_set_point_is_corroborated():
    """A plant that the utility holds at half of its power would be reported as broken."""
    time_us = np.arange(0, 10 * 60, 5) * MINUTE_US
    columns = {
        "active_power_w": np.full(len(time_us), 50_000.0),
        "energy_export_wh": np.arange(len(time_us)) * 50_000 * 5 // 60,
    }
    device = Device("d", "s", "pv_inverter", rated_power_w=100_000)
    assert judge(device, _frame(time_us, **columns)) == []


def test_rest_between_two_shifts_freezes_no_register():
    """A machine that rests for five hours is not credited meanwhile, and has no fault."""
    time_us = np.arange(0, 13 * 60, 15) * MINUTE_US
    hour = time_us / 3.6e9
    works = (hour < 4) | (hour >= 9)
    power = np.where(works, 30_000.0 + hour, 0.0)
    # what it counts is read with the next reading
    register = np.cumsum(np.append(0, 7_500 * works[1:] * works[:-1]))
    device = Device("d", "s", "energy_meter", rated_power_w=100_000)
    columns = {"active_power_w": power, "energy_import_wh": register.astype(np.int64)}
    assert judge(device, _frame(time_us, "energy_meter", **columns)) == []


def test_a_small_device_s_coarse_register_is_not_frozen():
    """
    An inverter of one module, whose register counts whole kilowatt-hours, would be flagged each
    noon.
    """
    time_us = np.arange(0, 10 * 60, 15) * MINUTE_US
    power = 120 + np.arange(len(time_us)) / 10
    register = (np.cumsum(power / 4) // 1_000 * 1_000).astype(np.int64)
    device = Device("d", "s", "pv_inverter", rated_power_w=330)
    assert judge(device, _frame(time_us, active_power_w=power, energy_export_wh=register)) == []


@pytest.mark.parametrize("seed", range(often(10, 30)))
def test_cuts_between_batches_change_no_standstill(seed):
    """A restart would flag a base load, or let a sensor that hangs pass."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 700))
    time_us = np.cumsum(rng.choice([5, 15, 15, 60, 200, 400], n)) * MINUTE_US
    power = np.repeat(rng.choice([0.0, 3_000.0, 20_000.0], n), rng.integers(1, 300, n))[:n]
    rise = power * np.diff(time_us, prepend=time_us[0]) / 3.6e9
    rise *= np.repeat(rng.choice([0.0, 0.5, 1.0, 1.5], n), rng.integers(1, 9, n))[:n]
    register = np.cumsum(rise).astype(np.int64) // 1_000 * 1_000
    register[rng.random(n) < 0.03] = NULL
    limits = (QualityLimits("active_power_w", int(time_us[n // 3]), {"flat_s": 15_000}),)
    fleet = Fleet([Device("d", "s", "energy_meter", rated_power_w=100_000, quality=limits)])
    frame = _frame(time_us, "energy_meter", active_power_w=power, energy_import_wh=register)
    checks, watched = Checks(fleet), Watched(1)
    whole = _rows(judge_frames(checks, Watched(1), [frame]).flags)
    cuts = [0, *sorted(rng.integers(0, n, int(rng.integers(1, 30)))), n]
    parts = []
    for begin, end in pairwise(cuts):
        judged = judge_frames(checks, watched, [frame.take(np.arange(begin, end))])
        judged.apply()
        parts += _rows(judged.flags)
    assert sorted(parts) == whole


def _rows(flags):
    columns = flags.time_us, flags.channel, flags.test
    return sorted(zip(*(one.tolist() for one in columns), strict=True))


def _whole(devices, index, time_us, power):
    """Return power that a test found constant: (device, time) of each flag."""
    frame = replace(_frame(time_us, "energy_meter", active_power_w=power), device=index)
    checks = Checks(Fleet(devices))
    flags = judge_frames(checks, Watched(len(devices)), [frame], whole=True).flags
    of = flags.test == TESTS.index("flat_line")
    return set(zip(flags.device[of].tolist(), flags.time_us[of].tolist(), strict=True))


def test_a_standstill_is_found_alone_and_among_others():
    """
    A standstill must be flagged alike for one device and for several, which are searched
    differently.
    """
    random = np.random.default_rng(5)
    devices = [Device(f"m-{i}", "s", "energy_meter", rated_power_w=1_000) for i in (1, 2)]
    found = 0
    for _ in range(60):
        n = int(random.integers(200, 400))
        time_us = np.cumsum(random.choice([1, 10, 15, 15, 60], n)) * MINUTE_US
        power = 300 + random.random(n)
        begin, long = int(random.integers(0, 150)), int(random.integers(20, 90))
        power[begin : begin + long] = 400.0
        alone = _whole(devices, np.zeros(n, dtype=np.int32), time_us, power)
        both = _whole(
            devices,
            np.repeat(np.arange(2, dtype=np.int32), n),
            np.tile(time_us, 2),
            np.tile(power, 2),
        )
        assert {us for _, us in alone} == {us for device, us in both if device == 0}
        found += bool(alone)
    assert 10 < found < 50


@pytest.mark.parametrize(("scale", "days"), [(1e-3, 3), (1e-2, 3), (1e-1, 10), (1.0, None)])
def test_a_power_in_another_unit_is_found(scale, days):
    """Every value would be within bounds, and a tenth or a thousandth of the truth."""
    n = 14 * 96
    time_us = np.arange(n) * 15 * MINUTE_US
    power = np.maximum(np.sin(np.arange(n) / 96 * 2 * np.pi), 0) * 90_000 * scale
    device = Device("d", "s", "pv_inverter", rated_power_w=100_000)
    marked = _marked(judge(device, _frame(time_us, active_power_w=power)), "unit_scale")
    if days is None:
        assert marked == set()
    else:
        assert days * 96 < min(marked) < (days + 1) * 96


def test_a_power_ten_times_too_large_is_beyond_its_bound():
    """Watts sent as kilowatts in an hour without sun would still be within the plausible range."""
    frame = _frame(np.arange(2) * MINUTE_US, active_power_w=np.array([90_000.0, 120_000.0]))
    device = Device("d", "s", "pv_inverter", rated_power_w=100_000)
    assert _marked(judge(device, frame), "gross_range") == {1}


def test_phases_that_do_not_make_the_whole_are_found():
    """A current transformer that is turned round would halve a meter's count unseen."""
    n = 3
    phases = {f"active_power_l{k}_w": np.array([1000.0, 1000.0, np.nan]) for k in (1, 2)}
    frame = _frame(
        np.arange(n) * MINUTE_US,
        "energy_meter",
        active_power_w=np.array([3010.0, 1000.0, 500.0]),
        active_power_l3_w=np.array([1000.0, -1000.0, np.nan]),
        **phases,
    )
    found = judge(Device("d", "s", "energy_meter"), frame)
    assert found == []
    frame.columns["active_power_w"] = np.array([3010.0, 3000.0, 500.0])
    found = judge(Device("d", "s", "energy_meter"), frame)
    assert found == [(1, "active_power_w", "phase_sum")]


def test_a_device_without_rated_power_is_judged_by_what_is_known():
    """A missing rated power would make every reading odd, or stop the pipeline."""
    frame = _frame(np.arange(3) * MINUTE_US, active_power_w=np.array([1.0, 9e9, 1.0]))
    assert judge(Device("d", "s", "pv_inverter"), frame) == []


def test_limits_of_a_device_hold_from_their_date_on():
    """A change of limits would rewrite what was said of readings before it."""
    frame = _frame(np.arange(4) * MINUTE_US, active_power_w=np.full(4, 105_000.0))
    change = QualityLimits("active_power_w", 2 * MINUTE_US, {"bound_of_rated": [-0.05, 1.0]})
    again = QualityLimits("active_power_w", 3 * MINUTE_US, {})
    device = Device("d", "s", "pv_inverter", rated_power_w=100_000, quality=(again, change))
    assert judge(device, frame) == [(2, "active_power_w", "gross_range")]


def test_a_class_without_limits_for_a_channel_takes_a_device_s_own():
    """Limits that the registry gives to a bare channel would be ignored."""
    frame = _frame(np.arange(2) * MINUTE_US, dc_voltage_v=np.array([700.0, 1200.0]))
    limits = (QualityLimits("dc_voltage_v", 0, {"bound": [0, 1000]}),)
    found = judge(Device("d", "s", "pv_inverter", quality=limits), frame)
    assert found == [(1, "dc_voltage_v", "gross_range")]


def test_a_profile_changes_the_limits_of_its_class():
    """A model whose sensor is rougher could not be distinguished from a broken one."""
    held = classes.load()["pv_inverter"].channels["active_power_w"].limits
    changed = held.changed({"spike_of_rated": 0.6}, "profile x")
    assert changed.spike_of_rated == 0.6
    assert changed.bound_of_rated == held.bound_of_rated


@pytest.mark.parametrize(
    "spec",
    [
        {"spyke": 1},
        {"bound": [1]},
        {"bound": [2, 1]},
        {"bound": ["a", 1]},
        {"spike": -1},
        {"spike": True},
        {"spike": float("nan")},
        {"flat_s": 10**6},
        {"spike": 1, "spike_of_rated": 1},
    ],
)
def test_limits_that_make_no_sense_are_refused(spec):
    """A slip in a limit would switch a test off without a message."""
    with pytest.raises(ProfileError, match="profile x, limits"):
        Limits().changed(spec, "profile x")
