"""Stored readings judged by their class's limits: recorded data, and what a profile changes."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ingest import classes
from ingest.errors import ProfileError
from ingest.limits import Limits
from ingest.model import NULL, Device, Frame
from ingest.pipeline.judge import judge

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


def _marked(found, *tests):
    return {int(row) for one in found if not tests or one.test in tests for row in one.rows}


def test_the_marked_outliers_of_a_recorded_inverter_are_found():
    """An auditor would find by eye what the tests let pass, or drown in false alarms."""
    rows, time_us, share = _recorded(OUTLIERS, "timestamp", "value_normalized")
    frame = _frame(time_us, active_power_w=share * 100_000)
    found = judge(Device("d", "s", "pv_inverter", rated_power_w=100_000), frame)
    marked = _marked(found, "gross_range", "spike", "flat_line", "rate_of_change")
    outliers = {i for i, row in enumerate(rows) if row["outlier"] == "TRUE"}
    assert len(outliers) == 6
    assert len(outliers & marked) / len(outliers) >= 0.95
    assert len(marked - outliers) / (len(rows) - len(outliers)) < 0.05


def test_night_standby_is_no_fault_and_no_generation():
    """An inverter that draws three watts at night would be reported each night."""
    _, time_us, power = _recorded(SERF, "measured_on", "ac_power__752")
    assert (power < 0).any()
    device = Device("d", "s", "pv_inverter", rated_power_w=6_000)
    assert _marked(judge(device, _frame(time_us, active_power_w=power), GOLDEN)) == set()


def test_a_clock_that_is_off_by_half_a_day_is_found():
    """A device that sends its local time as UTC would be credited at the wrong hours."""
    _, time_us, power = _recorded(SERF, "measured_on", "ac_power__752")
    shifted = time_us + 12 * 60 * MINUTE_US
    device = Device("d", "s", "pv_inverter", rated_power_w=6_000)
    found = judge(device, _frame(shifted, active_power_w=power), GOLDEN)
    assert len(_marked(found, "night_generation")) > 300


def test_a_frozen_register_of_a_working_inverter_is_found():
    """A register that hangs while the sun shines would be a day without generation."""
    time_us = np.arange(40) * 15 * MINUTE_US
    register = np.concatenate([np.arange(10), np.full(20, 9), np.arange(10, 20)]).astype(np.int64)
    device = Device("d", "s", "pv_inverter", rated_power_w=1_000)
    for power, expected in ((500.0, set(range(9, 30))), (50.0, set())):
        frame = _frame(
            time_us, energy_export_wh=register * 1000, active_power_w=power + np.arange(40.0)
        )
        assert _marked(judge(device, frame), "frozen_register") == expected


def test_watts_that_are_kilowatts_are_found():
    """Every value would be within bounds, and a thousandth of the truth."""
    time_us = np.arange(5 * 96) * 15 * MINUTE_US
    power = np.abs(np.sin(np.arange(5 * 96) / 20)) * 90
    device = Device("d", "s", "pv_inverter", rated_power_w=100_000)
    (found,) = (f for f in judge(device, _frame(time_us, active_power_w=power)) if f.detail)
    assert found.test == "unit_scale"
    assert "10**-3 of 100000 W" in found.detail


def test_a_device_without_rated_power_is_judged_by_what_is_known():
    """A missing rated power would make every reading odd, or stop the command."""
    frame = _frame(np.arange(3) * MINUTE_US, active_power_w=np.array([1.0, 9e9, 1.0]))
    assert judge(Device("d", "s", "pv_inverter"), frame) == []


def test_a_profile_changes_the_limits_of_its_class():
    """A model whose sensor is rougher could not be told apart from a broken one."""
    held = classes.load()["pv_inverter"].channels["active_power_w"].limits
    changed = held.changed({"spike_of_rated": 0.6}, "profile x")
    assert changed.spike_of_rated == 0.6
    assert changed.bound_of_rated == held.bound_of_rated


@pytest.mark.parametrize("spec", [{"spyke": 1}, {"bound": [1]}, {"bound": [2, 1]}])
def test_limits_that_make_no_sense_are_refused(spec):
    """A slip in a limit would switch a test off in silence."""
    with pytest.raises(ProfileError, match="profile x, limits"):
        Limits().changed(spec, "profile x")
