"""
Quality tests of times: on arrival, and by sunlight.

Device clocks: which times cannot be times of measurement.

Late data is always accepted, so the past has one bound only: before the year
2000 no device of ours measured.  Seconds sent as milliseconds land in January
1970 and have a reason of their own, since the remedy differs.

Night generation test: solar power while the sun is well below the horizon.

It finds clocks that are off by hours (a local time sent as UTC) and channels
that are swapped.  The few watts that an inverter draws or shows at night are no
generation, so there is a least power.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingest.sun import NIGHT_DEG, above

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
    Return a verdict per time: OK, FUTURE, SECONDS or TOO_OLD.

    Parameters
    ----------
    time_us : int64 array, n
        Device times. [us UTC]
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
    Mark power above `least` at night, outside civil twilight.

    Parameters
    ----------
    power : float64 array, n
    time_us : int64 array, n
        [us UTC]
    least : float64 array, n
        Power that counts as generation, in the unit of `power`; NaN where none is known.
    latitude, longitude : float64 array, n
        Of the site, north and east positive; NaN where it is not known. [deg]
    """
    result = np.zeros(len(power), dtype=np.bool_)
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero((power > least) & np.isfinite(latitude))
    places = (_rows(latitude, rows), _rows(longitude, rows))
    result[rows] = ~above(time_us[rows], *places, NIGHT_DEG)
    return result


def _rows(values: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the given rows; a common value stays one in memory."""
    if values.strides == (0,) and len(values):
        return np.broadcast_to(values[0], rows.shape)
    return values[rows]
