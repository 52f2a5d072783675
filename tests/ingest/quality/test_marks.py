"""The quality tests one by one, on series whose oddities are known."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ingest.quality import flat_line, night_generation, rate_of_change, spike, time_gap, unit_scale

MINUTE_US = 60_000_000


def _minutes(*minutes):
    return np.array(minutes, dtype=np.int64) * MINUTE_US


def _at(marks):
    return np.flatnonzero(marks).tolist()


def test_a_spike_stands_away_from_both_neighbours():
    """A steep morning would be called a fault, or a wrong value pass as weather."""
    values = np.array([0.0, 1, 2, 9, 3, 4, -5, 5, 20, 20.0])
    assert _at(spike.marks(values, _minutes(*range(10)), 4.0)) == [3, 6]
    assert _at(spike.marks(values, _minutes(*range(0, 700, 70)), 4.0)) == []
    assert _at(spike.marks(values[:2], _minutes(0, 1), 4.0)) == []


def test_a_rate_that_no_sensor_has_is_found():
    """A temperature that falls forty degrees in a minute would be weather."""
    values = np.array([20.0, 21, 60, 60, 20])
    assert _at(rate_of_change.marks(values, _minutes(0, 1, 2, 3, 30), 5.0)) == [2]
    assert _at(rate_of_change.marks(values[:1], _minutes(0), 5.0)) == []


def test_a_value_that_stands_still_under_new_times_is_found():
    """A gateway that repeats a dead meter's last value would look alive."""
    values = np.array([1.0, 2, 2, 2, 2, 3, 0, 0, 0, 0])
    times = _minutes(*range(0, 100, 10))
    assert _at(flat_line.marks(values, times, 29 * MINUTE_US)) == [1, 2, 3, 4]
    assert _at(flat_line.marks(values, times, 30 * MINUTE_US)) == []
    assert _at(flat_line.marks(values, times, 29 * MINUTE_US, -1.0)) == [1, 2, 3, 4, 6, 7, 8, 9]
    assert _at(flat_line.marks(values[:0], times[:0], 1)) == []


def test_a_gap_is_long_for_the_device_itself():
    """A meter that sends hourly would look broken beside one that sends each minute."""
    assert _at(time_gap.marks(_minutes(0, 1, 2, 30, 31, 32, 40))) == [3]
    assert _at(time_gap.marks(_minutes(0, 60, 120, 180, 420))) == [4]
    assert _at(time_gap.marks(_minutes(0))) == []


def test_the_sun_stands_where_the_almanac_says():
    """A clock that is off by seven hours could not be told from the sun."""
    # Hai Phong, equinox 2026-03-20: the sun's noon is at about 05:01 UTC, 90 - 20.9 degrees high
    noon = np.array([np.datetime64("2026-03-20T05:01", "us")]).astype(np.int64)
    (high,) = night_generation.elevation_deg(noon, 20.9, 106.6)
    assert abs(high - 69.0) < 0.3
    # Boulder, winter solstice 2022 noon at 19:00 UTC: 90 - 40 - 23.44
    noon = np.array([np.datetime64("2022-12-21T19:00", "us")]).astype(np.int64)
    (high,) = night_generation.elevation_deg(noon, 40.0, -105.25)
    assert abs(high - 26.5) < 0.3


def test_generation_at_midnight_is_found_and_standby_is_not():
    """An inverter whose clock says local time as UTC would make its power at night."""
    times = np.array(["2026-03-20T05:00", "2026-03-20T17:00"], dtype="datetime64[us]")
    for power, expected in (([5000.0, 5000.0], [1]), ([5000.0, -3.0], []), ([5000.0, 30.0], [])):
        marks = night_generation.marks(np.array(power), times.astype(np.int64), 100.0, 20.9, 106.6)
        assert _at(marks) == expected


def test_a_series_in_another_unit_is_found():
    """Kilowatts sent as watts are in every bound, and a thousandth of the truth."""
    times = _minutes(*range(0, 5 * 1440, 15))
    power = np.abs(np.sin(np.arange(len(times)) / 20)) * 90_000
    assert unit_scale.factor(power, times, 100_000) is None
    assert unit_scale.factor(power / 1000, times, 100_000) == 3
    assert unit_scale.factor(power * 1000, times, 100_000) == -3
    assert unit_scale.factor(power[:96] / 1000, times[:96], 100_000) is None
    assert unit_scale.factor(power * 0, times, 100_000) is None


SERIES = hnp.arrays(np.float64, st.integers(0, 20), elements=st.floats(-1e6, 1e6))


@given(SERIES, st.lists(st.integers(1, 10**9), min_size=20, max_size=20))
def test_any_series_is_marked_and_none_breaks(values, steps):
    """A device with one reading, or an odd one, would stop the judgement of a fleet."""
    times = np.cumsum(np.array(steps[: len(values)], dtype=np.int64) * 1000)
    for marks in (
        spike.marks(values, times, 1.0),
        rate_of_change.marks(values, times, 1.0) if len(values) else np.zeros(0, dtype=bool),
        flat_line.marks(values, times, MINUTE_US),
        time_gap.marks(times),
        night_generation.marks(values, times, 0.0, 20.9, 106.6),
    ):
        assert marks.shape == values.shape
        assert marks.dtype == np.bool_
    constant = np.full(len(values), 5.0)
    assert not spike.marks(constant, times, 0.0).any()
