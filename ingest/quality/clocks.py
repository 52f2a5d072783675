"""
Quality tests of times: plausibility at arrival, and generation at night.

Late data are always accepted, so the only lower bound is the year 2000.  Seconds sent as
milliseconds give January 1970 and have their own reason, as the remedy differs.

Solar power while the sun is well below the horizon indicates a clock off by hours (local time sent
as UTC) or swapped channels.  A minimum power excludes the few watts of standby.
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
    """Return the given rows; a common value stays stored once."""
    if values.strides == (0,) and len(values):
        return np.broadcast_to(values[0], rows.shape)
    return values[rows]
