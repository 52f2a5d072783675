"""
Quality tests of a value (range, neighbours, time between readings), and of its time.

Gross range: a value outside the range of its sensor or device is not used.  The range may follow
from the rated power, which detects watts sent as kilowatts.

Rate of change: a value that its sensor could not have reached since the previous one.

Spike: a value far from both neighbours, on the same side.  QARTOD compares with the mean of the
neighbours.  Here the nearer neighbour is used, so that a steep change, far from one neighbour only,
is not a spike.  A reading is flagged when the next one arrives.

Time gap: a reading that arrived long after the one before.  A gap is longer than three times the
previous interval, so that a meter with hourly readings has none.

These four follow the QARTOD tests for ocean observing systems (IOOS, Manual for Real-Time Quality
Control).

Time: late data are always accepted, so the only lower limit is the year 2000.  Seconds sent as
milliseconds give January 1970; their reason of rejection is a separate one, as the remedy differs.

Night: solar power while the sun is well below the horizon indicates a clock off by hours (local
time sent as UTC) or interchanged channels.  A minimum power excludes the few watts of standby.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.sun import NIGHT_DEG, above

NEAR_US = 3_600_000_000
_MINUTE_US = 60_000_000
GAP_STEPS = 3


def outside(
    values: NDArray[np.float64], low: float | NDArray[np.float64], high: float | NDArray[np.float64]
) -> NDArray[np.bool_]:
    """
    Return a mask of values outside [low, high]; absent values (NaN) are never outside.

    Parameters
    ----------
    values : float64 array, n
        Values in the unit of the channel.
    low, high : float or float64 array, n
        Limits, NaN if unknown.
    """
    with np.errstate(invalid="ignore"):
        return (values < low) | (values > high)


def within(
    values: NDArray[np.float64], low: float | NDArray[np.float64], high: float | NDArray[np.float64]
) -> bool:
    """
    Return whether all values are present, finite and inside [low, high].

    `values`, `low`, `high`: as for `outside`.
    """
    with np.errstate(invalid="ignore"):
        return bool(((values >= low) & (values <= high) & (np.abs(values) < np.inf)).all())


def too_fast(
    device: NDArray[np.int32],
    time_us: NDArray[np.int64],
    values: NDArray[np.float64],
    per_minute: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """
    Return a mask of values that differ from the previous one by more than the time allows.

    Parameters
    ----------
    device : int32 array, n
        Device of each value; grouped by device, in time order.
    time_us : int64 array, n
        A previous value more than an hour before is ignored. [us UTC]
    values : float64 array, n
    per_minute : float64 array, n
        Fastest change per minute; at least one minute is allowed.  NaN if unknown.
    """
    result = np.zeros(len(values), dtype=np.bool_)
    step_us = np.diff(time_us)
    near = (device[1:] == device[:-1]) & (step_us <= NEAR_US)
    with np.errstate(invalid="ignore"):
        allowed = per_minute[1:] * np.maximum(step_us / _MINUTE_US, 1.0)
        result[1:] = near & (np.abs(np.diff(values)) > allowed)
    return result


def spikes(
    device: NDArray[np.int32],
    time_us: NDArray[np.int64],
    values: NDArray[np.float64],
    height: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """
    Return a mask of values above, or below, both neighbours by more than `height`.

    Parameters
    ----------
    device : int32 array, n
        Device of each value; grouped by device, in time order.
    time_us : int64 array, n
        Values more than an hour apart are no neighbours. [us UTC]
    values : float64 array, n
    height : float64 array, n
        Height in the unit of the values; NaN if unknown.
    """
    result = np.zeros(len(values), dtype=np.bool_)
    if len(values) < 3:  # noqa: PLR2004 (a value and its neighbours)
        return result
    with np.errstate(invalid="ignore"):
        step = np.diff(values)
        away = np.abs(step)
        both = (away[:-1] > height[1:-1]) & (away[1:] > height[1:-1])
    at = np.flatnonzero(both)  # rarely more than a few rows
    rise, fall = step[at], -step[at + 1]
    near = (device[at] == device[at + 2]) & (time_us[at + 1] - time_us[at] <= NEAR_US)
    near &= time_us[at + 2] - time_us[at + 1] <= NEAR_US
    result[at + 1] = near & (np.sign(rise) == np.sign(fall))
    return result


def gaps(
    device: NDArray[np.int32], time_us: NDArray[np.int64], least_us: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """
    Return a mask of readings after a gap.

    A gap is longer than three times the previous interval between readings, and than `least_us`.

    Parameters
    ----------
    device : int32 array, n
        Device of each reading; grouped by device, in time order.
    time_us : int64 array, n
        The first two of a device are not tested. [us UTC]
    least_us : float64 array, n
        Shortest time between readings that is a gap; NaN if unknown. [us]
    """
    result = np.zeros(len(time_us), dtype=np.bool_)
    step = np.diff(time_us).astype(np.float64)
    same = device[1:] == device[:-1]
    with np.errstate(invalid="ignore"):
        long = step[1:] > np.maximum(GAP_STEPS * step[:-1], least_us[2:])
    result[2:] = long & same[1:] & same[:-1]
    return result


AHEAD_US = 300_000_000
Y2000_US = 946_684_800_000_000
_SECONDS_LOW_US = 946_684_800_000
_SECONDS_HIGH_US = 4_102_444_800_000

OK, FUTURE, SECONDS, TOO_OLD = 0, 1, 2, 3
REASONS = {FUTURE: "time_future", SECONDS: "time_in_seconds", TOO_OLD: "time_too_old"}
REMEDIES = {
    FUTURE: "is more than 5 minutes ahead; set the device's clock",
    SECONDS: "appears to be in seconds; send milliseconds",
    TOO_OLD: "is before the year 2000; set the device's clock",
}


def judge(time_us: NDArray[np.int64], now_us: int) -> NDArray[np.uint8]:
    """
    Return a verdict for each time: OK, FUTURE, SECONDS or TOO_OLD.

    Parameters
    ----------
    time_us : int64 array, n
        Times stated by the device. [us UTC]
    now_us : int
        Time of receipt. [us UTC]
    """
    verdict = np.zeros(len(time_us), dtype=np.uint8)
    if ((time_us >= Y2000_US) & (time_us <= now_us + AHEAD_US)).all():
        return verdict
    verdict[time_us > now_us + AHEAD_US] = FUTURE
    verdict[time_us < Y2000_US] = TOO_OLD
    seconds = (time_us >= _SECONDS_LOW_US) & (time_us <= _SECONDS_HIGH_US)
    verdict[seconds] = SECONDS
    return verdict


def at_night(
    power: NDArray[np.float64],
    time_us: NDArray[np.int64],
    least: NDArray[np.float64],
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """
    Return a mask of power above `least` at night, outside civil twilight.

    Parameters
    ----------
    power : float64 array, n
    time_us : int64 array, n
        [us UTC]
    least : float64 array, n
        Minimum power that counts as generation, in the unit of `power`; NaN if unknown.
    latitude, longitude : float64 array, n
        Coordinates of the site, north and east positive; NaN if unknown. [deg]
    """
    result = np.zeros(len(power), dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero((power > least) & np.isfinite(latitude))
    places = (_rows(latitude, rows), _rows(longitude, rows))
    result[rows] = ~above(time_us[rows], *places, NIGHT_DEG)
    return result


def _rows(values: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the values of the given rows; a single repeated value is not copied."""
    if values.strides == (0,) and len(values):
        return np.broadcast_to(values[0], rows.shape)
    return values[rows]
