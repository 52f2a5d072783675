"""Stored readings judged by their class's limits: recorded data, and what a profile changes."""

import csv
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ingest import classes
from ingest.errors import ProfileError
from ingest.limits import Limits
from ingest.model import NULL, Device, Fleet, Frame, QualityLimits
from ingest.pipeline.flags import CHANNELS, TESTS
from ingest.pipeline.quality_limits import Checks
from ingest.pipeline.quality_state import Watched
from ingest.pipeline.quality_tests import judge as judge_frames

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
    """All flags of one device's readings in one pass: (row, channel, test)."""
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


def _whole(devices, index, time_us, power):
    """Power that a test found to stand still: (device, time) of each mark."""
    frame = replace(_frame(time_us, "energy_meter", active_power_w=power), device=index)
    checks = Checks(Fleet(devices))
    flags = judge_frames(checks, Watched(len(devices)), [frame], whole=True).flags
    of = flags.test == TESTS.index("flat_line")
    return set(zip(flags.device[of].tolist(), flags.time_us[of].tolist(), strict=True))


def test_a_standstill_is_found_alone_and_among_others():
    """One device's history is looked at in halves of the time first, which many's is not."""
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
    """Watts sent as kilowatts on an hour without sun would still be below the hard span."""
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
    """A model whose sensor is rougher could not be told apart from a broken one."""
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
    """A slip in a limit would switch a test off in silence."""
    with pytest.raises(ProfileError, match="profile x, limits"):
        Limits().changed(spec, "profile x")
