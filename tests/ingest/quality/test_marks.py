"""Each quality test on series with known faults."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ingest.classes import UNIT_LEVELS
from ingest.quality import gauges, runs

MINUTE_US = 60_000_000
DAY_US = 1440 * MINUTE_US


def _minutes(*minutes):
    return np.array(minutes, dtype=np.int64) * MINUTE_US


def _at(marks):
    return np.flatnonzero(marks).tolist()


def _one(n):
    return np.zeros(n, dtype=np.int32)


def _spikes(values, times, height, device=None):
    n = len(values)
    whose = _one(n) if device is None else np.array(device, dtype=np.int32)
    return _at(gauges.spikes(whose, times, np.asarray(values), np.full(n, height)))


def _since(values, times, gap_us=DAY_US, device=None, limits=None, before=None):
    n = len(values)
    whose = _one(n) if device is None else np.array(device, dtype=np.int32)
    held = np.zeros(n, dtype=np.int64) if limits is None else np.array(limits, dtype=np.int64)
    head = np.flatnonzero(np.append(True, whose[1:] != whose[:-1])) if n else whose.astype(np.intp)
    never = np.full(len(head), runs.NEVER)
    nothing = runs.Run(np.full(len(head), np.nan), never, never, np.zeros(len(head), dtype=int))
    now = runs.Values(head, times, np.asarray(values), held)
    last = before or nothing
    return runs.starts(now, runs.begins(now, gap_us, last), last)


def test_a_spike_stands_away_from_both_neighbours():
    """A steep morning would be called a fault, or a wrong value pass as weather."""
    values = np.array([0.0, 1, 2, 9, 3, 4, -5, 5, 20, 20.0])
    assert _spikes(values, _minutes(*range(10)), 4.0) == [3, 6]
    assert _spikes(values, _minutes(*range(0, 700, 70)), 4.0) == []
    assert _spikes(values[:2], _minutes(0, 1), 4.0) == []
    assert _spikes(values, _minutes(*range(10)), np.nan) == []


def test_the_neighbours_of_another_device_are_none():
    """Two meters side by side in a batch would be each other's spikes."""
    assert _spikes([0.0, 9, 0], _minutes(0, 1, 2), 4.0, device=[0, 1, 2]) == []
    device = np.array([0, 1], dtype=np.int32)
    values = np.array([0.0, 9.0])
    limit = np.full(2, 1.0)
    assert _at(gauges.too_fast(device, _minutes(0, 1), values, limit)) == []


def test_a_rate_that_no_sensor_has_is_found():
    """A temperature that falls forty degrees in a minute would be weather."""
    values = np.array([20.0, 21, 60, 60, 20, 60])
    times = _minutes(0, 1, 2, 3, 30, 100)
    assert _at(gauges.too_fast(_one(6), times, values, np.full(6, 5.0))) == [2]
    assert _at(gauges.too_fast(_one(1), times[:1], values[:1], np.full(1, 5.0))) == []


def test_a_run_lasts_while_nothing_changes():
    """A standstill of hours would begin again with every batch, and never be found."""
    times = _minutes(*range(0, 80, 10))
    values = [1.0, 2, 2, 2, 3, 3, 3, 3]
    assert _since(values, times).tolist() == _minutes(0, 10, 10, 10, 40, 40, 40, 40).tolist()
    # a silence, other limits, another device
    late = times + np.where(np.arange(8) >= 6, 60 * MINUTE_US, 0)
    assert _since(values, late, 60 * MINUTE_US)[6] == late[6]
    assert _since(values, times, limits=[0] * 5 + [1] * 3)[7] == times[5]
    assert _since(values, times, device=[0] * 5 + [1] * 3)[7] == times[5]
    assert _since(values[:0], times[:0]).tolist() == []


def test_a_run_goes_on_over_the_cut_between_batches():
    """After a restart, a fault would be found some hours later than without one."""
    times = _minutes(*range(0, 80, 10))
    values = np.array([1.0, 2, 2, 2, 2, 3, 3, 3])
    whole = _since(values, times)
    for cut in range(1, 8):
        stood = (values[cut - 1], times[cut - 1], whole[cut - 1], 0)
        before = runs.Run(*(np.array([one]) for one in stood))
        assert _since(values[cut:], times[cut:], before=before).tolist() == whole[cut:].tolist()


def test_a_value_that_stands_still_under_new_times_is_found():
    """A gateway that repeats a dead meter's last value would look alive."""
    values = np.array([1.0, 2, 2, 2, 2, 3, 0, 0, 0, 0])
    times = _minutes(*range(0, 100, 10))
    since = _since(values, times)
    longest = float(29 * MINUTE_US)
    assert _at(runs.flat(values, times, since, longest, 0.0)) == [4]
    assert _at(runs.flat(values, times, since, longest)) == [4, 9]
    assert _at(runs.flat(values, times, since, np.nan)) == []


def test_a_gap_is_long_for_the_device_itself():
    """A meter that sends hourly would look broken beside one that sends each minute."""
    for minutes, expected in (
        ((0, 1, 2, 30, 31, 32, 40), [3]),
        ((0, 60, 120, 180, 420), [4]),
        ((0, 300), []),
        ((0,), []),
    ):
        n = len(minutes)
        marks = gauges.gaps(_one(n), _minutes(*minutes), np.full(n, 15.0 * MINUTE_US))
        assert _at(marks) == expected


def test_a_series_below_every_peak_is_small_and_one_that_is_off_is_not():
    """An inverter that stands still for a week would be called one in another unit."""
    peak, level = np.full(4, 1200.0), UNIT_LEVELS[1]
    values = np.array([100.0, 100.0, 0.5, 300.0])
    times = np.array([0, 4, 4, 4]) * DAY_US
    assert runs.below(values, peak, level).tolist() == [1, 1, 1, 0]
    since = np.zeros(4, dtype=np.int64)
    assert _at(runs.wrong_scale(values, times, since, peak, level)) == [1]
    assert _at(runs.wrong_scale(values, times, since, peak * np.nan, level)) == []


def test_a_difference_below_resolution_says_nothing():
    """Two meters that have just begun to count would differ by half, and be exchanged."""
    whole, parts = np.array([100, 100, 1, -100]), np.array([97, 99, 2, 100])
    assert _at(runs.sums_differ(whole, parts, 0.02, 1)) == [0, 3]


SERIES = hnp.arrays(np.float64, st.integers(0, 20), elements=st.floats(-1e6, 1e6))


@given(SERIES, st.lists(st.integers(1, 10**9), min_size=20, max_size=20))
def test_any_series_is_marked_and_none_breaks(values, steps):
    """A device with one reading, or an odd one, would stop the judgement of a fleet."""
    n = len(values)
    times = np.cumsum(np.array(steps[:n], dtype=np.int64) * 1000)
    least = np.zeros(n)
    constant = np.full(n, 5.0)
    for marks in (
        gauges.spikes(_one(n), times, values, least),
        gauges.too_fast(_one(n), times, values, least),
        runs.flat(values, times, _since(values, times), float(MINUTE_US)),
        gauges.gaps(_one(n), times, least),
        gauges.at_night(values, times, least, least + 20.9, least + 106.6),
    ):
        assert marks.shape == values.shape
        assert marks.dtype == np.bool_
    assert not gauges.spikes(_one(n), times, constant, least).any()
